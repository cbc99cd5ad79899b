//! The client machine: calls in, requests out; replies in, outcomes out.
//!
//! A call waits in the queue until the client is connected and has credit for it. Then it is open until its outcome is known. The
//! queue is first in, first out, and calls are numbered in the order of sending.
//!
//! | file | what it holds |
//! |---|---|
//! | `call` | one call |
//! | `calls` | all calls, found by ticket, number, turn and deadline |
//! | `sending` | what is sent when: credit, numbers, what is sent again |
//! | `outcomes` | how calls end: replies, cancels, time-outs |
//! | `streams` | items, their credit, and progress |
//! | `lifecycle` | joining the broker, losing it, being refused, closing |

mod call;
mod calls;
mod diagnostic;
mod lifecycle;
mod outcomes;
mod phase;
mod sending;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::Bytes;

pub use self::{
    call::{NewCall, Ticket, Timeout, TimeoutSource},
    diagnostic::{Counters, Diagnostic},
};
use self::{
    calls::{Calls, NUMBER_FIRST},
    phase::Phase,
};
use crate::{
    auth::Nonce,
    peer::{self, Peer, PeerEvent, SocketClosed, TimeoutAction},
    time::Time,
    wire::{
        bundle::{self, Recipient},
        envelope::{Credit, Envelope, Ping},
        handshake::{Role, Welcome},
        ids::CallNumber,
        limits::SESSION_OUTCOMES_MAX,
        status::Failure,
        streams::ItemCredit,
    },
};

/// What happens to the client, other than frames.
#[derive(Clone, Debug)]
pub enum Event<T> {
    /// The socket that [`Action::Connect`] asked for is connected.
    Connected {
        /// Cryptographically random, unique to this connection.
        nonce: Nonce,
    },
    /// The socket is closed, or could not be connected. Comes exactly once for each [`Action::Connect`], even if
    /// [`Action::Disconnect`] was the cause.
    Disconnected {
        /// An evenly distributed random number: the jitter that keeps peers from reconnecting all at once.
        chance: u32,
    },
    /// The program makes a call.
    Call(NewCall<T>),
    /// The caller cancels a call. A ticket whose token was returned already is ignored.
    Cancel(Ticket),
    /// A caller sends an item of a call: there must be room for it, by [`Action::StreamCredit`]. Of a call that is over it is dropped.
    Item {
        /// Which call it is of.
        ticket: Ticket,
        /// One CBOR item.
        body: Bytes,
    },
    /// A caller sends no more items of this call.
    End(Ticket),
    /// A caller has taken so much of what [`Action::Item`] gave.
    Read {
        /// Which call it is of.
        ticket: Ticket,
        /// The credit of what was read.
        credit: ItemCredit,
    },
    /// The client closes: casts that wait are still sent, and calls end with CANCELLED.
    Close {
        /// When to stop waiting for the broker.
        deadline: Time,
    },
    /// Time has passed ([`Client::poll_timeout`]). What the socket has ready is to be read first.
    Timeout,
}

/// What the driver has to do, in the order of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<T> {
    /// Open a socket to the broker; [`Event::Connected`] or [`Event::Disconnected`] follows.
    Connect,
    /// Drop the socket, after writing what it takes at once; [`Event::Disconnected`] follows.
    Disconnect,
    /// Send an envelope.
    Send(Envelope),
    /// This call has ended.
    Complete {
        /// As it came with the call.
        token: T,
        /// One CBOR item, or how it failed.
        outcome: Result<Bytes, Box<Failure>>,
    },
    /// A caller may send so much more to the handler.
    StreamCredit {
        /// Which call it is of.
        ticket: Ticket,
        /// How much more.
        credit: ItemCredit,
    },
    /// An item for a caller. [`Event::Read`] is to follow when it is taken.
    Item {
        /// Which call it is of.
        ticket: Ticket,
        /// If it stands for those before it that were not taken: how many were dropped by the handler's side so far.
        latest: Option<u64>,
        /// One CBOR item.
        body: Bytes,
    },
    /// How far a call's handler is.
    Progress {
        /// Which call it is of.
        ticket: Ticket,
        /// One CBOR item.
        body: Bytes,
    },
    /// This cast was sent or dropped, or this call was cancelled. There is no outcome; only the token is returned.
    Release {
        /// As it came with the call.
        token: T,
    },
    /// The broker rejected this client, and reconnecting would not help. From now on every call ends with this failure.
    Rejected(Box<Failure>),
    /// The close is complete: the client may be dropped.
    Closed,
    /// Log this for the operator.
    Log(Diagnostic),
}

