//! The worker's life: joining the broker, losing it, being refused, draining.

use bytes::Bytes;

use super::{Action, Diagnostic, Worker, job::Stopped, phase::Phase};
use crate::{
    body,
    peer::DisconnectReason,
    time::Time,
    wire::{
        envelope::{Envelope, Ping},
        handshake::Register,
        limits::{GOODBYE_TIMEOUT, HEADER_BYTES_MAX},
        status::Failure,
    },
};

impl Worker {
    /// The broker let the worker in: it says what it serves, and how many slots calls of earlier connections leave
    /// free. A registration has no answer of its own, so a ping goes behind it.
    pub(super) fn on_welcome(&mut self, now: Time, out: &mut Vec<Action>) {
        self.counters.connections += 1;
        for (at, offer) in self.register.offers.iter_mut().enumerate() {
            offer.free = self.jobs.free(at);
            offer.keys = self.jobs.keys(at);
        }
        let welcome = self.peer.welcome().expect("the peer has just kept it");
        let room = usize::try_from(welcome.message_bytes_max).unwrap_or(usize::MAX).saturating_sub(HEADER_BYTES_MAX);
        self.send(now, Envelope::Register(encoded(&self.register, room)), out);
        let number = self.peer.next_ping();
        self.registering = Some(number);
        self.send(now, Envelope::Ping(Ping { number, done_below: None }), out);
    }

    /// The broker has read the registration and has not refused it: from now on who calls finds this worker.
    fn registered(&self, out: &mut Vec<Action>) {
        let Some(welcome) = self.peer.welcome() else { return };
        let (broker, start) = (welcome.broker, welcome.start);
        out.push(Action::Log(Diagnostic::Registered { broker, start, running: self.running_len() }));
    }

    /// The connection is over by the peer's word: the driver does not know it yet.
    pub(super) fn drop_socket(&mut self, reason: DisconnectReason, out: &mut Vec<Action>) {
        out.push(Action::Disconnect);
        self.on_disconnected(reason, out);
    }

    /// The connection is over. What runs runs on, but for streams, whose other end is gone; the broker sends what was held to another
    /// worker.
    pub(super) fn on_disconnected(&mut self, reason: DisconnectReason, out: &mut Vec<Action>) {
        self.registering = None;
        self.drop_held();
        self.stop_streams(out);
        out.push(Action::Log(Diagnostic::Disconnected { reason, running: self.running_len() }));
    }

    /// The broker will not have this worker.
    pub(super) fn on_rejected(&mut self, failure: Box<Failure>, out: &mut Vec<Action>) {
        self.registering = None;
        self.drop_held();
        self.stop_streams(out);
        if !self.phase.is_draining() {
            self.phase = Phase::Rejected;
        }
        out.push(Action::Disconnect);
        out.push(Action::Rejected(failure));
    }

    fn drop_held(&mut self) {
        for id in self.jobs.held() {
            self.jobs.unhold(id);
        }
    }

    /// The worker is to end. Asked again, it can only be hurried.
    pub(super) fn shutdown(&mut self, now: Time, deadline: Time, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Serving | Phase::Rejected => self.phase = Phase::Draining { deadline, ping: None },
            Phase::Draining { deadline: earlier, ping } => {
                self.phase = Phase::Draining { deadline: deadline.min(earlier), ping };
                return;
            }
            Phase::Closing | Phase::Closed => return,
        }
        if self.peer.is_connected() {
            let number = self.peer.next_ping();
            self.phase = Phase::Draining { deadline, ping: Some(number) };
            self.send(now, Envelope::Drain, out);
            self.send(now, Envelope::Ping(Ping { number, done_below: None }), out);
            for id in self.jobs.held() {
                self.jobs.unhold(id);
                self.hand_back(now, id, out);
            }
        }
    }

    /// A pong came. If it is the one that follows the registration, that has been taken; if the one that follows the drain, no call
    /// is on its way any more.
    pub(super) fn pong(&mut self, number: u64, out: &mut Vec<Action>) {
        if self.registering.take_if(|ping| *ping == number).is_some() {
            self.registered(out);
        }
        if let Phase::Draining { ping, .. } = &mut self.phase {
            ping.take_if(|ping| *ping == number);
        }
    }

    /// While draining: says goodbye when nothing runs and nothing comes any more, or the time is up, and does not come back to a
    /// broker that it is apart from.
    pub(super) fn advance_draining(&mut self, now: Time, out: &mut Vec<Action>) {
        let Phase::Draining { deadline, ping } = self.phase else { return };
        if !self.peer.is_connected() && self.peer.give_up() {
            out.push(Action::Disconnect);
        }
        if deadline <= now {
            for id in self.jobs.unstopped() {
                self.stop(id, Stopped::Drained, out);
            }
        } else if self.running_len() > 0 || (ping.is_some() && self.peer.is_connected()) {
            return;
        }
        if self.peer.is_connected() {
            self.phase = Phase::Closing;
            self.send(now, Envelope::Goodbye(None), out);
            self.peer.start_closing(now + GOODBYE_TIMEOUT);
        } else {
            self.finish(out);
        }
    }

    /// Goodbye was answered, or will not be.
    pub(super) fn on_goodbye_done(&mut self, out: &mut Vec<Action>) {
        out.push(Action::Disconnect);
        self.finish(out);
    }

    /// It is over.
    pub(super) fn finish(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::Closed;
        out.push(Action::ShutdownComplete);
    }
}

/// The registration, without descriptions where they leave no room for it: a service is served all the same.
fn encoded(register: &Register, room: usize) -> Bytes {
    let whole = body::encode(register).expect("a registration has a CBOR form");
    if whole.len() <= room {
        return whole;
    }
    let mut bare = register.clone();
    bare.offers.iter_mut().filter_map(|offer| offer.contract.as_mut()).for_each(|contract| contract.description = None);
    body::encode(&bare).expect("a registration has a CBOR form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::handshake::{ContractOffer, Offer};

    #[test]
    fn a_description_stays_at_home_where_the_registration_would_be_too_large() {
        let hash = "0123456789abcdef".parse().unwrap();
        let contract = ContractOffer { hash, description: Some(Bytes::from(vec![0; 1000])) };
        let offer = Offer {
            service: "s".to_owned(),
            slots: 1,
            free: 1,
            prefetch: 0,
            keys: Vec::new(),
            methods: Vec::new(),
            contract: Some(contract),
        };
        let register = Register { offers: vec![offer], exclusive: false };
        let contract = |room| {
            let register: Register = body::decode(&encoded(&register, room)).unwrap();
            register.offers[0].contract.clone().unwrap()
        };
        assert_eq!(contract(2000).description.unwrap().len(), 1000);
        assert_eq!(contract(500).description, None);
        assert_eq!(contract(500).hash, hash);
    }
}
