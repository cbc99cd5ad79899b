//! The worker machine: dispatches in, jobs for handlers out; what they came to in, replies out.
//!
//! A dispatched call runs at once if its offer has a free slot, is held ready if prefetch allows that, and is handed
//! back otherwise. A slot is free again only when the driver says that the handler has ended.
//!
//! | file | what it holds |
//! |---|---|
//! | `job` | one call |
//! | `job_map` | tables of calls |
//! | `jobs` | all calls that run or are held, and the room for more |
//! | `dispatch` | what becomes of a dispatch |
//! | `outcomes` | how calls end: outcomes, cancels, time-outs |
//! | `streams` | items, their credit, and progress |
//! | `lifecycle` | joining the broker, losing it, being refused, draining |

mod diagnostic;
mod dispatch;
mod job;
mod job_map;
mod jobs;
mod lifecycle;
mod outcomes;
mod phase;
mod streams;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use bytestring::ByteString;

pub use self::{
    diagnostic::{Counters, Diagnostic},
    job::{Job, JobId},
    job_map::JobMap,
};
use self::{jobs::Jobs, phase::Phase};
use crate::{
    auth::Nonce,
    peer::{self, Peer, PeerEvent, SocketClosed, TimeoutAction},
    time::Time,
    wire::{
        bundle::{self, Recipient},
        envelope::{Envelope, Ping},
        handshake::{Register, Role, Welcome},
        status::Failure,
        streams::ItemCredit,
    },
};

/// What happens to the worker, other than frames.
#[derive(Clone, Debug)]
pub enum Event {
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
    /// A handler came to its end; its slot is free.
    Finished {
        /// Which job it was.
        job: JobId,
        /// One CBOR item, or how it failed. Attempt and worker are filled in by the machine.
        outcome: Result<Bytes, Box<Failure>>,
    },
    /// A handler was stopped, as [`Action::Stop`] asked, and has no outcome; its slot is free.
    Stopped {
        /// Which job it was.
        job: JobId,
        /// Whether the handler had started: the caller's `executed`.
        started: bool,
    },
    /// The handler that [`Action::QueryStarted`] asked about has begun.
    Started {
        /// Which job it is.
        job: JobId,
    },
    /// A handler sends an item to its caller: there must be room for it, by [`Action::StreamCredit`]. Of a job that has ended, was stopped or
    /// is of an earlier connection it is dropped.
    Item {
        /// Which job it is of.
        job: JobId,
        /// If it stands for those before it that were not read: how many were dropped so far.
        latest: Option<u64>,
        /// One CBOR item.
        body: Bytes,
    },
    /// A handler has taken so much of what [`Action::Item`] gave.
    Read {
        /// Which job it is of.
        job: JobId,
        /// The credit of what was read.
        credit: ItemCredit,
    },
    /// A handler tells how far it is. Of several words in a short time only the newest is sent; none where nobody asked.
    Progress {
        /// Which job it is of.
        job: JobId,
        /// One CBOR item.
        body: Bytes,
    },
    /// The worker shuts down: it takes no more calls, and running ones may finish until the deadline.
    Shutdown {
        /// When to stop waiting.
        deadline: Time,
    },
    /// Time has passed ([`Worker::poll_timeout`]). What the socket has ready is to be read first.
    Timeout,
}

/// What the driver has to do, in the order of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Open a socket to the broker; [`Event::Connected`] or [`Event::Disconnected`] follows.
    Connect,
    /// Drop the socket, after writing what it takes at once; [`Event::Disconnected`] follows.
    Disconnect,
    /// Send an envelope.
    Send(Envelope),
    /// Start the handler. [`Event::Finished`] or [`Event::Stopped`] must follow some day, exactly once.
    Run(Job),
    /// A handler may send so much more to its caller.
    StreamCredit {
        /// Which job it is of.
        job: JobId,
        /// How much more.
        credit: ItemCredit,
    },
    /// An item for a handler. Its reader is to be told of it by [`Event::Read`] when it is taken.
    Item {
        /// Which job it is for.
        job: JobId,
        /// One CBOR item.
        body: Bytes,
    },
    /// The caller sends no more items.
    End {
        /// Which job it is of.
        job: JobId,
    },
    /// Stop this handler: drop an async handler at its next await, or notify a blocking one. A handler that cannot be stopped
    /// finishes, and keeps its slot until then.
    Stop(JobId),
    /// Report with [`Event::Started`] if this handler has started. If it has not, the machine asks again later.
    QueryStarted(JobId),
    /// The broker rejected this worker, and reconnecting would not help.
    Rejected(Box<Failure>),
    /// The shutdown is complete: the process may exit.
    ShutdownComplete,
    /// Log this for the operator.
    Log(Diagnostic),
}

/// The worker.
#[derive(Debug)]
pub struct Worker {
    peer: Peer,
    phase: Phase,
    /// What it serves.
    register: Register,
    /// The ping behind a registration whose pong has not come.
    registering: Option<u64>,
    /// Its instance name, as callers are told.
    name: ByteString,
    jobs: Jobs,
    counters: Counters,
}

