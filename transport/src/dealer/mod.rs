//! A ZeroMQ DEALER socket with one connection to the broker.
//!
//! This is the only module that uses the `zeromq` crate. The DEALER of version 0.7.0 has traps, and this module avoids each of them:
//!
//! - Its `connect` hides a refused connection and retries by itself until its timeout. See [`Dealer::connect`].
//! - It never reconnects, and its `recv` never completes once the peer is gone: only its monitor reports that. See
//!   [`Dealer::receive`].
//! - A `send` that is dropped while it waits for capacity sends its message all the same, and its queue holds 100,000 messages of any
//!   size. So the socket is given few enough messages at a time that a send never waits. See [`Dealer::send`].
//! - It tries to allocate any message length that a peer announces. The broker is trusted not to abuse that.
//!
//! A [`Dealer`] never reconnects: the driver of a client or worker drops a lost one and connects another.

mod error;
mod send_window;
mod socket_owner;

use std::{collections::VecDeque, io, path::Path, time::Duration};

use bytes::Bytes;
use callboard_core::wire::bundle::Frames;
use futures::{FutureExt, StreamExt, channel::mpsc};
use tokio::{
    net::{TcpStream, UnixStream},
    time::{self, Instant},
};
use zeromq::{
    DealerSocket, Endpoint, Socket, SocketEvent, SocketOptions, SocketRecv, SocketSend, ZmqError, ZmqMessage,
};

pub use self::error::{ConnectionLost, DealerError, DealerErrorKind};
use self::{send_window::SendWindow, socket_owner::untrusted_owner};

/// The limit from the first packet to the end of ZeroMQ's handshake. A healthy broker answers within milliseconds. A longer wait
/// would only delay the next attempt, when the host name may resolve to another address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The delay before a second, plain connection checks whether the address accepts connections at all. Long enough that an ordinary
/// attempt has succeeded by then, so that the broker sees no such check; short enough that people perceive a refusal as immediate.
const PROBE_DELAY: Duration = Duration::from_millis(100);

/// The limit of messages that wait for the send window. Credit keeps a driver far below it. A driver that reaches it ignores its
/// credit, and its connection is closed before memory runs out.
const UNSENT_MAX: usize = 131_072;

/// A DEALER socket that is connected to one ROUTER.
///
/// One task drives it, on a tokio runtime with I/O and time. Every turn of its loop must end in an await, so that zeromq's writer
/// task runs and writes what the turn sent together.
///
/// Dropping the dealer loses the [`unsent`](Dealer::unsent) messages. It closes the connection as soon as zeromq has written the
/// rest; a peer that does not read delays that until it closes its end. For an orderly end, send goodbye and wait for the answer.
pub struct Dealer {
    socket: DealerSocket,
    /// The only source of news about a lost peer. Its channel drops events beyond 1,024; one connection causes two.
    monitor: mpsc::Receiver<SocketEvent>,
    /// Limits the messages that zeromq holds.
    window: SendWindow,
    /// Messages that zeromq does not hold yet, oldest first.
    outbox: VecDeque<Frames>,
    /// The reason, once the connection is lost.
    lost: Option<ConnectionLost>,
}

