//! Runs a path under valgrind, and reads what its tools print.

use std::{env, process::Command};

use super::{COUNTED_RUNS, cost::Cost};

/// Returns the cost of the counted runs of a path.
pub(super) fn measure(path: &str) -> Result<Cost, String> {
    let allocations = allocations(path, COUNTED_RUNS)? - allocations(path, 0)?;
    Ok(Cost { instructions: instructions(path)?, allocations })
}

/// Returns the instructions of the counted runs.
fn instructions(path: &str) -> Result<f64, String> {
    let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*run_measured*"];
    let text = valgrind(&arguments, path, COUNTED_RUNS)?;
    match number_behind(&text, "Collected :") {
        Some(instructions) if instructions > 0.0 => Ok(instructions),
        _ => Err(format!("callgrind counted nothing for {path}: it did not find the function run_measured")),
    }
}

/// Returns the allocations of a whole process that performs so many counted runs.
fn allocations(path: &str, runs: usize) -> Result<f64, String> {
    let text = valgrind(&["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"], path, runs)?;
    number_behind(&text, "total heap usage:").ok_or_else(|| format!("memcheck counted no allocations for {path}"))
}

/// Runs a path under a tool of valgrind. Returns what the tool prints.
fn valgrind(arguments: &[&str], path: &str, runs: usize) -> Result<String, String> {
    let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let output = Command::new("valgrind")
        .args(arguments)
        .arg(program)
        .args(["--path", path, &runs.to_string()])
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{path} failed under valgrind: {text}")) }
}

/// Returns the number behind a text, such as `1,234` behind `usage:`.
fn number_behind(text: &str, label: &str) -> Option<f64> {
    let (_, rest) = text.split_once(label)?;
    rest.split_whitespace().next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_what_the_tools_print() {
        let text = "==7== Collected : 96211\n==7==   total heap usage: 1,234 allocs, 1,230 frees, 9 bytes allocated\n";
        assert_eq!(number_behind(text, "Collected :"), Some(96_211.0));
        assert_eq!(number_behind(text, "total heap usage:"), Some(1_234.0));
        assert_eq!(number_behind(text, "events:"), None);
    }
}