impl Worker {
    /// Creates a worker that is not connected. It asks to connect at the first [`Event::Timeout`], which is due at once.
    ///
    /// What `register` says of free slots is ignored: the machine counts them. Its names are the caller's to check
    /// ([`crate::wire::method`]); the broker sends away who registers bad ones.
    pub fn new(settings: peer::Settings, register: Register) -> Worker {
        Worker {
            name: settings.instance.as_str().into(),
            peer: Peer::new(Role::Worker, settings),
            phase: Phase::Serving,
            jobs: Jobs::new(&register),
            register,
            registering: None,
            counters: Counters::default(),
        }
    }

    /// Handles a message.
    pub fn handle_message(&mut self, now: Time, frames: &[Bytes], out: &mut Vec<Action>) {
        self.peer.detect_stall(now);
        self.peer.record_activity(now);
        for read in bundle::read(frames, Recipient::Peer) {
            match read {
                Ok(envelope) => self.on_envelope(now, envelope, out),
                Err(error) => self.on_invalid_envelope(now, error, out),
            }
        }
        self.advance_draining(now, out);
    }

    /// Handles any other event.
    pub fn handle_event(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        self.peer.detect_stall(now);
        match event {
            Event::Connected { nonce } => self.on_socket_connected(now, nonce, out),
            Event::Disconnected { chance } => self.on_socket_closed(now, chance, out),
            Event::Finished { job, outcome } => self.finished(now, job, Ok(outcome), out),
            Event::Stopped { job, started } => self.finished(now, job, Err(started), out),
            Event::Started { job } => self.on_started(now, job, out),
            Event::Item { job, latest, body } => self.send_item(now, job, latest, body, out),
            Event::Read { job, credit } => self.read(now, job, credit, out),
            Event::Progress { job, body } => self.progress(now, job, body, out),
            Event::Shutdown { deadline } => self.shutdown(now, deadline, out),
            Event::Timeout => self.handle_timeout(now, out),
        }
        self.advance_draining(now, out);
    }

    fn on_envelope(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Dispatch(dispatch) if self.peer.is_connected() => self.dispatch(now, dispatch, out),
            Envelope::Cancel(cancel) if self.peer.is_connected() => self.cancel(now, cancel, out),
            Envelope::Item(item) if self.peer.is_connected() => self.on_item(now, item, out),
            Envelope::End(end) if self.peer.is_connected() => self.on_end(now, end, out),
            Envelope::StreamCredit(credit) if self.peer.is_connected() => self.on_stream_credit(now, credit, out),
            Envelope::Pong(number) if self.peer.is_connected() => self.pong(number, out),
            other => match self.peer.handle_message(now, other) {
                PeerEvent::Ignored => {}
                PeerEvent::Reply(envelope) => self.send(now, envelope, out),
                PeerEvent::Connected { .. } => self.on_welcome(now, out),
                PeerEvent::Disconnected(reason) => self.drop_socket(reason, out),
                PeerEvent::Rejected(failure) => self.on_rejected(failure, out),
                PeerEvent::GoodbyeAcknowledged => self.on_goodbye_done(out),
                PeerEvent::Unexpected(kind) => self.on_unexpected_message(kind, out),
            },
        }
    }

    fn on_socket_connected(&mut self, now: Time, nonce: Nonce, out: &mut Vec<Action>) {
        if let Some(hello) = self.peer.on_connected(nonce) {
            self.send(now, hello, out);
        }
    }

    fn on_socket_closed(&mut self, now: Time, chance: u32, out: &mut Vec<Action>) {
        match self.peer.on_disconnected(now, chance) {
            SocketClosed::Expected => {}
            SocketClosed::Unexpected => self.on_disconnected(peer::DisconnectReason::SocketClosed, out),
            SocketClosed::Final => self.finish(out),
        }
    }

    fn handle_timeout(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(due) = self.peer.handle_timeout(now) {
            match due {
                TimeoutAction::Connect => out.push(Action::Connect),
                TimeoutAction::Ping(number) => self.send(now, Envelope::Ping(Ping { number, done_below: None }), out),
                TimeoutAction::Disconnect(reason) => self.drop_socket(reason, out),
                TimeoutAction::GiveUp => self.on_goodbye_done(out),
            }
        }
        self.expire(now, out);
    }

    fn send(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action>) {
        self.peer.record_send(now);
        out.push(Action::Send(envelope));
    }

    /// Returns when [`Event::Timeout`] is due, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.phase.is_closed() {
            return None;
        }
        let job = self.jobs.first_timer().map(|(at, _)| at);
        [self.peer.poll_timeout(), job, self.phase.deadline()].into_iter().flatten().min()
    }

    /// Handlers that run, those of earlier connections among them.
    pub fn running_len(&self) -> usize {
        self.jobs.running_len()
    }

    /// Calls that are held ready for a slot.
    pub fn held_len(&self) -> usize {
        self.jobs.held_len()
    }

    /// Returns whether the worker is connected and the handshake is complete.
    pub fn is_connected(&self) -> bool {
        self.peer.is_connected()
    }

    /// What the broker said when it last let the worker in. Among it is where the worker's own calls go.
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
        self.jobs.check();
        assert!(self.held_len() == 0 || self.is_connected(), "calls are held for the connection they came on");
        match self.phase {
            Phase::Serving => {}
            Phase::Draining { .. } => assert_eq!(self.held_len(), 0, "a draining worker holds no calls"),
            Phase::Closing | Phase::Closed | Phase::Rejected => assert!(!self.is_connected(), "goodbye was said"),
        }
    }
}
