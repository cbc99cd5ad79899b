//! The ZeroMQ side of clients and workers: one DEALER with one connection to the broker.
//!
//! This is the only file that names the `zeromq` crate. Its DEALER has traps (0.7.0), and each is met here once:
//!
//! - Its `connect` hides a refusal and tries again by itself, for as long as it is allowed to. See [`Dealer::connect`].
//! - It never reconnects, and its `recv` waits for ever once the peer is gone: only its monitor tells. See
//!   [`Dealer::receive`].
//! - A `send` that is dropped while it waits for room has sent all the same, and its queue has room for 100,000
//!   messages whatever their size. So it is given so little at a time that it never waits: see [`Dealer::send`].
//! - It decodes whatever length a peer announces and would try to allocate it. A broker is trusted with that.
//!
//! Nothing here reconnects: whoever drives a client or a worker drops a lost [`Dealer`] and connects another.

mod error;
mod owner;
mod window;

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

pub use error::{DealerError, DealerErrorKind, Lost};
use window::Window;

/// From the first packet to the end of ZeroMQ's handshake. A broker that is well answers within milliseconds; waiting
/// longer would only delay the next attempt, and another address might be the right one by then.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// How long a connection may be in the making before we look whether anybody listens at all. Long enough that an
/// ordinary connection is made by then and the broker never sees us look; short enough that a person calls it "at
/// once".
const REFUSAL_AFTER: Duration = Duration::from_millis(100);

/// Messages that may wait for room. Credit keeps a peer far below; one that gets here sends without regard to what it
/// was granted, and the connection is given up before memory is.
const UNSENT_MAX: usize = 131_072;

/// A DEALER that is connected to one ROUTER.
///
/// To be driven by one task, on a tokio runtime with I/O and time. Every turn of its loop ends in an await, so that
/// the task in which zeromq writes gets to run; what one turn sent is then written together.
///
/// Dropping it loses what is [`unsent`](Dealer::unsent) and closes the connection as soon as zeromq has written the
/// rest (a peer that does not read delays that until its end of the connection is closed). To part in order, say
/// goodbye and wait for the answer.
pub struct Dealer {
    socket: DealerSocket,
    /// zeromq's only word on a lost peer. Its channel drops events above 1,024; one connection makes two.
    monitor: mpsc::Receiver<SocketEvent>,
    /// What zeromq holds of ours.
    window: Window,
    /// What zeromq was not given yet, oldest first.
    outbox: VecDeque<Frames>,
    /// Why the connection is gone, once it is.
    lost: Option<Lost>,
}

