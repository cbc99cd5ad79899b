//! Counts the instructions and allocations of the core's paths, and compares them with the baseline in the repository.
//!
//! Each path runs in processes of its own under valgrind, which are this program again: `--path NAME RUNS`.

mod guard;

use std::process::ExitCode;

use callboard_instructions::PATHS;

use guard::Verdict;

/// The exit code of a run that could not compare anything.
const SKIPPED: u8 = 77;

const HELP: &str = "\
Counts the instructions and allocations of a call in the core, path by path.

usage: benches/instructions/run [--update]

Fails if a path costs 5 % more than in baseline.txt. With --update, writes baseline.txt instead.
Exits with 77 and the reason if it cannot compare: valgrind is missing, or the baseline is that of another compiler.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => report(guard::compare()),
        ["--update"] => report(guard::update()),
        ["--path", name, runs] => run_path(name, runs),
        ["--help"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("unknown arguments {arguments:?}: see --help");
            ExitCode::from(2)
        }
    }
}

fn report(verdict: Result<Verdict, String>) -> ExitCode {
    match verdict {
        Ok(Verdict::Passed) => ExitCode::SUCCESS,
        Ok(Verdict::Skipped(reason)) => {
            eprintln!("skipped: {reason}");
            ExitCode::from(SKIPPED)
        }
        Ok(Verdict::Failed(reason)) | Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a path: some times to warm up, and then the runs that are counted.
fn run_path(name: &str, runs: &str) -> ExitCode {
    let (path, runs) = (PATHS.into_iter().find(|path| path.name == name), runs.parse());
    let (Some(path), Ok(runs @ 0..=guard::COUNTED_RUNS)) = (path, runs) else {
        eprintln!("unknown path {name:?}, or too many runs");
        return ExitCode::from(2);
    };
    let mut run = (path.prepare)(guard::WARM_UP_RUNS + guard::COUNTED_RUNS);
    (0..guard::WARM_UP_RUNS).for_each(|_| run());
    guard::run_measured(&mut *run, runs);
    ExitCode::SUCCESS
}
