//! The interface between the broker machine and its driver: settings, events and operations in, actions, diagnostics and counters
//! out.

mod action;
mod counters;
mod diagnostic;
mod event;
mod operation;
mod settings;

pub use self::{
    action::Action,
    counters::Counters,
    diagnostic::Diagnostic,
    event::{Endpoint, Event, MessageLoad},
    operation::Operation,
    settings::{Identity, Settings},
};
