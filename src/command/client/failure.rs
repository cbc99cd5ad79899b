//! A failed call as the error of a command.

use std::fmt;

use callboard::{CallError, Code, core::text::HumanDuration};
use serde_json::{Map, Value, json};

use crate::command::output::{escape::printable, exit::Exit, json as cbor};

/// A call that failed, with notes below the error.
#[derive(Debug)]
pub(crate) struct CallFailure {
    pub(crate) error: CallError,
    notes: Vec<String>,
}

impl CallFailure {
    /// Creates the failure of a call, with the details of the error as a note.
    pub(crate) fn new(error: CallError) -> CallFailure {
        let notes = details(&error).map(|details| format!("details: {details}"));
        CallFailure { notes: notes.into_iter().collect(), error }
    }

    /// Returns the error that ends a command.
    pub(crate) fn into_error(self) -> anyhow::Error {
        let exit = match self.error.code() {
            Code::DeadlineExceeded => Exit::TimedOut,
            _ => Exit::Failed,
        };
        exit.because(self)
    }

    /// Adds a line below the error.
    pub(crate) fn with_note(mut self, note: String) -> CallFailure {
        self.add_note(note);
        self
    }

    /// Adds a line below the error.
    pub(crate) fn add_note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Returns how long each step took, which explains a timeout or a loss. For other failures it does not help.
    fn steps(&self) -> Option<String> {
        let is_lost = self.error.code() == Code::Unavailable && self.error.attempt().is_some();
        let is_timed = self.error.code() == Code::DeadlineExceeded || is_lost;
        let call = self.error.call_id().filter(|_| is_timed && self.notes.is_empty())?;
        Some(format!("; call {call}: {}", self.error.timings()))
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.error.to_string()))?;
        f.write_str(&self.steps().unwrap_or_default())?;
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}

impl std::error::Error for CallFailure {}

/// Returns the details of an error as JSON, if it has valid ones.
fn details(error: &CallError) -> Option<String> {
    let details = error.encoded_details();
    (!details.is_empty()).then(|| cbor::json_of(details).ok()).flatten()
}

/// Returns the error of a call as JSON. The names of its keys are stable.
pub(crate) fn as_json(error: &CallError) -> Value {
    let mut json = Map::new();
    json.insert("code".to_owned(), error.code().name().into());
    json.insert("message".to_owned(), error.message().into());
    json.insert("executed".to_owned(), error.executed().to_string().into());
    let type_name = Some(error.type_name()).filter(|name| !name.is_empty());
    let optional = [
        ("type", type_name.map(Value::from)),
        ("attempt", error.attempt().map(Value::from)),
        ("worker", error.worker().map(Value::from)),
        ("call", error.call_id().map(|call| json!(call.to_string()))),
        ("retry_after_ms", error.retry_after().map(|after| json!(after.as_millis() as u64))),
        ("details", details(error).and_then(|details| serde_json::from_str(&details).ok())),
    ];
    json.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(json)
}

/// Returns the time after which another attempt makes sense, as a part of an error.
pub(crate) fn retry_note(error: &CallError) -> String {
    error.retry_after().map(|after| format!(", try again in {}", HumanDuration(after))).unwrap_or_default()
}
