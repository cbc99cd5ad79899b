//! Why a gate cannot be opened.

use std::{io, path::PathBuf};

use super::Address;

/// Why a gate cannot be opened. Each message states the remedy; the system's error is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The host of a tcp:// address has no IP address.
    #[error("cannot listen on {address}: its host name cannot be resolved; write an IP address such as 127.0.0.1")]
    Resolve {
        /// The address.
        address: Address,
        /// The resolver's error.
        source: io::Error,
    },
    /// The system could not create the socket.
    #[error("cannot listen on {address}: {}", advice(source))]
    Listen {
        /// The address.
        address: Address,
        /// The system's error.
        source: io::Error,
    },
    /// A running broker, or another program, listens on this ipc path.
    #[error("cannot listen on ipc://{}: a running broker uses it; stop that one or choose another path", path.display())]
    InUse {
        /// The socket's path.
        path: PathBuf,
    },
    /// The file at the path is not a socket, and would be lost.
    #[error("cannot listen on ipc://{}: that file is not a socket; remove it or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The path is too long for a socket.
    #[error("cannot listen on ipc://{}: the path has {bytes} bytes, more than {max}; choose a shorter one", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// The maximum length.
        max: usize,
    },
    /// The limits contradict each other.
    #[error("the gate's limits contradict each other: {problem}")]
    Limits {
        /// The contradiction.
        problem: &'static str,
    },
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "another program uses it; stop that one or choose another port (port 0 takes a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 127.0.0.1 is for this machine alone, 0.0.0.0 for all its networks"
        }
        io::ErrorKind::PermissionDenied => "it is not permitted; choose a port above 1023, or a path of your own",
        io::ErrorKind::NotFound => "its directory does not exist; create it or choose another path",
        _ => "the system refused it",
    }
}
