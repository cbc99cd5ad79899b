//! How far a client's life has come, as its handles see it.

use callboard_core::wire::status::Failure;

use callboard_transport::ConnectionFailure;

use crate::close_error::CloseError;

/// What the link thread tells the handles.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) stage: Stage,
    /// Why the last connection is gone, or could not be made.
    pub(crate) trouble: Option<ConnectionFailure>,
}

/// How far a client's life has come. Only ever forward.
#[derive(Clone, Debug, Default)]
pub(crate) enum Stage {
    /// No broker has let it in yet.
    #[default]
    New,
    /// A broker has let it in; whether the connection still holds is the link thread's affair.
    Joined,
    /// The broker will not have it.
    Refused(Box<Failure>),
    /// It has left the broker; callbacks may still run.
    Left(Result<(), CloseError>),
    /// It is over.
    Ended(Result<(), CloseError>),
}

impl State {
    /// Whether there is something to tell somebody who waits for the first connection.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self.stage, Stage::New) || self.trouble.as_ref().is_some_and(|trouble| !trouble.is_transient)
    }
}

impl Stage {
    /// How the close went, once it did.
    pub(crate) fn ended(&self) -> Option<Result<(), CloseError>> {
        match self {
            Stage::Ended(result) => Some(*result),
            Stage::New | Stage::Joined | Stage::Refused(_) | Stage::Left(_) => None,
        }
    }

    /// As [`Stage::ended`], but does not wait for callbacks.
    pub(crate) fn left(&self) -> Option<Result<(), CloseError>> {
        match self {
            Stage::Left(result) | Stage::Ended(result) => Some(*result),
            Stage::New | Stage::Joined | Stage::Refused(_) => None,
        }
    }
}
