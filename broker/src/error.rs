//! Why a broker does not start.

use crate::gate::{Address, GateError};

/// Why a broker does not start. Each text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Other machines could reach the address, and nobody would be asked who he is.
    #[error(
        "{address} can be reached from other machines, and anybody there could call and serve: listen on 127.0.0.1, or ask \
         for a key (--authkey-file FILE), or say --allow-unauthenticated if the network is yours alone"
    )]
    Unprotected {
        /// The address.
        address: Address,
    },
    /// The system gave no thread or no runtime.
    #[error("the broker cannot start: {0}")]
    System(#[from] std::io::Error),
}
