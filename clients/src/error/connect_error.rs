//! The error of creating a client.

use std::{error::Error, fmt, io, time::Duration};

use callboard_core::{text::HumanDuration, wire::status::Failure};
use callboard_transport::ConnectionFailure;

/// The error of creating a client. Its text states the failure, its reason and the remedy.
///
/// No call was sent, so another attempt is always safe. `Debug` prints the message too, for a `main` that returns the error.
pub struct ConnectError {
    address: String,
    cause: Cause,
}

/// The kind of a [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The address is invalid. Another attempt will fail too.
    BadAddress,
    /// No broker accepted the client within the timeout. Another attempt may succeed.
    NoBroker,
    /// The broker rejected the client. Another attempt will fail too.
    Rejected,
    /// The system provided no thread, file or event queue for the client, or an inline client has no tokio runtime.
    System,
}

enum Cause {
    BadAddress(String),
    NoBroker { waited: Option<Duration>, failure: Option<ConnectionFailure> },
    Rejected(Box<Failure>),
    System(io::Error),
}

impl ConnectError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> ConnectErrorKind {
        match self.cause {
            Cause::BadAddress(_) => ConnectErrorKind::BadAddress,
            Cause::NoBroker { .. } => ConnectErrorKind::NoBroker,
            Cause::Rejected(_) => ConnectErrorKind::Rejected,
            Cause::System(_) => ConnectErrorKind::System,
        }
    }

    /// Returns the broker's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn bad_address(address: &str, text: impl Into<String>) -> ConnectError {
        ConnectError::new(address, Cause::BadAddress(text.into()))
    }

    pub(crate) fn no_broker(
        address: &str,
        waited: Option<Duration>,
        failure: Option<ConnectionFailure>,
    ) -> ConnectError {
        ConnectError::new(address, Cause::NoBroker { waited, failure })
    }

    pub(crate) fn rejected(address: &str, failure: Box<Failure>) -> ConnectError {
        ConnectError::new(address, Cause::Rejected(failure))
    }

    pub(crate) fn system(address: &str, error: io::Error) -> ConnectError {
        ConnectError::new(address, Cause::System(error))
    }

    fn new(address: &str, cause: Cause) -> ConnectError {
        ConnectError { address: address.to_owned(), cause }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::BadAddress(text) => f.write_str(text),
            Cause::NoBroker { waited, failure } => {
                f.write_str("no broker accepted this client")?;
                waited.map_or(Ok(()), |waited| write!(f, " within {}", HumanDuration(waited)))?;
                match failure {
                    Some(failure) => write!(f, ": {}", failure.message),
                    None => write!(f, ": check that {} is a broker's frontend address", self.address),
                }
            }
            Cause::Rejected(failure) => {
                write!(f, "the broker at {} rejected this client: {}: {}", self.address, failure.code, failure.message)
            }
            Cause::System(error) => write!(f, "cannot start the client: {error}"),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::System(error) => Some(error),
            _ => None,
        }
    }
}
