//! The output of a broadcast.

use anyhow::anyhow;
use callboard::{Answers, CallError};
use ciborium::Value;

use crate::command::{
    client::failure::retry_note,
    output::{self, escape::printable, exit::Exit, json},
};

/// Prints a line for each worker, sorted by name: its name, a tab, and its result as JSON on stdout or its error on stderr.
///
/// # Errors
/// If a worker failed, with the number of those that failed. If stdout cannot be written.
pub(super) fn print(answers: Answers<Value>) -> anyhow::Result<Exit> {
    let (all, mut failed) = (answers.len(), 0);
    let mut answers: Vec<_> = answers.into_iter().collect();
    answers.sort_by(|one, other| one.worker.cmp(&other.worker));
    for answer in answers {
        let worker = printable(&answer.worker);
        match answer.result {
            Ok(result) => output::print(&format!("{worker}\t{}", json::compact(&result)))?,
            Err(error) => {
                failed += 1;
                output::note(&format!("{worker}\t{}", printable(&describe(&error))));
            }
        }
    }
    match failed {
        0 => Ok(Exit::Success),
        _ => Err(Exit::Failed.because(anyhow!("{failed} of {all} workers failed"))),
    }
}

/// Returns a worker's failure, without the worker's name.
fn describe(error: &CallError) -> String {
    let name = if error.type_name().is_empty() { String::new() } else { format!(" {}", error.type_name()) };
    let after = retry_note(error);
    format!("{}{name}: {} (executed: {}{after})", error.code(), error.message(), error.executed())
}
