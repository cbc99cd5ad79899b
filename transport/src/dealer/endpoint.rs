//! The address of a broker's socket, and the errors of connecting to it.

use std::{io, path::Path};

use zeromq::Endpoint;

use super::{
    error::{DealerError, DealerErrorKind},
    socket_owner::untrusted_owner,
};

/// Parses an address. The socket of an `ipc://` address must belong to the user of this process or to root.
pub(super) fn parse(address: &str) -> Result<Endpoint, DealerError> {
    let endpoint = parse_text(address)?;
    if let Endpoint::Ipc(Some(path)) = &endpoint {
        check_owner(address, path)?;
    }
    Ok(endpoint)
}

fn parse_text(address: &str) -> Result<Endpoint, DealerError> {
    let bad = |reason: &str| DealerError::new(DealerErrorKind::BadAddress, address, reason);
    match address.parse() {
        Ok(Endpoint::Tcp(_, 0)) => Err(bad("port 0 can be bound, but not connected to")),
        Ok(endpoint) => Ok(endpoint),
        Err(_) => Err(bad(syntax_problem(address))),
    }
}

/// Returns what is wrong with an address that zeromq cannot parse. zeromq's own texts are for its developers.
pub(super) fn syntax_problem(address: &str) -> &'static str {
    match address.split_once("://") {
        Some(("tcp" | "ipc", _)) => "it is not a valid address",
        _ => "it begins with neither tcp:// nor ipc://",
    }
}

/// Rejects a socket of another user: its owner would receive calls and send replies to them.
fn check_owner(address: &str, path: &Path) -> Result<(), DealerError> {
    match untrusted_owner(path) {
        Ok(None) => Ok(()),
        Ok(Some(user)) => {
            let reason = format!("its socket belongs to user {user}");
            Err(DealerError::new(DealerErrorKind::UntrustedOwner, address, reason))
        }
        Err(error) => Err(network_error(address, error)),
    }
}

/// Returns true if the address has no listener. An `ipc://` address without one may lack even its file.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// Returns the error of an attempt that the system ended.
pub(super) fn network_error(address: &str, error: io::Error) -> DealerError {
    let kind = match error.kind() {
        _ if is_refusal(&error) => DealerErrorKind::Refused,
        io::ErrorKind::InvalidInput => DealerErrorKind::BadAddress,
        io::ErrorKind::TimedOut => DealerErrorKind::TimedOut,
        _ => DealerErrorKind::Unreachable,
    };
    DealerError::new(kind, address, error)
}
