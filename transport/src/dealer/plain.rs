//! A DEALER without encryption: that of the `zeromq` crate.
//!
//! The DEALER of its version 0.7.0 has traps, and this module avoids each of them:
//!
//! - Its `connect` hides a refused connection and retries by itself until its timeout. See [`PlainDealer::connect`].
//! - It never reconnects, and its `recv` never completes once the peer is gone: only its monitor reports that. See
//!   [`PlainDealer::receive`].
//! - A `send` that is dropped while it waits for capacity sends its message all the same, and its queue holds 100,000 messages of any
//!   size. So the socket is given few enough messages at a time that a send never waits. See [`PlainDealer::send`].
//! - It tries to allocate any message length that a peer announces. The broker is trusted not to abuse that.

use std::{collections::VecDeque, error::Error, io, time::Duration};

use bytes::Bytes;
use callboard_core::{text::HumanDuration, wire::bundle::Frames};
use futures::{FutureExt, StreamExt, channel::mpsc};
use tokio::{
    net::{TcpStream, UnixStream},
    time::{self, Instant},
};
use zeromq::{
    DealerSocket, Endpoint, Socket, SocketEvent, SocketOptions, SocketRecv, SocketSend, ZmqError, ZmqMessage,
};

use super::{
    encrypted::plain_rejection,
    endpoint::{is_refusal, network_error, syntax_problem},
    error::{ConnectionLost, DealerError, DealerErrorKind},
    limits::{CONNECT_TIMEOUT, UNSENT_MAX},
    send_window::SendWindow,
};

/// The delay before a second, plain connection checks whether the address accepts connections at all. Long enough that an ordinary
/// attempt has succeeded by then, so that the broker sees no such check; short enough that people perceive a refusal as immediate.
const PROBE_DELAY: Duration = Duration::from_millis(100);

/// A DEALER of the `zeromq` crate.
///
/// zeromq's writer task writes what a turn sent, once the turn ends in an await.
pub(super) struct PlainDealer {
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

impl PlainDealer {
    /// Connects to `endpoint`, which `address` names.
    pub(super) async fn connect(address: &str, endpoint: &Endpoint) -> Result<PlainDealer, DealerError> {
        let mut options = SocketOptions::default();
        options.no_connect_timeout(); // connect_failure detects a refusal
        let mut socket = DealerSocket::with_options(options);
        let monitor = socket.monitor();
        let connected = tokio::select! {
            biased;
            // Cancel safe: both arms close their connections when they are dropped.
            connected = socket.connect(address) => connected.map_err(|error| connect_error(address, error)),
            error = connect_failure(endpoint) => Err(network_error(address, error)),
        };
        match connected {
            Err(error) if error.kind() == DealerErrorKind::Handshake => {
                return Err(plain_rejection(address, endpoint).await.unwrap_or(error));
            }
            connected => connected?,
        }
        Ok(PlainDealer { socket, monitor, window: SendWindow::default(), outbox: VecDeque::new(), lost: None })
    }

    /// Waits for the next message, and meanwhile gives zeromq messages as its window allows.
    ///
    /// zeromq drops what it has not decoded yet when writing to the peer fails.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost or sent twice when the future is dropped.
    pub(super) async fn receive(&mut self) -> Result<Vec<Bytes>, ConnectionLost> {
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
                    Err(error) => self.lost = Some(ConnectionLost::new(loss_reason(&error))),
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

    /// Returns the next message if it has already arrived.
    pub(super) fn try_receive(&mut self) -> Option<Vec<Bytes>> {
        self.flush();
        if self.lost.is_some() {
            return None;
        }
        match self.socket.recv().now_or_never()? {
            Ok(message) => Some(message.into_vec()),
            Err(error) => {
                self.lost = Some(ConnectionLost::new(loss_reason(&error)));
                None
            }
        }
    }

    /// Sends a message: gives it to zeromq if the window has capacity, otherwise when it has.
    ///
    /// zeromq is given another message, of any size, while it holds less than 1 MiB. That is measured to 64 KiB, and a message counts
    /// 256 bytes more than its length.
    pub(super) fn send(&mut self, frames: Frames) {
        if self.lost.is_some() {
            return;
        }
        if self.outbox.len() >= UNSENT_MAX {
            self.lost = Some(ConnectionLost::peer_does_not_read());
            return;
        }
        self.outbox.push_back(frames);
    }

    /// Returns the number of messages that zeromq does not hold yet.
    pub(super) fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Gives zeromq messages until the send window is full.
    pub(super) fn flush(&mut self) {
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
            Some(Err(error)) => Some(ConnectionLost::new(loss_reason(&error))),
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

/// Waits until a connection attempt has failed and returns the reason: early if the address refuses connections, otherwise at the
/// timeout.
async fn connect_failure(endpoint: &Endpoint) -> io::Error {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    time::sleep(PROBE_DELAY).await;
    match time::timeout_at(deadline, probe(endpoint)).await {
        Ok(Err(error)) if is_refusal(&error) => error,
        _ => {
            time::sleep_until(deadline).await;
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no ZeroMQ handshake within {}", HumanDuration(CONNECT_TIMEOUT)),
            )
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

/// Classifies zeromq's errors, most of which are only text. All that are not network errors come from the handshake.
fn connect_error(address: &str, error: ZmqError) -> DealerError {
    match error {
        ZmqError::Network(error) => network_error(address, error),
        ZmqError::Endpoint(_) => DealerError::new(DealerErrorKind::BadAddress, address, syntax_problem(address)),
        error => DealerError::new(DealerErrorKind::Handshake, address, handshake_problem(&error)),
    }
}

/// Returns why a handshake failed. zeromq's own texts are for its developers.
fn handshake_problem(error: &ZmqError) -> &'static str {
    match error {
        ZmqError::NoMessage => "it closed the connection during the handshake",
        ZmqError::Codec(_) if system_error(error).is_some() => "it closed the connection during the handshake",
        ZmqError::Codec(_) => "its answer is not ZMTP, the protocol of ZeroMQ",
        ZmqError::UnsupportedVersion(_) => "it speaks another version of ZMTP, the protocol of ZeroMQ",
        ZmqError::Other(_) | ZmqError::Socket(_) => "its socket is not a ROUTER",
        _ => "the ZeroMQ handshake failed",
    }
}

/// Returns why a connection was lost.
fn loss_reason(error: &ZmqError) -> String {
    match (system_error(error), error) {
        (Some(error), _) => error.to_string(),
        (None, ZmqError::Codec(_)) => "the peer sent what is not ZMTP, the protocol of ZeroMQ".to_owned(),
        _ => "the peer closed it".to_owned(),
    }
}

/// Returns the system's error behind an error of zeromq, if there is one.
fn system_error(error: &ZmqError) -> Option<&io::Error> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(system) = error.downcast_ref() {
            return Some(system);
        }
        next = error.source();
    }
    None
}
