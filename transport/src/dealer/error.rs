//! Errors of the connection to the broker's socket.

use std::{error::Error, fmt::Display};

use super::limits::UNSENT_MAX;

/// The error of a failed connection attempt.
///
/// Its text states the problem and the remedy; its source is the error of the system or of zeromq.
#[derive(Debug, thiserror::Error)]
#[error("{}", kind.sentence(address, source))]
pub struct DealerError {
    kind: DealerErrorKind,
    address: String,
    source: Box<dyn Error + Send + Sync>,
}

/// The kind of a [`DealerError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DealerErrorKind {
    /// The address is invalid, or cannot be connected to. Another attempt will fail too.
    BadAddress,
    /// The address accepts no connections.
    Refused,
    /// The host is unknown, or there is no route or no permission.
    Unreachable,
    /// There was no answer within the time limit, or none in ZeroMQ's protocol.
    TimedOut,
    /// The socket of an `ipc://` address belongs neither to the user of this process nor to root.
    UntrustedOwner,
    /// The peer is not a ZeroMQ ROUTER.
    Handshake,
    /// The broker rejected the connection, and gave a reason.
    Rejected,
    /// The connection could not be encrypted: one side requires encryption and the other has no key, or the keys do not fit.
    Encryption,
}

/// The error of a lost connection. Messages that were sent on it may or may not have arrived.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the connection is lost: {reason}")]
pub struct ConnectionLost {
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

    /// Returns the kind of the error.
    pub fn kind(&self) -> DealerErrorKind {
        self.kind
    }

    /// Returns true if another attempt with the same address may succeed. An attempt is always safe: nothing was sent.
    pub fn is_transient(&self) -> bool {
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
                format!("{address} refused the connection: start a broker there, or correct the address")
            }
            DealerErrorKind::Unreachable => {
                format!("cannot reach {address} ({source}): check the address and the network")
            }
            DealerErrorKind::TimedOut => {
                format!(
                    "{address} does not answer ({source}): check that the address is a broker's and that the broker runs"
                )
            }
            DealerErrorKind::UntrustedOwner => {
                format!(
                    "{address} is not trusted ({source}, which is neither this user nor root): run as the broker's user"
                )
            }
            DealerErrorKind::Handshake => {
                format!("{address} is not a broker ({source}): check the address")
            }
            DealerErrorKind::Rejected => format!("{address} rejected this program: {source}"),
            DealerErrorKind::Encryption => format!("cannot connect to {address}: {source}"),
        }
    }
}

impl ConnectionLost {
    pub(super) fn new(reason: impl Display) -> ConnectionLost {
        ConnectionLost { reason: reason.to_string() }
    }

    /// Returns the error of a connection on which too many messages wait.
    pub(super) fn peer_does_not_read() -> ConnectionLost {
        ConnectionLost::new(format!("the peer does not read, and {UNSENT_MAX} messages wait for it"))
    }
}
