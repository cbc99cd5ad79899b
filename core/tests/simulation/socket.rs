//! The socket of a peer, as its driver owns it.

use std::collections::VecDeque;

use bytes::Bytes;
use callboard_core::{
    broker::Endpoint,
    wire::{Bundler, Envelope, ids::ConnectionId},
};

use super::{
    context::Context,
    network::{End, Host, Packet},
};

/// An input from a socket.
#[derive(Debug)]
pub(crate) enum Input {
    Connected,
    Frames(Vec<Bytes>),
    Disconnected,
}

/// The socket of one peer, and its inputs that are not handled yet.
#[derive(Debug)]
pub(crate) struct Socket {
    host: Host,
    endpoint: Endpoint,
    connection: Option<ConnectionId>,
    connected: bool,
    bundler: Bundler,
    /// Whether all envelopes in the bundler may arrive twice.
    repeatable: bool,
    inputs: VecDeque<Input>,
}

impl Socket {
    pub(crate) fn new(host: Host, endpoint: Endpoint) -> Socket {
        let (bundler, inputs) = (Bundler::new(), VecDeque::new());
        Socket { host, endpoint, connection: None, connected: false, bundler, repeatable: true, inputs }
    }

    /// Handles a packet. Returns whether it is for this socket; a packet for an earlier connection is dropped.
    pub(crate) fn arrived(&mut self, connection: ConnectionId, packet: Packet, context: &mut Context) -> bool {
        if self.connection != Some(connection) {
            return false;
        }
        let input = match packet {
            Packet::Opened => {
                self.connected = true;
                Input::Connected
            }
            Packet::Message(frames) => Input::Frames(frames),
            Packet::Closed => {
                self.release(context);
                Input::Disconnected
            }
        };
        self.inputs.push_back(input);
        true
    }

    pub(crate) fn next_input(&mut self) -> Option<Input> {
        self.inputs.pop_front()
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// Opens a connection for the machine.
    pub(crate) fn connect(&mut self, context: &mut Context) {
        let ending = self.inputs.iter().any(|input| matches!(input, Input::Disconnected));
        assert!(self.connection.is_none() && !ending, "{} connects while it has a socket", self.host);
        let at = context.arrival();
        self.connection = Some(context.network.connect(self.host, self.endpoint, at));
        self.connected = false;
    }

    /// Sends an envelope of the machine. It is lost if the connection has just ended, as on a real socket.
    pub(crate) fn send(&mut self, envelope: &Envelope) {
        let ended = self.inputs.iter().any(|input| matches!(input, Input::Disconnected));
        assert!(self.connected || ended, "{} sends {envelope:?} without a socket", self.host);
        self.repeatable &= may_arrive_twice(envelope);
        self.bundler.push(envelope);
    }

    /// Writes the envelopes of this run.
    pub(crate) fn flush(&mut self, context: &mut Context) {
        let repeatable = std::mem::replace(&mut self.repeatable, true);
        for frames in self.bundler.take() {
            let Some(connection) = self.connection else { continue };
            let twice = repeatable && context.rng.percent(context.config.duplicate_percent);
            for _ in 0..=u8::from(twice) {
                let at = context.arrival();
                context.network.send(connection, End::Broker, at, Packet::Message(frames.to_vec()));
            }
        }
    }

    /// Closes the connection for the machine: its envelopes are written, and unread input is dropped.
    pub(crate) fn disconnect(&mut self, context: &mut Context) {
        let ended = self.inputs.iter().any(|input| matches!(input, Input::Disconnected));
        assert!(self.connection.is_some() || ended, "{} drops a socket that it does not have", self.host);
        self.flush(context);
        self.release(context);
        self.inputs.clear();
        self.inputs.push_back(Input::Disconnected);
    }

    /// Returns the current connection, if there is one.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    fn release(&mut self, context: &mut Context) {
        self.connected = false;
        if let Some(connection) = self.connection.take() {
            let (at, lost) = (context.arrival(), context.lost_at_close());
            context.network.close(connection, End::Peer, Some(at), lost);
        }
    }
}

/// Returns whether an envelope may arrive twice. TCP never delivers twice, but the broker must tolerate a peer that repeats these.
fn may_arrive_twice(envelope: &Envelope) -> bool {
    matches!(
        envelope,
        Envelope::Request(_)
            | Envelope::Cancel(_)
            | Envelope::Reply(_)
            | Envelope::Started(_)
            | Envelope::Handback(_)
            | Envelope::Ping(_)
    )
}