/// The client. `T` is what the driver keeps of a call: a channel to its caller, a callback.
#[derive(Debug)]
pub struct Client<T> {
    peer: Peer,
    phase: Phase,
    calls: Calls<T>,
    /// What may still be sent.
    credit: Credit,
    /// Open calls from this number on are still to be sent again, before anything new is.
    resend_from: Option<CallNumber>,
    /// Calls that were cancelled, of which the broker may not know: it could not be told, or the word may be lost with the connection
    /// that it went on. Told (again) at the next welcome; as long as older calls are open, `done_below` does not say it.
    cancelled: BTreeSet<CallNumber>,
    /// The `done_below` that was stated last.
    done_below_sent: CallNumber,
    counters: Counters,
}

impl<T> Client<T> {
    /// Creates a client that is not connected. It asks to connect at the first [`Event::Timeout`], which is due at once.
    pub fn new(settings: peer::Settings) -> Client<T> {
        Client {
            peer: Peer::new(Role::Client, settings),
            phase: Phase::Running,
            calls: Calls::new(),
            credit: Credit::default(),
            resend_from: None,
            cancelled: BTreeSet::new(),
            done_below_sent: NUMBER_FIRST,
            counters: Counters::default(),
        }
    }

    /// Handles a message.
    pub fn handle_message(&mut self, now: Time, frames: &[Bytes], out: &mut Vec<Action<T>>) {
        self.peer.detect_stall(now);
        self.peer.record_activity(now);
        for read in bundle::read(frames, Recipient::Peer) {
            match read {
                Ok(envelope) => self.on_envelope(now, envelope, out),
                Err(error) => self.on_invalid_envelope(now, error, out),
            }
        }
        self.advance(now, out);
    }

    /// Handles any other event.
    pub fn handle_event(&mut self, now: Time, event: Event<T>, out: &mut Vec<Action<T>>) {
        self.peer.detect_stall(now);
        match event {
            Event::Connected { nonce } => self.on_socket_connected(now, nonce, out),
            Event::Disconnected { chance } => self.on_socket_closed(now, chance, out),
            Event::Call(new) => self.call(new, out),
            Event::Cancel(ticket) => self.cancel(now, ticket, out),
            Event::Item { ticket, body } => self.send_item(now, ticket, body, out),
            Event::End(ticket) => self.send_end(now, ticket, out),
            Event::Read { ticket, credit } => self.read(now, ticket, credit, out),
            Event::Close { deadline } => self.close(deadline, out),
            Event::Timeout => self.handle_timeout(now, out),
        }
        self.advance(now, out);
    }

    /// What may follow from any event: there is room to send, or nothing left to wait for.
    fn advance(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        self.send_ready(now, out);
        self.advance_closing(now, out);
    }

    fn on_envelope(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action<T>>) {
        match envelope {
            Envelope::Reply(reply) if self.peer.is_connected() => self.on_reply(reply, out),
            Envelope::Credit(credit) if self.peer.is_connected() => self.grant(credit),
            Envelope::Item(item) if self.peer.is_connected() => self.on_item(now, item, out),
            Envelope::StreamCredit(credit) if self.peer.is_connected() => self.on_stream_credit(now, credit, out),
            Envelope::Progress(number, body) if self.peer.is_connected() => self.progress(number, body, out),
            other => match self.peer.handle_message(now, other) {
                PeerEvent::Ignored => {}
                PeerEvent::Reply(envelope) => self.answer(now, envelope, out),
                PeerEvent::Connected { same_start } => self.on_welcome(now, same_start, out),
                PeerEvent::Disconnected(reason) => self.drop_socket(reason, out),
                PeerEvent::Rejected(failure) => self.on_rejected(failure, out),
                PeerEvent::GoodbyeAcknowledged => self.on_goodbye_done(out),
                PeerEvent::Unexpected(kind) => self.on_unexpected_message(kind, out),
            },
        }
    }

