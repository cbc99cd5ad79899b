//! The command line of an example program, and its error.

use std::{env, fmt::Display, process::ExitCode};

/// The variables that every worker reads.
const WORKER_VARIABLES: &str = "\
Variables: CALLBOARD_BACKEND is the address of the broker (tcp://127.0.0.1:5560 by default); CALLBOARD_AUTHKEY,
CALLBOARD_SERVER_KEY and CALLBOARD_CURVE_SECRET are keys. `callboard pool -- PROGRAM` sets them.";

/// Runs a worker to its end. Prints `about` instead if the program is started with --help, and an error as `error: ...`.
#[allow(dead_code)] // not used by clients
pub(crate) async fn worker<E: Display>(about: &str, serve: impl AsyncFnOnce() -> Result<(), E>) -> ExitCode {
    match env::args().nth(1) {
        Some(word) if is_help(&word) => print_help(&format!("{about}\n\n{WORKER_VARIABLES}")),
        Some(word) => invalid_usage(&format!("unexpected argument {word:?}: this program takes none")),
        None => exit_code(serve().await),
    }
}

/// Runs a client to its end. Prints `about` instead if the program is started with --help, and an error as `error: ...`.
#[allow(dead_code)] // not used by workers
pub(crate) async fn client<E: Display>(about: &str, run: impl AsyncFnOnce() -> Result<(), E>) -> ExitCode {
    match early_exit(about) {
        Some(exit) => exit,
        None => exit_code(run().await),
    }
}

/// Prints `about` if the program is started with --help, or that it has no such flag. Returns the exit code if it is to end at once.
#[allow(dead_code)] // not used by all programs
pub(crate) fn early_exit(about: &str) -> Option<ExitCode> {
    let word = env::args().nth(1).filter(|word| word.starts_with('-'))?;
    Some(match is_help(&word) {
        true => print_help(about),
        false => invalid_usage(&format!("unknown flag {word:?}: --help shows the arguments")),
    })
}

/// Returns the exit code of a program that has ended, and prints its error.
pub(crate) fn exit_code<E: Display>(ended: Result<(), E>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_help(word: &str) -> bool {
    matches!(word, "-h" | "--help")
}

fn print_help(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

fn invalid_usage(text: &str) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::from(2)
}
