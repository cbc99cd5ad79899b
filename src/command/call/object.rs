//! The output of `--json`: results, items and errors as JSON objects on stdout.

use callboard::{Answers, CallError};
use ciborium::Value;
use serde_json::json;

use crate::command::{
    client::failure::{self, CallFailure},
    output::{self, exit::Exit, json::compact},
};

/// Returns `{"result": ...}`.
pub(super) fn of_result(result: &Value) -> String {
    format!("{{\"result\":{}}}", compact(result))
}

/// Returns `{"item": ...}`.
pub(super) fn of_item(item: &Value) -> String {
    format!("{{\"item\":{}}}", compact(item))
}

/// Prints `{"error": {...}}`, and returns the exit code. An error that is not of a call has a message only.
///
/// # Errors
/// If stdout cannot be written.
pub(super) fn print_error(mut error: anyhow::Error) -> anyhow::Result<Exit> {
    let exit = Exit::of(&error);
    let json = match Exit::cause::<CallFailure>(&mut error) {
        Some(failure) => failure::as_json(&failure.error),
        None => json!({ "message": output::message(&error) }),
    };
    output::print(&json!({ "error": json }).to_string())?;
    Ok(exit)
}

/// Prints `{"answers": [...]}` with the worker of each, and its result or error. Returns the exit code.
///
/// # Errors
/// If stdout cannot be written.
pub(super) fn print_answers(answers: Answers<Value>) -> anyhow::Result<Exit> {
    let mut answers: Vec<_> = answers.into_iter().collect();
    answers.sort_by(|one, other| one.worker.cmp(&other.worker));
    let has_failed = answers.iter().any(|answer| answer.result.is_err());
    let objects: Vec<_> = answers.iter().map(|answer| of_answer(&answer.worker, &answer.result)).collect();
    output::print(&format!("{{\"answers\":[{}]}}", objects.join(",")))?;
    Ok(if has_failed { Exit::Failed } else { Exit::Success })
}

fn of_answer(worker: &str, result: &Result<Value, CallError>) -> String {
    let worker = json!(worker);
    match result {
        Ok(result) => format!("{{\"worker\":{worker},\"result\":{}}}", compact(result)),
        Err(error) => format!("{{\"worker\":{worker},\"error\":{}}}", failure::as_json(error)),
    }
}