    /// Answers the broker. Where both are idle its pings may be all that is said, for our pongs put our own pings off: what is
    /// done is then stated beside the pong, or the broker would remember the last outcomes for as long as the client idles.
    fn answer(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action<T>>) {
        self.send(now, envelope, out);
        if !self.peer.is_connected() {
            return;
        }
        if let Some(done_below) = self.take_done_below() {
            self.send(now, Envelope::Ping(Ping { number: 0, done_below: Some(done_below) }), out);
        }
    }

    fn on_socket_connected(&mut self, now: Time, nonce: Nonce, out: &mut Vec<Action<T>>) {
        if let Some(hello) = self.peer.on_connected(nonce) {
            self.send(now, hello, out);
        }
    }

    fn on_socket_closed(&mut self, now: Time, chance: u32, out: &mut Vec<Action<T>>) {
        match self.peer.on_disconnected(now, chance) {
            SocketClosed::Expected => {}
            SocketClosed::Unexpected => self.on_disconnected(peer::DisconnectReason::SocketClosed, out),
            SocketClosed::Final => self.finish(out),
        }
    }

    fn handle_timeout(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        while let Some(due) = self.peer.handle_timeout(now) {
            match due {
                TimeoutAction::Connect => out.push(Action::Connect),
                TimeoutAction::Ping(number) => {
                    let done_below = self.take_done_below();
                    self.send(now, Envelope::Ping(Ping { number, done_below }), out);
                }
                TimeoutAction::Disconnect(reason) => self.drop_socket(reason, out),
                TimeoutAction::GiveUp => self.on_goodbye_done(out),
            }
        }
        self.expire(now, out);
    }

    fn send(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action<T>>) {
        self.peer.record_send(now);
        out.push(Action::Send(envelope));
    }

    /// Returns when [`Event::Timeout`] is due, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let call = self.calls.first_timer().map(|(at, _)| at);
        [self.peer.poll_timeout(), call, self.phase.deadline()].into_iter().flatten().min()
    }

    /// Calls and casts that wait to be sent.
    pub fn waiting_len(&self) -> usize {
        self.calls.waiting_len()
    }

    /// Calls that were sent and have no outcome yet.
    pub fn open_len(&self) -> usize {
        self.calls.open_len()
    }

    /// Returns whether the client is connected and the handshake is complete.
    pub fn is_connected(&self) -> bool {
        self.peer.is_connected()
    }

    /// Returns the broker's last welcome, if there was one.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.peer.welcome()
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Asserts the machine's invariants; for tests.
    ///
    /// # Panics
    /// If one does not hold, which is a bug in the machine.
    pub fn assert_invariants(&self) {
        self.peer.assert_invariants();
        self.calls.check();
        assert!(self.done_below_sent <= self.calls.next_number(), "only numbers that were given are stated as done");
        assert!(self.resend_from.is_none() || self.is_connected(), "calls are sent again on a connection");
        assert!(self.cancelled.len() <= SESSION_OUTCOMES_MAX, "cancels that are remembered are bounded");
        match &self.phase {
            Phase::Running => {}
            Phase::Closing { .. } => assert_eq!(self.open_len(), 0, "a close ends every open call at once"),
            Phase::Rejected(_) | Phase::Closed => {
                assert_eq!((self.open_len(), self.waiting_len()), (0, 0), "no call outlives its client");
                assert!(!self.is_connected(), "the connection is over with the client");
            }
        }
    }
}
