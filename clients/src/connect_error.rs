//! Why a client could not be made.

use std::{error::Error, fmt, io, time::Duration};

use callboard_core::wire::status::Failure;
use callboard_transport::ConnectionFailure;

/// Why a client could not be made. Its text is a sentence that says what was tried, what came of it, and what to do.
///
/// Nothing was sent: to try again is always safe. `Debug` is that sentence, too, for a `main` that returns it.
pub struct ConnectError {
    address: String,
    problem: Problem,
}

/// What to act on in a [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The address cannot be connected to. Trying again will not help.
    BadAddress,
    /// No broker let the client in within the time-out. Trying again may help.
    NoBroker,
    /// The broker will not have this client. Trying again will not help.
    Rejected,
    /// The system would not give the client a thread or a runtime.
    System,
}

enum Problem {
    BadAddress(String),
    NoBroker { waited: Option<Duration>, trouble: Option<ConnectionFailure> },
    Refused(Box<Failure>),
    System(io::Error),
}

impl ConnectError {
    /// What to act on.
    pub fn kind(&self) -> ConnectErrorKind {
        match self.problem {
            Problem::BadAddress(_) => ConnectErrorKind::BadAddress,
            Problem::NoBroker { .. } => ConnectErrorKind::NoBroker,
            Problem::Refused(_) => ConnectErrorKind::Rejected,
            Problem::System(_) => ConnectErrorKind::System,
        }
    }

    /// Where the client was to connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn bad_address(address: &str, text: impl Into<String>) -> ConnectError {
        ConnectError::new(address, Problem::BadAddress(text.into()))
    }

    pub(crate) fn no_broker(
        address: &str,
        waited: Option<Duration>,
        trouble: Option<ConnectionFailure>,
    ) -> ConnectError {
        ConnectError::new(address, Problem::NoBroker { waited, trouble })
    }

    pub(crate) fn refused(address: &str, failure: Box<Failure>) -> ConnectError {
        ConnectError::new(address, Problem::Refused(failure))
    }

    pub(crate) fn system(address: &str, error: io::Error) -> ConnectError {
        ConnectError::new(address, Problem::System(error))
    }

    fn new(address: &str, problem: Problem) -> ConnectError {
        ConnectError { address: address.to_owned(), problem }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::BadAddress(text) => f.write_str(text),
            Problem::NoBroker { waited, trouble } => {
                f.write_str("no broker let this client in")?;
                waited.map_or(Ok(()), |waited| write!(f, " within {waited:?}"))?;
                match trouble {
                    Some(trouble) => write!(f, ": {}", trouble.message),
                    None => write!(f, ": check that {} is a broker's address for clients", self.address),
                }
            }
            Problem::Refused(failure) => {
                write!(f, "the broker at {} refuses this client: {}: {}", self.address, failure.code, failure.message)
            }
            Problem::System(error) => write!(f, "the client's own threads cannot be started: {error}"),
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
        match &self.problem {
            Problem::System(error) => Some(error),
            _ => None,
        }
    }
}
