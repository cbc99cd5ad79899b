//! What can go wrong between us and the broker's socket.

use std::{error::Error, fmt::Display};

/// No connection was made.
///
/// The text is a sentence that says what to do; the source is what the system or zeromq said.
#[derive(Debug, thiserror::Error)]
#[error("{}", kind.sentence(address, source))]
pub struct DealerError {
    kind: DealerErrorKind,
    address: String,
    source: Box<dyn Error + Send + Sync>,
}

/// Why no connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DealerErrorKind {
    /// The address cannot be read, or cannot be connected to. Trying again will not help.
    BadAddress,
    /// Nobody listens there.
    Refused,
    /// There is no way there: an unknown host, no route, no permission.
    Unreachable,
    /// Nobody answered within the time limit, or nobody spoke ZeroMQ.
    TimedOut,
    /// The socket of an `ipc://` address is neither our own user's nor root's.
    Stranger,
    /// Somebody answered, but not as a ZeroMQ ROUTER does.
    Handshake,
}

/// The connection is gone. What was sent on it may or may not have arrived.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the connection is lost: {reason}")]
pub struct Lost {
    reason: String,
}

impl DealerError {
    pub(super) fn new(
        kind: DealerErrorKind,
        address: &str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> DealerError {
        DealerError { kind, address: address.to_owned(), source: source.into() }
    }

    /// Which kind of error it is.
    pub fn kind(&self) -> DealerErrorKind {
        self.kind
    }

    /// Whether the same address may work later. It is always safe to try: nothing was sent.
    pub fn may_pass(&self) -> bool {
        self.kind != DealerErrorKind::BadAddress
    }
}

impl DealerErrorKind {
    fn sentence(self, address: &str, source: &dyn Display) -> String {
        match self {
            DealerErrorKind::BadAddress => {
                format!("cannot connect to `{address}` ({source}): write tcp://HOST:PORT or ipc:///PATH")
            }
            DealerErrorKind::Refused => {
                format!("nobody listens at {address}: start a broker there, or correct the address")
            }
            DealerErrorKind::Unreachable => {
                format!("{address} cannot be reached ({source}): check the address and the network")
            }
            DealerErrorKind::TimedOut => {
                format!("{address} does not answer ({source}): check that it is a broker's address and the broker runs")
            }
            DealerErrorKind::Stranger => {
                format!("{address} is not trusted ({source}, and neither to us nor to root): run as the broker's user")
            }
            DealerErrorKind::Handshake => {
                format!("{address} answers, but not as a broker does ({source}): check the address")
            }
        }
    }
}

impl Lost {
    pub(super) fn new(reason: impl Display) -> Lost {
        Lost { reason: reason.to_string() }
    }
}
