//! The worker's lifecycle: connecting, disconnecting, rejection, draining.

use bytes::Bytes;

use super::{Action, Diagnostic, Worker, job::StopReason, phase::Phase};
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
    /// Handles the welcome: sends the registration, with the slots that calls of earlier connections leave free. A registration
    /// has no reply, so a ping follows it.
    pub(super) fn on_welcome(&mut self, now: Time, out: &mut Vec<Action>) {
        self.counters.connections += 1;
        for (at, offer) in self.register.offers.iter_mut().enumerate() {
            offer.free = self.jobs.free(at);
            offer.keys = self.jobs.keys(at);
        }
        let welcome = self.peer.welcome().expect("the peer has just stored it");
        let bytes_max =
            usize::try_from(welcome.message_bytes_max).unwrap_or(usize::MAX).saturating_sub(HEADER_BYTES_MAX);
        self.send(now, Envelope::Register(encode_registration(&self.register, bytes_max)), out);
        let number = self.peer.next_ping();
        self.registration_ping = Some(number);
        self.send(now, Envelope::Ping(Ping { number, done_below: None }), out);
    }

    /// Logs that the broker has accepted the registration: from now on it dispatches calls to this worker.
    fn log_registered(&self, out: &mut Vec<Action>) {
        let Some(welcome) = self.peer.welcome() else { return };
        let (broker, start) = (welcome.broker, welcome.start);
        out.push(Action::Log(Diagnostic::Registered { broker, start, running: self.running_len() }));
    }

    /// Ends a connection that the peer gave up, and asks the driver to drop the socket.
    pub(super) fn drop_socket(&mut self, reason: DisconnectReason, out: &mut Vec<Action>) {
        out.push(Action::Disconnect);
        self.on_disconnected(reason, out);
    }

    /// Handles the end of the connection. Running calls continue, except those with streams, which have lost their other side.
    /// The broker dispatches the prefetched calls to other workers.
    pub(super) fn on_disconnected(&mut self, reason: DisconnectReason, out: &mut Vec<Action>) {
        self.registration_ping = None;
        self.drop_prefetched();
        self.jobs.mark_all_long();
        self.stop_streams(out);
        out.push(Action::Log(Diagnostic::Disconnected { reason, running: self.running_len() }));
    }

    /// Handles the rejection of this worker.
    pub(super) fn on_rejected(&mut self, failure: Box<Failure>, out: &mut Vec<Action>) {
        self.registration_ping = None;
        self.drop_prefetched();
        self.stop_streams(out);
        if !self.phase.is_draining() {
            self.phase = Phase::Rejected;
        }
        out.push(Action::Disconnect);
        out.push(Action::Rejected(failure));
    }

    fn drop_prefetched(&mut self) {
        for id in self.jobs.prefetched() {
            self.jobs.take_prefetched(id);
        }
    }

    /// Starts to drain. A second shutdown can only make the deadline earlier.
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
            for id in self.jobs.prefetched() {
                self.jobs.take_prefetched(id);
                self.hand_back(now, id, out);
            }
        }
    }

    /// Handles a pong. The one behind the registration means that the broker has accepted it. After the one behind the drain, no
    /// more calls arrive.
    pub(super) fn on_pong(&mut self, number: u64, out: &mut Vec<Action>) {
        if self.registration_ping.take_if(|ping| *ping == number).is_some() {
            self.log_registered(out);
        }
        if let Phase::Draining { ping, .. } = &mut self.phase {
            ping.take_if(|ping| *ping == number);
        }
    }

    /// Continues a drain: sends goodbye when no call runs or can still arrive, or at the deadline. A worker without a
    /// connection does not reconnect.
    pub(super) fn advance_draining(&mut self, now: Time, out: &mut Vec<Action>) {
        let Phase::Draining { deadline, ping } = self.phase else { return };
        if !self.peer.is_connected() && self.peer.give_up() {
            out.push(Action::Disconnect);
        }
        if deadline <= now {
            for id in self.jobs.unstopped() {
                self.stop(id, StopReason::Drained, out);
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

    /// Ends the worker after the broker's goodbye, or after the wait for it.
    pub(super) fn on_goodbye_done(&mut self, out: &mut Vec<Action>) {
        out.push(Action::Disconnect);
        self.finish(out);
    }

    /// Ends the worker.
    pub(super) fn finish(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::Closed;
        out.push(Action::ShutdownComplete);
    }
}

/// Encodes the registration in at most `bytes_max` bytes: without the descriptions, if they do not fit. A service works without
/// them.
fn encode_registration(register: &Register, bytes_max: usize) -> Bytes {
    let whole = body::encode(register).expect("a registration has a CBOR form");
    if whole.len() <= bytes_max {
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
    fn descriptions_are_omitted_if_the_registration_would_be_too_large() {
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
        let register = Register { offers: vec![offer], ..Register::default() };
        let contract = |bytes_max| {
            let register: Register = body::decode(&encode_registration(&register, bytes_max)).unwrap();
            register.offers[0].contract.clone().unwrap()
        };
        assert_eq!(contract(2000).description.unwrap().len(), 1000);
        assert_eq!(contract(500).description, None);
        assert_eq!(contract(500).hash, hash);
    }
}
