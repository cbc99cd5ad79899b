//! The methods of the service `callboard`.

use super::super::{registry::similar, reserved::SERVICE};
use crate::wire::{
    envelope::Effect,
    method::MethodName,
    status::{Code, Executed, Failure},
    streams::Style,
};

/// The methods for operators: those that show other peers, their addresses, or the arguments of their calls.
pub(super) const FOR_OPERATORS: [&str; 7] =
    ["dead", "dead_drop", "dead_resend", "dead_show", "gate", "limits", "peers"];
/// The methods with which operators change something.
pub(super) const OPERATIONS: [&str; 8] =
    ["cancel", "drain_worker", "limit", "pause", "pause_worker", "purge", "resume", "resume_worker"];
/// All methods: name, arguments, description.
pub(super) const METHODS: [(&str, &[&str], &str); 21] = [
    ("cancel", &["call"], "Ends an open call, which fails as cancelled. For operators."),
    ("dead", &[], "The dead letters: calls without further attempts. For operators."),
    ("dead_drop", &["id"], "Forgets a dead letter. For operators."),
    ("dead_resend", &["id"], "Makes the call of a dead letter again: the result is that call's. For operators."),
    ("dead_show", &["id"], "A dead letter with its arguments. For operators."),
    ("describe", &["service"], "The contracts of a service: its methods, their arguments, results and types."),
    ("drain_worker", &["worker"], "Asks a worker to finish its calls and to leave. For operators."),
    ("gate", &[], "The state of the gate: connections, bytes held, reasons of closing. For operators."),
    (
        "limit",
        &["target", "concurrency", "rate", "burst"],
        "Limits a service or method: the calls that run at once, or start in a second. For operators.",
    ),
    ("limits", &[], "What operators have paused and limited. For operators."),
    ("load", &["pool"], "The load of the workers of one pool."),
    ("pause", &["target"], "Lets the calls of a service or method wait. For operators."),
    ("pause_worker", &["worker"], "Gives a worker no more calls. For operators."),
    ("peers", &["from"], "The connected peers, from the one with that number on. For operators."),
    ("ping", &[], "Returns null."),
    ("purge", &["target"], "Ends the waiting calls of a service or method, which fail as cancelled. For operators."),
    ("resume", &["target"], "Ends the pause of a service or method. For operators."),
    ("resume_worker", &["worker"], "Gives a worker calls again. For operators."),
    ("services", &[], "The services that have workers."),
    ("status", &[], "The state of the broker."),
    ("why", &["call"], "What an open call waits for, or without an argument what the oldest open calls wait for."),
];

/// Returns the effect of a method.
pub(super) fn effect(method: &str) -> Effect {
    match method {
        "dead_drop" => Effect::Idempotent,
        // Ending calls again would end others.
        "purge" => Effect::Once,
        operation if OPERATIONS.contains(&operation) => Effect::Idempotent,
        "dead_resend" => Effect::Once,
        _ => Effect::Read,
    }
}

/// Returns the names of the arguments of a method. An unknown method has none.
pub(crate) fn argument_names(method: &str) -> &'static [&'static str] {
    METHODS.iter().find(|(name, ..)| *name == method).map_or(&[], |(_, names, _)| names)
}

/// Returns whether a method of the broker changes something for operators.
pub(crate) fn is_operation(method: &str) -> bool {
    OPERATIONS.contains(&method)
}

/// Returns the failure of a broadcast to the broker's own service.
pub(super) fn no_broadcast(method: &MethodName) -> Failure {
    let text = format!("{method} is a method of the broker: call it without broadcast");
    Failure::new(Code::InvalidArgument, Executed::No, text)
}

/// Returns the failure of a call with streams to the broker's own service.
pub(super) fn wrong_style(method: &MethodName, style: Style) -> Failure {
    let text = format!("{method} is {}, and was called as {style}", Style::Unary);
    Failure::new(Code::InvalidArgument, Executed::No, text)
}

/// Returns the failure of a call to a method that does not exist.
pub(super) fn unknown_method(method: &str) -> Box<Failure> {
    let names = METHODS.map(|(name, ..)| name);
    let meant = similar(method, names.into_iter()).join(" or ");
    let message = match meant.as_str() {
        "" => format!("{SERVICE} has no method {method}; it has {}", names.join(", ")),
        _ => format!("{SERVICE} has no method {method}; did you mean {meant}?"),
    };
    Box::new(Failure::new(Code::Unimplemented, Executed::No, message))
}
