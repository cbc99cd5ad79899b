//! Tests of the compile errors: each names the problem at its place in the source, and the remedy.

#[test]
fn compile_errors_name_the_problem_at_its_place() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
