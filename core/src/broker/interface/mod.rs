//! What the driver exchanges with the broker machine: settings and events in, actions with diagnostics and counters out.

mod action;
mod counters;
mod diagnostic;
mod event;
mod settings;

pub use self::{
    action::Action,
    counters::Counters,
    diagnostic::Diagnostic,
    event::{Endpoint, Event},
    settings::{Identity, Settings},
};
