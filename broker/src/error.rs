//! Why a broker does not start.

use crate::gate::{Address, GateError};

/// Why a broker does not start. Each message states the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Other hosts could reach the address, and the broker would require no authentication.
    #[error(
        "{address} can be reached from other machines, and any peer there could call and serve: listen on 127.0.0.1, \
         require a key (--authkey-file FILE), or give --allow-unauthenticated if the network is private"
    )]
    Unprotected {
        /// The address.
        address: Address,
    },
    /// The system could not create a thread or a runtime.
    #[error("the broker cannot start: {0}")]
    System(#[from] std::io::Error),
}
