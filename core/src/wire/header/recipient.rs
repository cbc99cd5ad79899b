//! The recipient of a bundle.

/// The side that reads a bundle. It determines which keys a header may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// The broker: a request is a call of a client.
    Broker,
    /// A client or worker: a request is a dispatch of the broker.
    Peer,
}
