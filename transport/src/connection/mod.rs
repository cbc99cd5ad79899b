//! The connection of a client or worker to its broker.

mod address;

use std::{future, pin::Pin};

use bytes::Bytes;
use callboard_core::{
    wire::{bundle::Bundler, envelope::Envelope},
    zmtp::curve::CurvePeer,
};

pub use self::address::check_address;
use crate::{
    curve::CurveKeys,
    dealer::{Dealer, DealerError},
};

/// The connection of a client or worker to its broker, for its driver.
///
/// It has at most one socket at a time. The envelopes that the machine sends are collected into bundles, which
/// [`Connection::flush`] gives to the socket.
pub struct Connection {
    address: String,
    keys: Option<CurveKeys>,
    socket: Socket,
    bundler: Bundler,
    last_failure: Option<ConnectionFailure>,
}

/// An event of a [`Connection`].
#[derive(Debug)]
pub enum ConnectionEvent {
    /// The requested socket is connected.
    Connected {
        /// The identity that the broker has proved, if the connection is encrypted.
        curve: Option<CurvePeer>,
    },
    /// A message arrived. Holds its frames.
    Message(Vec<Bytes>),
    /// The socket is lost or closed, or could not be connected. [`Connection::last_failure`] is the reason. Occurs once for each
    /// [`Connection::connect`].
    Disconnected,
}

/// The reason why there is no connection, as text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFailure {
    /// What happened, and what to do about it.
    pub message: String,
    /// Whether another attempt with the same address may succeed.
    pub is_transient: bool,
}

/// A connection attempt.
type Connecting = Pin<Box<dyn Future<Output = Result<Dealer, DealerError>> + Send>>;

/// The state of the socket.
enum Socket {
    /// Not requested.
    None,
    /// Kept here, so that the future of [`Connection::next_event`] may be dropped and created again.
    Connecting(Connecting),
    Connected(Box<Dealer>),
    /// The driver dropped it. [`ConnectionEvent::Disconnected`] is still to be returned.
    Dropped,
}

impl Connection {
    /// Creates a connection to the broker at `address`, without a socket. With `keys` it is encrypted, or fails.
    pub fn new(address: impl Into<String>, keys: Option<CurveKeys>) -> Connection {
        Connection { address: address.into(), keys, socket: Socket::None, bundler: Bundler::new(), last_failure: None }
    }

    /// Returns the broker's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns why the last socket was lost or could not be connected; `None` once another one is connected.
    pub fn last_failure(&self) -> Option<&ConnectionFailure> {
        self.last_failure.as_ref()
    }

    /// Begins to connect. [`ConnectionEvent::Connected`] or [`ConnectionEvent::Disconnected`] follows.
    ///
    /// # Panics
    /// If there is a socket: a machine requests one at a time.
    pub fn connect(&mut self) {
        assert!(
            matches!(self.socket, Socket::None),
            "a machine requests another socket only after the last one is disconnected"
        );
        let (address, keys) = (self.address.clone(), self.keys.clone());
        self.socket = Socket::Connecting(Box::pin(async move { Dealer::connect(&address, keys.as_ref()).await }));
    }

    /// Sends the unsent messages for which the socket has room now, and drops the socket. [`ConnectionEvent::Disconnected`] follows.
    ///
    /// Without encryption, ZeroMQ still writes what it holds, as long as the runtime lives and the broker reads.
    pub fn disconnect(&mut self) {
        self.flush();
        if !matches!(self.socket, Socket::None) {
            self.socket = Socket::Dropped;
        }
    }

    /// Adds an envelope to the bundles of this turn.
    pub fn send(&mut self, envelope: &Envelope) {
        self.bundler.push(envelope);
    }

    /// Gives the bundles of this turn to the socket. Without a socket they are dropped; the machine gets
    /// [`ConnectionEvent::Disconnected`].
    pub fn flush(&mut self) {
        if self.bundler.is_empty() {
            return;
        }
        let bundles = self.bundler.take();
        if let Socket::Connected(dealer) = &mut self.socket {
            bundles.for_each(|frames| dealer.send(frames));
            dealer.flush();
        }
    }

    /// Returns the number of messages that wait because the broker reads more slowly than this side sends.
    ///
    /// Credit or slots bound what a machine sends, and so this number. A driver that produces more on its own holds that back while
    /// this is above zero.
    pub fn unsent(&self) -> usize {
        match &self.socket {
            Socket::Connected(dealer) => dealer.unsent(),
            _ => 0,
        }
    }

    /// Waits for the next event. Never completes while no socket is requested.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost when the future is dropped.
    pub async fn next_event(&mut self) -> ConnectionEvent {
        match &mut self.socket {
            Socket::None => future::pending().await,
            Socket::Connecting(connecting) => match connecting.await {
                Ok(dealer) => self.on_connected(dealer),
                Err(error) => self.on_disconnected(Some(ConnectionFailure {
                    message: error.to_string(),
                    is_transient: error.is_transient(),
                })),
            },
            Socket::Connected(dealer) => match dealer.receive().await {
                Ok(frames) => ConnectionEvent::Message(frames),
                Err(lost) => {
                    self.on_disconnected(Some(ConnectionFailure { message: lost.to_string(), is_transient: true }))
                }
            },
            Socket::Dropped => self.on_disconnected(None),
        }
    }

    /// Returns a message that has already arrived, for the rest of a turn. Returns `None` also if there is no socket.
    pub fn try_next_message(&mut self) -> Option<Vec<Bytes>> {
        match &mut self.socket {
            Socket::Connected(dealer) => dealer.try_receive(),
            _ => None,
        }
    }

    fn on_connected(&mut self, dealer: Dealer) -> ConnectionEvent {
        let curve = dealer.curve_peer();
        self.socket = Socket::Connected(Box::new(dealer));
        self.last_failure = None;
        ConnectionEvent::Connected { curve }
    }

    fn on_disconnected(&mut self, failure: Option<ConnectionFailure>) -> ConnectionEvent {
        self.socket = Socket::None;
        self.last_failure = failure.or(self.last_failure.take());
        ConnectionEvent::Disconnected
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_connection_without_a_socket_has_no_events() {
        let mut connection = Connection::new("tcp://127.0.0.1:1", None);
        assert!(connection.next_event().now_or_never().is_none());
        connection.disconnect();
        assert!(connection.next_event().now_or_never().is_none(), "there was no socket to disconnect");
    }

    #[tokio::test]
    async fn a_failed_attempt_ends_in_one_disconnected_event_with_the_reason() {
        let unused = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let mut connection = Connection::new(format!("tcp://{unused}"), None);
        connection.connect();
        assert!(matches!(connection.next_event().await, ConnectionEvent::Disconnected));
        let failure = connection.last_failure().expect("a reason");
        assert!(failure.is_transient && failure.message.contains(&unused.to_string()), "{failure:?}");
        assert!(connection.next_event().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_requested_disconnect_is_reported_once() {
        let mut connection = Connection::new("tcp://127.0.0.1:1", None);
        connection.connect();
        connection.disconnect();
        assert!(matches!(connection.next_event().await, ConnectionEvent::Disconnected));
        assert!(connection.next_event().now_or_never().is_none());
        connection.connect();
    }
}
