//! The client machine: turns calls into requests, and replies into outcomes.
//!
//! A call waits in the queue until the client is connected and has credit for it. Then it is open until its outcome is known. The
//! queue is first in, first out. Calls are numbered in the order of sending.
//!
//! | file | content |
//! |---|---|
//! | `call` | one call |
//! | `calls` | the table of calls, by ticket, number, queue position and deadline |
//! | `phase` | the phases of a client's life |
//! | `sending` | the sending of requests: credit, numbers, resends |
//! | `outcomes` | the end of calls: replies, cancels, timeouts |
//! | `streams` | items, their credit, and progress |
//! | `lifecycle` | connecting, disconnecting, rejection, closing |

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
    auth::{ChannelBinding, Nonce},
    peer::{self, Peer, PeerEvent, SocketClosed, TimeoutAction},
    time::Time,
    wire::{
        bundle::{self, Recipient},
        envelope::{Credit, Envelope, Ping},
        handshake::{Role, Welcome},
        ids::CallNumber,
        item_batch::ItemBatch,
        limits::SESSION_OUTCOMES_MAX,
        status::Failure,
        streams::ItemCredit,
    },
};

/// An event other than a message.
#[derive(Clone, Debug)]
pub enum Event<T> {
    /// The socket that [`Action::Connect`] asked for is connected.
    Connected {
        /// Cryptographically random, unique to this connection.
        nonce: Nonce,
        /// The binding of the socket's encrypted channel, if it has one.
        channel: Option<ChannelBinding>,
    },
    /// The socket is closed, or could not be connected. Follows each [`Action::Connect`] exactly once, even if
    /// [`Action::Disconnect`] was the cause.
    Disconnected {
        /// An evenly distributed random number: the jitter that keeps peers from reconnecting at the same time.
        chance: u32,
    },
    /// The program makes a call.
    Call(NewCall<T>),
    /// The caller cancels a call. A ticket whose token was returned already is ignored.
    Cancel(Ticket),
    /// A caller sends items. They need credit from [`Action::StreamCredit`]. If the call has ended, they are dropped.
    Items {
        /// The ticket of their call.
        ticket: Ticket,
        /// The items.
        batch: ItemBatch,
    },
    /// A caller sends no more items of this call.
    End(Ticket),
    /// A caller has read items that [`Action::Items`] delivered.
    Read {
        /// The ticket of their call.
        ticket: Ticket,
        /// The credit that the items took.
        credit: ItemCredit,
    },
    /// The program closes the client. Waiting casts are still sent, and calls end with CANCELLED.
    Close {
        /// When the client stops waiting for the broker.
        deadline: Time,
    },
    /// The time of [`Client::poll_timeout`] has come. The driver must read what the socket has received first.
    Timeout,
}

/// An action for the driver. Actions are done in the order of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<T> {
    /// Open a socket to the broker; [`Event::Connected`] or [`Event::Disconnected`] follows.
    Connect,
    /// Drop the socket, after writing what it accepts without blocking; [`Event::Disconnected`] follows.
    Disconnect,
    /// Send an envelope.
    Send(Envelope),
    /// Complete a call.
    Complete {
        /// The token of the call.
        token: T,
        /// One CBOR item, or the failure.
        outcome: Result<Bytes, Box<Failure>>,
    },
    /// Allow a caller to send more items to the handler.
    StreamCredit {
        /// The ticket of its call.
        ticket: Ticket,
        /// The additional credit.
        credit: ItemCredit,
    },
    /// Deliver items to a caller. [`Event::Read`] must follow when they are read.
    Items {
        /// The ticket of their call.
        ticket: Ticket,
        /// If the stream conflates items: how many unread items the handler's side has dropped.
        latest: Option<u64>,
        /// The items.
        batch: ItemBatch,
    },
    /// Deliver the progress of a call's handler.
    Progress {
        /// The ticket of its call.
        ticket: Ticket,
        /// One CBOR item.
        body: Bytes,
    },
    /// Take back the token of a cast that was sent or dropped, or of a cancelled call. It has no outcome.
    Release {
        /// The token of the call.
        token: T,
    },
    /// The broker rejected this client, and reconnecting would not help. From now on, every call ends with this failure.
    Rejected(Box<Failure>),
    /// The close is complete: the client may be dropped.
    Closed,
    /// Log this for the operator.
    Log(Diagnostic),
}

