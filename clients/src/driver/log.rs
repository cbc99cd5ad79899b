//! What the client tells its operator.

use callboard_core::{client::Diagnostic, peer::DisconnectReason, wire::status::Failure};
use callboard_transport::ConnectionFailure;

/// Writes the machine's notes to the log, each once: a broker that stays away is not a line a second.
#[derive(Debug)]
pub(super) struct Log {
    client: String,
    address: String,
    /// The broker's absence was told, and it was not back since.
    told: bool,
}

impl Log {
    /// A log for the client of this name, with its broker at `address`.
    pub(super) fn new(client: &str, address: &str) -> Log {
        Log { client: client.to_owned(), address: address.to_owned(), told: false }
    }

    /// The machine noted something. `trouble` is what the link knows of a lost connection.
    pub(super) fn write(&mut self, diagnostic: &Diagnostic, trouble: Option<&ConnectionFailure>) {
        let client = &*self.client;
        match diagnostic {
            Diagnostic::Connected { broker, start, open } => {
                self.told = false;
                tracing::info!(client, address = self.address, %broker, %start, open, "connected to the broker");
            }
            Diagnostic::Disconnected { reason, open } => self.lost(reason, *open, trouble),
            Diagnostic::LateReply(number) => tracing::debug!(client, %number, "a reply came too late and was dropped"),
            Diagnostic::CastDropped { method, failure } => {
                tracing::warn!(client, %method, %failure, "a cast was dropped")
            }
            Diagnostic::InvalidEnvelope(refused) => {
                tracing::warn!(client, %refused, "the broker sent what cannot be read")
            }
            Diagnostic::UnexpectedMessage(kind) => {
                tracing::warn!(client, %kind, "the broker sent what has no place here")
            }
            // A later core's notes.
            other => tracing::info!(client, note = ?other, "note"),
        }
    }

    /// The broker will not have this client.
    pub(super) fn refused(&self, failure: &Failure) {
        tracing::error!(client = self.client, address = self.address, %failure, "the broker refuses this client");
    }

    fn lost(&mut self, loss: &DisconnectReason, open: usize, trouble: Option<&ConnectionFailure>) {
        let why = match (loss, trouble) {
            (DisconnectReason::SocketClosed, Some(trouble)) => trouble.message.clone(),
            (DisconnectReason::SocketClosed, None) => "the connection was closed".to_owned(),
            (DisconnectReason::HeartbeatTimeout, _) => "the broker is silent".to_owned(),
            (DisconnectReason::HandshakeTimeout, _) => "the broker did not let the client in in time".to_owned(),
            (DisconnectReason::Goodbye(failure), _) => failure.message.to_string(),
            (DisconnectReason::InvalidHandshake(error), _) => {
                format!("the broker's challenge or welcome cannot be read: {error}")
            }
            (other, _) => format!("{other:?}"),
        };
        let (client, address) = (&*self.client, &*self.address);
        if std::mem::replace(&mut self.told, true) {
            tracing::debug!(client, address, open, why, "still not connected to the broker");
        } else {
            tracing::warn!(client, address, open, why, "not connected to the broker; trying again");
        }
    }
}