impl Dealer {
    /// Connects to `address`: `tcp://HOST:PORT` (a host name, an IPv4 address or an IPv6 address in brackets) or `ipc://PATH`, whose
    /// socket must belong to the user of this process or to root.
    ///
    /// Makes one attempt, for one second at most. The caller decides about further attempts.
    ///
    /// # Errors
    /// [`DealerError`] with its kind and a message for people.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(address: &str) -> Result<Dealer, DealerError> {
        let endpoint = parse(address)?;
        if let Endpoint::Ipc(Some(path)) = &endpoint {
            check_owner(address, path)?;
        }
        let mut options = SocketOptions::default();
        options.no_connect_timeout(); // connect_failure detects a refusal
        let mut socket = DealerSocket::with_options(options);
        let monitor = socket.monitor();
        tokio::select! {
            biased;
            // Cancel safe: both arms close their connections when they are dropped.
            connected = socket.connect(address) => connected.map_err(|error| connect_error(address, error))?,
            error = connect_failure(&endpoint) => return Err(network_error(address, error)),
        }
        Ok(Dealer { socket, monitor, window: SendWindow::default(), outbox: VecDeque::new(), lost: None })
    }

    /// Waits for the next message, and meanwhile sends the [`unsent`](Dealer::unsent) messages.
    ///
    /// Returns the message's frames (at least one) without a copy: each is a slice of the read buffer.
    ///
    /// # Errors
    /// [`ConnectionLost`] when the connection is lost, and at every call from then on. Messages that arrived before are returned
    /// first, with one exception: zeromq drops what it has not decoded yet when writing to the peer fails. A silent peer is not
    /// detected here; heartbeats do that.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost or sent twice when the future is dropped.
    pub async fn receive(&mut self) -> Result<Vec<Bytes>, ConnectionLost> {
        loop {
            self.flush();
            if let Some(lost) = &self.lost {
                return Err(lost.clone());
            }
            tokio::select! {
                biased;
                // First, so that messages that arrived are returned before the loss of the peer. Cancel safe: zeromq's `recv`
                // holds nothing between two polls.
                received = self.socket.recv() => match received {
                    Ok(message) => return Ok(message.into_vec()),
                    Err(error) => self.lost = Some(ConnectionLost::new(error)),
                },
                // Cancel safe: a stream's `next` holds nothing.
                event = self.monitor.next() => match event {
                    Some(SocketEvent::Disconnected(_)) | None => self.lost = Some(ConnectionLost::new("the peer closed it")),
                    Some(_) => {}
                },
                // Cancel safe: takes nothing; the loop checks the window again.
                () = self.window.capacity(), if !self.outbox.is_empty() => {}
            }
        }
    }

    /// Returns the next message if it has already arrived. Returns `None` also if the connection is lost, which
    /// [`receive`](Dealer::receive) reports.
    ///
    /// For the rest of a turn, after `receive` has returned the turn's first message.
    pub fn try_receive(&mut self) -> Option<Vec<Bytes>> {
        self.flush();
        if self.lost.is_some() {
            return None;
        }
        match self.socket.recv().now_or_never()? {
            Ok(message) => Some(message.into_vec()),
            Err(error) => {
                self.lost = Some(ConnectionLost::new(error));
                None
            }
        }
    }

    /// Sends a message without waiting: at once if the send window has capacity, otherwise when it has, in order.
    ///
    /// "Sent" means that zeromq holds the message. zeromq is given another message, of any size, while it holds less than 1 MiB. That
    /// is measured to 64 KiB, and a message counts 256 bytes more than its length. Further messages wait in the dealer and are
    /// [`unsent`](Dealer::unsent). More than 131,072 unsent messages end the connection. A message that is sent on a lost connection
    /// is dropped.
    pub fn send(&mut self, frames: Frames) {
        if self.lost.is_some() {
            return;
        }
        if self.outbox.len() >= UNSENT_MAX {
            self.lost =
                Some(ConnectionLost::new(format!("the peer does not read, and {UNSENT_MAX} messages wait for it")));
            return;
        }
        self.outbox.push_back(frames);
        self.flush();
    }

    /// Returns the number of messages that wait for the send window.
    ///
    /// Above zero the peer reads more slowly than this side sends. The driver should accept no new work until it is zero again. An
    /// awaited [`receive`](Dealer::receive) lowers it.
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Gives zeromq messages until the send window is full.
    fn flush(&mut self) {
        while self.lost.is_none()
            && self.window.has_capacity()
            && let Some(frames) = self.outbox.pop_front()
        {
            self.write(frames);
        }
    }

    /// Gives one message to zeromq. The limit of the window guarantees that zeromq's queue has capacity for it.
    fn write(&mut self, frames: Frames) {
        let message = message(self.window.admit(frames));
        self.lost = match self.socket.send(message).now_or_never() {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(ConnectionLost::new(error)),
            // zeromq waits for a peer that is being removed. The message may or may not have been written; the connection is lost
            // either way.
            None => Some(ConnectionLost::new("the peer disconnected while a message was sent")),
        };
    }
}

/// Converts frames to zeromq's type. The only allocation is zeromq's own list of frames.
fn message(frames: Frames) -> ZmqMessage {
    match frames.large {
        None => ZmqMessage::from(frames.first),
        Some(body) => ZmqMessage::try_from(vec![frames.first, body]).expect("a list of two frames is not empty"),
    }
}

fn parse(address: &str) -> Result<Endpoint, DealerError> {
    let bad = |reason: &str| DealerError::new(DealerErrorKind::BadAddress, address, reason);
    match address.parse() {
        Ok(Endpoint::Tcp(_, 0)) => Err(bad("port 0 can be bound, but not connected to")),
        Ok(endpoint) => Ok(endpoint),
        Err(error) => Err(bad(&error.to_string())),
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

/// Waits until a connection attempt has failed and returns the reason: early if the address refuses connections, otherwise at the
/// timeout.
async fn connect_failure(endpoint: &Endpoint) -> io::Error {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    time::sleep(PROBE_DELAY).await;
    match time::timeout_at(deadline, probe(endpoint)).await {
        Ok(Err(error)) if is_refusal(&error) => error,
        _ => {
            time::sleep_until(deadline).await;
            io::Error::new(io::ErrorKind::TimedOut, format!("no ZeroMQ handshake within {CONNECT_TIMEOUT:?}"))
        }
    }
}

/// Opens a connection to `endpoint` and closes it.
async fn probe(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint {
        Endpoint::Tcp(host, port) => TcpStream::connect((host.to_string(), *port)).await.map(drop),
        Endpoint::Ipc(Some(path)) => UnixStream::connect(path).await.map(drop),
        _ => Ok(()),
    }
}

/// Returns true if the address has no listener. An `ipc://` address without one may lack even its file.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// Classifies zeromq's errors, most of which are only text. All that are not network errors come from the handshake.
fn connect_error(address: &str, error: ZmqError) -> DealerError {
    match error {
        ZmqError::Network(error) => network_error(address, error),
        ZmqError::Endpoint(error) => DealerError::new(DealerErrorKind::BadAddress, address, error),
        error => DealerError::new(DealerErrorKind::Handshake, address, error),
    }
}

fn network_error(address: &str, error: io::Error) -> DealerError {
    let kind = match error.kind() {
        _ if is_refusal(&error) => DealerErrorKind::Refused,
        io::ErrorKind::InvalidInput => DealerErrorKind::BadAddress,
        io::ErrorKind::TimedOut => DealerErrorKind::TimedOut,
        _ => DealerErrorKind::Unreachable,
    };
    DealerError::new(kind, address, error)
}