/// The client machine. `T` is the token that the driver attaches to a call, such as a channel to its caller or a callback.
#[derive(Debug)]
pub struct Client<T> {
    peer: Peer,
    phase: Phase,
    calls: Calls<T>,
    /// The credit that is left for requests.
    credit: Credit,
    /// Open calls from this number on must be sent again before new ones.
    resend_from: Option<CallNumber>,
    /// Cancelled calls that the broker may still consider open: their cancel was not sent, or may be lost with its connection. It
    /// is sent again after the next welcome. `done_below` does not cover these calls while older ones are open.
    cancelled: BTreeSet<CallNumber>,
    /// The last `done_below` that was sent.
    done_below_sent: CallNumber,
    counters: Counters,
}

impl<T> Client<T> {
    /// Creates a client that is not connected. It asks to connect at the first [`Event::Timeout`], which is due immediately.
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
            Event::Connected { nonce, channel } => self.on_socket_connected(now, nonce, channel, out),
            Event::Disconnected { chance } => self.on_socket_closed(now, chance, out),
            Event::Call(new) => self.call(new, out),
            Event::Cancel(ticket) => self.cancel(now, ticket, out),
            Event::Items { ticket, batch } => self.send_items(now, ticket, batch, out),
            Event::End(ticket) => self.send_end(now, ticket, out),
            Event::Read { ticket, credit } => self.on_read(now, ticket, credit, out),
            Event::Close { deadline } => self.close(deadline, out),
            Event::Timeout => self.handle_timeout(now, out),
        }
        self.advance(now, out);
    }

    /// Performs the work that any event can enable: sends requests, and completes a close.
    fn advance(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        self.send_ready(now, out);
        self.advance_closing(now, out);
    }

    fn on_envelope(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action<T>>) {
        match envelope {
            Envelope::Reply(reply) if self.peer.is_connected() => self.on_reply(reply, out),
            Envelope::Credit(credit) if self.peer.is_connected() => self.add_credit(credit),
            Envelope::Items(items) if self.peer.is_connected() => self.on_items(now, items, out),
            Envelope::StreamCredit(credit) if self.peer.is_connected() => self.on_stream_credit(now, credit, out),
            Envelope::Progress(number, body) if self.peer.is_connected() => self.on_progress(number, body, out),
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

    /// Sends an envelope that answers one of the broker. While both sides are idle, our pongs postpone our own pings. So
    /// `done_below` is sent beside the pong: otherwise the broker would cache the last outcomes for as long as the client is
    /// idle.
    fn answer(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action<T>>) {
        self.send(now, envelope, out);
        if !self.peer.is_connected() {
            return;
        }
        if let Some(done_below) = self.take_done_below() {
            self.send(now, Envelope::Ping(Ping { number: 0, done_below: Some(done_below) }), out);
        }
    }

    fn on_socket_connected(
        &mut self,
        now: Time,
        nonce: Nonce,
        channel: Option<ChannelBinding>,
        out: &mut Vec<Action<T>>,
    ) {
        if let Some(hello) = self.peer.on_connected(nonce, channel) {
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

    /// Returns when [`Event::Timeout`] is due, if no other event happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let call = self.calls.first_timer().map(|(at, _)| at);
        [self.peer.poll_timeout(), call, self.phase.deadline()].into_iter().flatten().min()
    }

    /// Returns how many calls and casts wait to be sent.
    pub fn waiting_len(&self) -> usize {
        self.calls.waiting_len()
    }

    /// Returns how many calls were sent and have no outcome yet.
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

    /// Asserts the machine's invariants. For tests.
    ///
    /// # Panics
    /// If an invariant does not hold, which is a bug in the machine.
    pub fn assert_invariants(&self) {
        self.peer.assert_invariants();
        self.calls.assert_invariants();
        assert!(self.done_below_sent <= self.calls.next_number(), "done_below covers only numbers that are in use");
        assert!(self.resend_from.is_none() || self.is_connected(), "calls are sent again only while connected");
        assert!(self.cancelled.len() <= SESSION_OUTCOMES_MAX, "cancelled calls are bounded");
        match &self.phase {
            Phase::Running => {}
            Phase::Closing { .. } => assert_eq!(self.open_len(), 0, "a close ends every open call immediately"),
            Phase::Rejected(_) | Phase::Closed => {
                assert_eq!((self.open_len(), self.waiting_len()), (0, 0), "an ended client has no calls");
                assert!(!self.is_connected(), "an ended client has no connection");
            }
        }
    }
}
