//! The worker machine: turns dispatches into jobs for handlers, and their outcomes into replies.
//!
//! A dispatched call runs immediately if its offer has a free slot, waits here if prefetch allows it, and is handed back
//! otherwise. A call that waits here is handed back once long calls have all slots. The offers may share slots: then the worker needs a free one, too. A slot is free again only when the driver reports that the handler has ended.
//!
//! | file | content |
//! |---|---|
//! | `job` | one call |
//! | `job_map` | a map with jobs as keys |
//! | `jobs` | the table of running and prefetched calls, and the free slots |
//! | `phase` | the phases of a worker's life |
//! | `dispatch` | dispatches: run, prefetch, hand back |
//! | `outcomes` | the end of calls: outcomes, cancels, timeouts |
//! | `streams` | items, their credit, and progress |
//! | `lifecycle` | connecting, disconnecting, rejection, draining |

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

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

pub use self::{
    diagnostic::{Counters, Diagnostic},
    job::{Job, JobId},
    job_map::JobMap,
};
use self::{jobs::Jobs, phase::Phase};
use crate::{
    auth::{ChannelBinding, Nonce},
    peer::{self, Peer, PeerEvent, SocketClosed, TimeoutAction},
    time::Time,
    wire::{
        bundle::{self, Recipient},
        envelope::{Envelope, Ping},
        handshake::{Register, Role, Welcome},
        item_batch::ItemBatch,
        status::Failure,
        streams::ItemCredit,
    },
};

/// An event other than a message.
#[derive(Clone, Debug)]
pub enum Event {
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
    /// A handler has ended, and its slot is free.
    Finished {
        /// Its job.
        job: JobId,
        /// One CBOR item, or the failure. The machine fills in the attempt and the worker.
        outcome: Result<Bytes, Box<Failure>>,
        /// How long the handler ran, if it was measured. The broker gives a worker several short calls at once.
        handler_time: Option<Duration>,
    },
    /// A handler was stopped by [`Action::Stop`] without an outcome, and its slot is free.
    Stopped {
        /// Its job.
        job: JobId,
        /// Whether the handler had started. The caller receives this as `executed`.
        started: bool,
    },
    /// The handler that [`Action::QueryStarted`] asked about has started.
    Started {
        /// Its job.
        job: JobId,
    },
    /// A handler sends items to its caller. They need credit from [`Action::StreamCredit`]. If the job has ended, was stopped,
    /// or belongs to an earlier connection, they are dropped.
    Items {
        /// Their job.
        job: JobId,
        /// If the stream conflates items: how many unread items were dropped.
        latest: Option<u64>,
        /// The items.
        batch: ItemBatch,
    },
    /// A handler has read items that [`Action::Items`] delivered.
    Read {
        /// Their job.
        job: JobId,
        /// The credit that the items took.
        credit: ItemCredit,
    },
    /// A handler reports its progress. Of several reports in a short time only the newest is sent, and none if the call did not
    /// ask for progress.
    Progress {
        /// Its job.
        job: JobId,
        /// One CBOR item.
        body: Bytes,
    },
    /// The program shuts down the worker. It accepts no more calls, and running ones may finish until the deadline.
    Shutdown {
        /// When the running handlers are stopped.
        deadline: Time,
    },
    /// The time of [`Worker::poll_timeout`] has come. The driver must read what the socket has received first.
    Timeout,
}

/// An action for the driver. Actions are done in the order of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Open a socket to the broker; [`Event::Connected`] or [`Event::Disconnected`] follows.
    Connect,
    /// Drop the socket, after writing what it accepts without blocking; [`Event::Disconnected`] follows.
    Disconnect,
    /// Send an envelope.
    Send(Envelope),
    /// Start a handler. [`Event::Finished`] or [`Event::Stopped`] must follow exactly once.
    Run(Job),
    /// Allow a handler to send more items to its caller.
    StreamCredit {
        /// Its job.
        job: JobId,
        /// The additional credit.
        credit: ItemCredit,
    },
    /// Deliver items to a handler. [`Event::Read`] must follow when they are read.
    Items {
        /// Their job.
        job: JobId,
        /// The items.
        batch: ItemBatch,
    },
    /// Deliver the end of the caller's stream.
    End {
        /// Its job.
        job: JobId,
    },
    /// Stop a handler: drop an async handler at its next await, or notify a blocking one. A handler that cannot be stopped
    /// finishes, and keeps its slot until then.
    Stop(JobId),
    /// Send [`Event::Started`] if this handler has started. If it has not, the machine asks again later.
    QueryStarted(JobId),
    /// An operator asks this worker to drain: the driver sends [`Event::Shutdown`].
    Drain,
    /// The broker rejected this worker, and reconnecting would not help.
    Rejected(Box<Failure>),
    /// The shutdown is complete: the process may exit.
    ShutdownComplete,
    /// Log this for the operator.
    Log(Diagnostic),
}

