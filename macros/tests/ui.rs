//! What the compiler says of traits that are no services: at the right line, and what to do.

#[test]
fn what_is_wrong_with_a_trait_is_told_at_its_place() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
