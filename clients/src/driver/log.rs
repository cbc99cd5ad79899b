//! The log of a client.

use callboard_core::{client::Diagnostic, peer::DisconnectReason, wire::status::Failure};
use callboard_transport::ConnectionFailure;

/// Writes the machine's diagnostics to the log. An unreachable broker is one warning, not one per attempt.
#[derive(Debug)]
pub(super) struct Log {
    client: String,
    address: String,
    /// Whether the lost connection is already in the log, and no broker has accepted the client since.
    loss_reported: bool,
}

impl Log {
    /// Creates the log of the client with this name and its broker's `address`.
    pub(super) fn new(client: &str, address: &str) -> Log {
        Log { client: client.to_owned(), address: address.to_owned(), loss_reported: false }
    }

    /// Writes a diagnostic of the machine. `failure` is the reason for a lost connection, if there is one.
    pub(super) fn write(&mut self, diagnostic: &Diagnostic, failure: Option<&ConnectionFailure>) {
        let client = &*self.client;
        match diagnostic {
            Diagnostic::Connected { broker, start, open } => {
                self.loss_reported = false;
                tracing::info!(target: crate::log::TARGET, client, address = self.address, %broker, %start, open, "connected to the broker");
            }
            Diagnostic::Disconnected { reason, open } => self.on_disconnected(reason, *open, failure),
            Diagnostic::LateReply(number) => {
                tracing::debug!(target: crate::log::TARGET, client, %number, "a reply came too late and was dropped")
            }
            Diagnostic::CastDropped { method, failure } => {
                tracing::warn!(target: crate::log::TARGET, client, %method, %failure, "a cast was dropped")
            }
            Diagnostic::InvalidEnvelope(error) => {
                tracing::warn!(target: crate::log::TARGET, client, %error, "the broker sent an invalid envelope")
            }
            Diagnostic::UnexpectedMessage(kind) => {
                tracing::warn!(target: crate::log::TARGET, client, %kind, "the broker sent an unexpected message")
            }
            // Diagnostics of later versions of the core.
            other => tracing::info!(target: crate::log::TARGET, client, diagnostic = ?other, "diagnostic"),
        }
    }

    /// Writes that the broker rejected the client.
    pub(super) fn rejected(&self, failure: &Failure) {
        tracing::error!(target: crate::log::TARGET, client = self.client, address = self.address, %failure, "the broker rejected this client");
    }

    fn on_disconnected(&mut self, reason: &DisconnectReason, open: usize, failure: Option<&ConnectionFailure>) {
        let reason = match (reason, failure) {
            (DisconnectReason::SocketClosed, Some(failure)) => failure.message.clone(),
            (DisconnectReason::SocketClosed, None) => "the connection was closed".to_owned(),
            (DisconnectReason::HeartbeatTimeout, _) => "the broker sent nothing within the heartbeat limit".to_owned(),
            (DisconnectReason::HandshakeTimeout, _) => "the broker did not complete the handshake in time".to_owned(),
            (DisconnectReason::Goodbye(failure), _) => failure.message.to_string(),
            (DisconnectReason::InvalidHandshake(error), _) => {
                format!("invalid challenge or welcome from the broker: {error}")
            }
            (other, _) => format!("{other:?}"),
        };
        let (client, address) = (&*self.client, &*self.address);
        if std::mem::replace(&mut self.loss_reported, true) {
            tracing::debug!(target: crate::log::TARGET, client, address, open, reason, "still not connected to the broker");
        } else {
            tracing::warn!(target: crate::log::TARGET, client, address, open, reason, "not connected to the broker; retrying");
        }
    }
}
