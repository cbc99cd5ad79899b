//! The interface between the broker machine and its driver: settings and events in, actions, diagnostics and counters
//! out.

mod action;
mod counters;
mod diagnostic;
mod event;
mod settings;

pub use self::{
    action::Action,
    counters::Counters,
    diagnostic::Diagnostic,
    event::{Endpoint, Event, MessageLoad},
    settings::{Identity, Settings},
};
