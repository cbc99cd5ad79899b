//! The outcome of a call: what a function can return, and how it becomes a result or a failure on the wire.

mod application_error;
mod completion;
mod error;
mod into_outcome;

pub use self::{
    application_error::{ApplicationResult, CodeOf, DeclaredCode, DefaultCode, ErrorCode},
    error::Error,
    into_outcome::{Fallible, IntoOutcome, Outcome, Plain, Reply},
};
pub(crate) use self::{
    completion::{Completion, JobEnd},
    into_outcome::{encode, panic_failure},
};
