//! The state of a client, as its handles see it.

use callboard_core::wire::status::Failure;
use callboard_transport::ConnectionFailure;

use crate::error::close_error::CloseError;

/// The state that the I/O thread publishes to the handles.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientStatus {
    pub(crate) state: ClientState,
    /// The reason why the last connection was lost or could not be made.
    pub(crate) last_failure: Option<ConnectionFailure>,
}

/// The state of a client. It only moves forward.
#[derive(Clone, Debug, Default)]
pub(crate) enum ClientState {
    /// No broker has accepted the client yet.
    #[default]
    Connecting,
    /// A broker has accepted the client. The connection may be lost and made again while this state lasts.
    Connected,
    /// The broker rejected the client.
    Rejected(Box<Failure>),
    /// The client has disconnected from the broker. Callbacks may still run.
    Disconnected(Result<(), CloseError>),
    /// The client and its callback thread have ended.
    Closed(Result<(), CloseError>),
}

impl ClientStatus {
    /// Returns true if a caller that waits for the first connection has a result.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self.state, ClientState::Connecting)
            || self.last_failure.as_ref().is_some_and(|failure| !failure.is_transient)
    }
}

impl ClientState {
    /// Returns the result of the close, once the client and its callback thread have ended.
    pub(crate) fn closed(&self) -> Option<Result<(), CloseError>> {
        match self {
            ClientState::Closed(result) => Some(*result),
            ClientState::Connecting
            | ClientState::Connected
            | ClientState::Rejected(_)
            | ClientState::Disconnected(_) => None,
        }
    }

    /// Returns the result of the close, once the client has disconnected from the broker; callbacks may still run.
    pub(crate) fn disconnected(&self) -> Option<Result<(), CloseError>> {
        match self {
            ClientState::Disconnected(result) | ClientState::Closed(result) => Some(*result),
            ClientState::Connecting | ClientState::Connected | ClientState::Rejected(_) => None,
        }
    }
}