/// The worker machine.
#[derive(Debug)]
pub struct Worker {
    peer: Peer,
    phase: Phase,
    /// The registration: what it serves.
    register: Register,
    /// The ping behind the registration, until its pong arrives.
    registration_ping: Option<u64>,
    /// Its instance name, which failures contain.
    name: ByteString,
    jobs: Jobs,
    counters: Counters,
}

impl Worker {
    /// Creates a worker that is not connected. It asks to connect at the first [`Event::Timeout`], which is due immediately.
    ///
    /// The machine counts free slots itself and ignores those in `register`. The caller must check the names
    /// ([`crate::wire::method`]): the broker disconnects a worker that registers invalid ones.
    pub fn new(settings: peer::Settings, register: Register) -> Worker {
        Worker {
            name: settings.instance.as_str().into(),
            peer: Peer::new(Role::Worker, settings),
            phase: Phase::Serving,
            jobs: Jobs::new(&register),
            register,
            registration_ping: None,
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
            Event::Connected { nonce, channel } => self.on_socket_connected(now, nonce, channel, out),
            Event::Disconnected { chance } => self.on_socket_closed(now, chance, out),
            Event::Finished { job, outcome, handler_time } => {
                self.on_finished(now, job, Ok(outcome), handler_time, out);
            }
            Event::Stopped { job, started } => self.on_finished(now, job, Err(started), None, out),
            Event::Started { job } => self.on_started(now, job, out),
            Event::Items { job, latest, batch } => self.send_items(now, job, latest, batch, out),
            Event::Read { job, credit } => self.on_read(now, job, credit, out),
            Event::Progress { job, body } => self.send_progress(now, job, body, out),
            Event::Shutdown { deadline } => self.shutdown(now, deadline, out),
            Event::Timeout => self.handle_timeout(now, out),
        }
        self.advance_draining(now, out);
    }

    fn on_envelope(&mut self, now: Time, envelope: Envelope, out: &mut Vec<Action>) {
        match envelope {
            Envelope::Dispatch(dispatch) if self.peer.is_connected() => self.on_dispatch(now, dispatch, out),
            Envelope::Cancel(cancel) if self.peer.is_connected() => self.on_cancel(now, cancel, out),
            Envelope::Items(items) if self.peer.is_connected() => self.on_items(now, items, out),
            Envelope::End(end) if self.peer.is_connected() => self.on_end(now, end, out),
            Envelope::StreamCredit(credit) if self.peer.is_connected() => self.on_stream_credit(now, credit, out),
            Envelope::Pong(number) if self.peer.is_connected() => self.on_pong(number, out),
            Envelope::Drain if self.peer.is_connected() => out.push(Action::Drain),
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

    fn on_socket_connected(&mut self, now: Time, nonce: Nonce, channel: Option<ChannelBinding>, out: &mut Vec<Action>) {
        if let Some(hello) = self.peer.on_connected(nonce, channel) {
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

    /// Returns when [`Event::Timeout`] is due, if no other event happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.phase.is_closed() {
            return None;
        }
        let job = self.jobs.first_timer().map(|(at, _)| at);
        [self.peer.poll_timeout(), job, self.phase.deadline()].into_iter().flatten().min()
    }

    /// Returns how many handlers run, including those of earlier connections.
    pub fn running_len(&self) -> usize {
        self.jobs.running_len()
    }

    /// Returns the offers of the prefetched calls, one for each call.
    pub fn prefetched_offers(&self) -> impl Iterator<Item = usize> + '_ {
        self.jobs.prefetched_offers()
    }

    /// Returns how many prefetched calls wait for a slot.
    pub fn prefetched_len(&self) -> usize {
        self.jobs.prefetched_len()
    }

    /// Returns whether the worker is connected and the handshake is complete.
    pub fn is_connected(&self) -> bool {
        self.peer.is_connected()
    }

    /// Returns the broker's last welcome, if there was one. It contains the address for the worker's own calls.
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
        self.jobs.assert_invariants();
        assert!(self.prefetched_len() == 0 || self.is_connected(), "prefetched calls belong to the current connection");
        match self.phase {
            Phase::Serving => {}
            Phase::Draining { .. } => assert_eq!(self.prefetched_len(), 0, "a draining worker has no prefetched calls"),
            Phase::Closing | Phase::Closed | Phase::Rejected => {
                assert!(!self.is_connected(), "a worker is not connected after its goodbye or its rejection")
            }
        }
    }
}
