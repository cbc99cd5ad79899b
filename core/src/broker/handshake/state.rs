//! The state of a connection, from its handshake on.

use bytestring::ByteString;

use super::{
    super::interface::Endpoint,
    super::keys::{ClientKey, WorkerKey},
    authentication::AuthenticationFailure,
};
use crate::{
    auth::{Channel, Nonce, Transcript},
    time::Time,
    wire::handshake::Hello,
};

/// The origin of a connection.
#[derive(Clone, Debug)]
pub(crate) struct PeerOrigin {
    /// The address, for the log and the status.
    pub(crate) address: ByteString,
    /// The tenant of a peer without a named key.
    pub(crate) rate_limit_key: ByteString,
    /// Its encrypted channel, if it has one.
    pub(crate) channel: Option<Channel>,
}

/// The state of a connection.
#[derive(Debug)]
pub(crate) enum ConnectionState {
    /// Nothing was received.
    AwaitingHello { endpoint: Endpoint, origin: PeerOrigin, nonce: Nonce, until: Time },
    /// The hello was received, and the challenge sent.
    AwaitingProof { hello: Box<Hello>, origin: PeerOrigin, transcript: Option<Box<Transcript>>, until: Time },
    /// The peer could not be authenticated. It is ignored until `until`, and then gets the failure.
    Rejected { failure: AuthenticationFailure, until: Time },
    /// The handshake is complete: the peer is this client.
    Client(ClientKey),
    /// The handshake is complete: the peer is this worker.
    Worker(WorkerKey),
}

impl ConnectionState {
    /// Returns when the handshake times out, if it is not complete.
    pub(crate) fn handshake_until(&self) -> Option<Time> {
        match self {
            ConnectionState::AwaitingHello { until, .. }
            | ConnectionState::AwaitingProof { until, .. }
            | ConnectionState::Rejected { until, .. } => Some(*until),
            ConnectionState::Client(_) | ConnectionState::Worker(_) => None,
        }
    }
}
