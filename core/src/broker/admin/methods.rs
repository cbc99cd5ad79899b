//! The methods of the service `callboard`.

use super::super::{registry::similar, reserved::SERVICE};
use crate::wire::{
    envelope::Effect,
    method::MethodName,
    status::{Code, Executed, Failure},
    streams::Style,
};

/// The methods for operators: those that show other peers, their addresses, or the arguments of their calls.
pub(super) const FOR_OPERATORS: [&str; 6] = ["dead", "dead_drop", "dead_resend", "dead_show", "gate", "peers"];
/// All methods: name, arguments, description.
pub(super) const METHODS: [(&str, &[&str], &str); 12] = [
    ("dead", &[], "The dead letters: calls without further attempts. For operators."),
    ("dead_drop", &["id"], "Forgets a dead letter. For operators."),
    ("dead_resend", &["id"], "Makes the call of a dead letter again: the result is that call's. For operators."),
    ("dead_show", &["id"], "A dead letter with its arguments. For operators."),
    ("describe", &["service"], "The contracts of a service: its methods, their arguments, results and types."),
    ("gate", &[], "The state of the gate: connections, bytes held, reasons of closing. For operators."),
    ("load", &["pool"], "The load of the workers of one pool."),
    ("peers", &["from"], "The connected peers, from the one with that number on. For operators."),
    ("ping", &[], "Returns null."),
    ("services", &[], "The services that have workers."),
    ("status", &[], "The state of the broker."),
    ("why", &["call"], "What an open call waits for, or without an argument what the oldest open calls wait for."),
];

/// Returns the effect of a method.
pub(super) fn effect(method: &str) -> Effect {
    match method {
        "dead_drop" => Effect::Idempotent,
        "dead_resend" => Effect::Once,
        _ => Effect::Read,
    }
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