impl Dealer {
    /// Connects to `address`: `tcp://HOST:PORT` (a name, an IPv4 address or an IPv6 address in brackets) or
    /// `ipc://PATH`, whose socket must be our own user's or root's.
    ///
    /// Tries once, for a second at most. Whoever wants another try decides when.
    ///
    /// # Errors
    /// [`DealerError`] says which of its kinds, in a sentence for people.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(address: &str) -> Result<Dealer, DealerError> {
        let endpoint = parse(address)?;
        if let Endpoint::Ipc(Some(path)) = &endpoint {
            check_owner(address, path)?;
        }
        let mut options = SocketOptions::default();
        options.no_connect_timeout(); // ours knows a refusal
        let mut socket = DealerSocket::with_options(options);
        let monitor = socket.monitor();
        tokio::select! {
            biased;
            // Both arms may be dropped: a connection or a look that nobody waits for any more is closed.
            connected = socket.connect(address) => connected.map_err(|error| connect_error(address, error))?,
            silence = silence(&endpoint) => return Err(network_error(address, silence)),
        }
        Ok(Dealer { socket, monitor, window: Window::default(), outbox: VecDeque::new(), lost: None })
    }

    /// Waits for the next message, and meanwhile sends what is [`unsent`](Dealer::unsent).
    ///
    /// Returns the message's frames (at least one), uncopied: each is a slice of the read buffer.
    ///
    /// # Errors
    /// [`Lost`] when the connection is gone, from then on at every call. Messages that arrived before come first, with
    /// one exception: zeromq drops what it has not decoded yet when writing to the peer fails. A peer that falls silent
    /// is not noticed here: heartbeats are for that.
    ///
    /// # Cancel safety
    /// Nothing is lost or sent twice when the future is dropped, at any point.
    pub async fn receive(&mut self) -> Result<Vec<Bytes>, Lost> {
        loop {
            self.flush();
            if let Some(lost) = &self.lost {
                return Err(lost.clone());
            }
            tokio::select! {
                biased;
                // First, so that what arrived goes before the news that the peer is gone. zeromq's `recv` holds nothing
                // between two polls.
                received = self.socket.recv() => match received {
                    Ok(message) => return Ok(message.into_vec()),
                    Err(error) => self.lost = Some(Lost::new(error)),
                },
                // A stream's `next` holds nothing.
                event = self.monitor.next() => match event {
                    Some(SocketEvent::Disconnected(_)) | None => self.lost = Some(Lost::new("the peer closed it")),
                    Some(_) => {}
                },
                // Holds nothing either: the loop looks again.
                () = self.window.room(), if !self.outbox.is_empty() => {}
            }
        }
    }

    /// The next message if it is here already; `None` also if the connection is gone, which
    /// [`receive`](Dealer::receive) tells.
    ///
    /// For the rest of a turn, after `receive` has returned its first message.
    pub fn try_receive(&mut self) -> Option<Vec<Bytes>> {
        self.flush();
        if self.lost.is_some() {
            return None;
        }
        match self.socket.recv().now_or_never()? {
            Ok(message) => Some(message.into_vec()),
            Err(error) => {
                self.lost = Some(Lost::new(error));
                None
            }
        }
    }

    /// Sends a message: at once if zeromq has room, else when it has, in order. Never waits.
    ///
    /// "Sent" means that zeromq holds it. It is given another message, of any size, while it holds less than 1 MiB (to
    /// 64 KiB, and a message counts for 256 bytes more than it has); the rest waits here and is
    /// [`unsent`](Dealer::unsent). More than 131,072 unsent messages end the connection. Whatever is sent on a
    /// connection that is lost is lost.
    pub fn send(&mut self, frames: Frames) {
        if self.lost.is_some() {
            return;
        }
        if self.outbox.len() >= UNSENT_MAX {
            self.lost = Some(Lost::new("the peer does not read, and too many messages wait for it"));
            return;
        }
        self.outbox.push_back(frames);
        self.flush();
    }

    /// Messages that wait for room. Above zero the peer is slower than we are, and its driver should take no new work
    /// until this is zero again; a [`receive`](Dealer::receive) that is awaited makes it fall.
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Gives zeromq what it has room for.
    fn flush(&mut self) {
        while self.lost.is_none()
            && self.window.has_room()
            && let Some(frames) = self.outbox.pop_front()
        {
            self.give(frames);
        }
    }

    /// Gives one message to zeromq, whose queue has room for it by the window's bound.
    fn give(&mut self, frames: Frames) {
        let message = message(self.window.admit(frames));
        self.lost = match self.socket.send(message).now_or_never() {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(Lost::new(error)),
            // It looks for a peer that is just being removed. Whether the message went out nobody can tell, but nobody
            // will read the answer either.
            None => Some(Lost::new("the peer left while a message was sent")),
        };
    }
}

/// As zeromq has it: the one allocation is zeromq's own list of frames.
fn message(frames: Frames) -> ZmqMessage {
    match frames.large {
        None => ZmqMessage::from(frames.first),
        Some(body) => ZmqMessage::try_from(vec![frames.first, body]).expect("two frames are not none"),
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

/// Whoever has made the socket gets what we send, and is believed what they answer.
fn check_owner(address: &str, path: &Path) -> Result<(), DealerError> {
    match owner::stranger(path) {
        Ok(None) => Ok(()),
        Ok(Some(user)) => {
            let reason = format!("its socket belongs to user {user}");
            Err(DealerError::new(DealerErrorKind::Stranger, address, reason))
        }
        Err(error) => Err(network_error(address, error)),
    }
}

/// Waits for as long as a connection may be in the making, and says why there is none: at once if nobody listens.
async fn silence(endpoint: &Endpoint) -> io::Error {
    let deadline = Instant::now() + CONNECT_MAX;
    time::sleep(REFUSAL_AFTER).await;
    match time::timeout_at(deadline, look(endpoint)).await {
        Ok(Err(error)) if is_refusal(&error) => error,
        _ => {
            time::sleep_until(deadline).await;
            io::Error::new(io::ErrorKind::TimedOut, format!("no ZeroMQ handshake within {CONNECT_MAX:?}"))
        }
    }
}

/// Opens a connection to `endpoint` and closes it.
async fn look(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint {
        Endpoint::Tcp(host, port) => TcpStream::connect((host.to_string(), *port)).await.map(drop),
        Endpoint::Ipc(Some(path)) => UnixStream::connect(path).await.map(drop),
        _ => Ok(()),
    }
}

/// Nobody listens; of an `ipc://` address the file may not even be there.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// Sorts zeromq's errors, most of which are only text. What is not the network's is the peer's part of the handshake.
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
