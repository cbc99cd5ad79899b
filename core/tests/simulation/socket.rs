//! The socket of a peer, as a driver would own it.

use std::collections::VecDeque;

use bytes::Bytes;
use callboard_core::{
    broker::Endpoint,
    wire::{Bundler, Envelope, ids::ConnectionId},
};

use super::{
    network::{End, Host, Parcel},
    scene::Scene,
};

/// What comes from a socket.
#[derive(Debug)]
pub(crate) enum Input {
    Connected,
    Frames(Vec<Bytes>),
    Disconnected,
}

/// The socket of one peer, and what came from it and was not handled yet.
#[derive(Debug)]
pub(crate) struct Socket {
    host: Host,
    endpoint: Endpoint,
    connection: Option<ConnectionId>,
    connected: bool,
    bundler: Bundler,
    /// Whether all that is in the bundler may arrive twice.
    repeatable: bool,
    inputs: VecDeque<Input>,
}

impl Socket {
    pub(crate) fn new(host: Host, endpoint: Endpoint) -> Socket {
        let (bundler, inputs) = (Bundler::new(), VecDeque::new());
        Socket { host, endpoint, connection: None, connected: false, bundler, repeatable: true, inputs }
    }

    /// Something arrived. Returns whether it is for this socket; one that was dropped hears nothing any more.
    pub(crate) fn arrived(&mut self, connection: ConnectionId, parcel: Parcel, scene: &mut Scene) -> bool {
        if self.connection != Some(connection) {
            return false;
        }
        let input = match parcel {
            Parcel::Opened => {
                self.connected = true;
                Input::Connected
            }
            Parcel::Message(frames) => Input::Frames(frames),
            Parcel::Closed => {
                self.release(scene);
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

    /// The machine asks for a socket.
    pub(crate) fn connect(&mut self, scene: &mut Scene) {
        let waits = self.inputs.iter().any(|input| matches!(input, Input::Disconnected));
        assert!(self.connection.is_none() && !waits, "{} connects while it has a socket", self.host);
        let at = scene.arrival();
        self.connection = Some(scene.network.connect(self.host, self.endpoint, at));
        self.connected = false;
    }

    /// The machine sends. What is sent to a socket that has just ended is lost, as it would be.
    pub(crate) fn send(&mut self, envelope: &Envelope) {
        let ended = self.inputs.iter().any(|input| matches!(input, Input::Disconnected));
        assert!(self.connected || ended, "{} sends {envelope:?} without a socket", self.host);
        self.repeatable &= may_arrive_twice(envelope);
        self.bundler.push(envelope);
    }

    /// Writes what was sent in this turn.
    pub(crate) fn flush(&mut self, scene: &mut Scene) {
        let repeatable = std::mem::replace(&mut self.repeatable, true);
        for frames in self.bundler.take() {
            let Some(connection) = self.connection else { continue };
            let twice = repeatable && scene.chance.percent(scene.knobs.duplicate_percent);
            for _ in 0..=u8::from(twice) {
                let at = scene.arrival();
                scene.network.send(connection, End::Broker, at, Parcel::Message(frames.to_vec()));
            }
        }
    }

    /// The machine drops the socket: what it has sent is written, what has come is not read any more.
    pub(crate) fn disconnect(&mut self, scene: &mut Scene) {
        let ended = self.inputs.iter().any(|input| matches!(input, Input::Disconnected));
        assert!(self.connection.is_some() || ended, "{} drops a socket that it does not have", self.host);
        self.flush(scene);
        self.release(scene);
        self.inputs.clear();
        self.inputs.push_back(Input::Disconnected);
    }

    /// The connection that this socket has, if there is one.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    fn release(&mut self, scene: &mut Scene) {
        self.connected = false;
        if let Some(connection) = self.connection.take() {
            let (at, lost) = (scene.arrival(), scene.lost_at_close());
            scene.network.close(connection, End::Peer, Some(at), lost);
        }
    }
}

/// TCP delivers nothing twice; a peer that repeats these does no harm, and the broker must see to that.
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
