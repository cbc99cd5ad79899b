//! One worker: its name, its offers, and the calls that it runs.

use std::collections::BTreeSet;

use bytestring::ByteString;

use super::{
    super::{keys::CallKey, outcome::Outcome, sessions::PeerConnection},
    in_flight::InFlightBytes,
    offer::Offer,
};
use crate::{
    auth::Principal,
    sequence_map::SequenceMap,
    time::Time,
    wire::{
        handshake::Hello,
        ids::{ConnectionNumber, SessionId},
        limits::{REGISTRATIONS_MAX, REGISTRATIONS_WINDOW},
        status::Code,
    },
};

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) session: SessionId,
    pub(crate) connection_number: ConnectionNumber,
    /// Its instance name.
    pub(crate) name: ByteString,
    /// The principal that the worker's connection authenticated.
    pub(crate) principal: Principal,
    pub(crate) pool: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) host: String,
    pub(crate) connection: PeerConnection,
    /// Whether the worker drains: it accepts no more calls.
    pub(crate) draining: bool,
    /// The number of running calls that the worker did not stop in time after their hard limit.
    pub(crate) unresponsive_calls: usize,
    pub(super) offers: Vec<Offer>,
    /// The calls at the worker, by dispatch number, until the worker's final message about each.
    pub(crate) running: SequenceMap<CallKey, 32>,
    /// Subcalls of broadcasts that only it may run.
    pub(crate) subcalls: BTreeSet<CallKey>,
    pub(super) in_flight: InFlightBytes,
    /// Calls that it answered with a result.
    pub(crate) answered: u64,
    /// Calls that it answered with a failure, other than that they were cancelled.
    pub(crate) failed: u64,
    /// Its registrations within the present span, and the beginning of that span.
    registrations: (u32, Time),
}

impl Worker {
    /// Creates a worker without offers.
    pub(crate) fn new(hello: Hello, principal: Principal, connection: PeerConnection) -> Worker {
        Worker {
            session: hello.session,
            connection_number: hello.connection,
            name: hello.instance.into(),
            principal,
            pool: hello.pool,
            pid: hello.pid,
            host: hello.host,
            connection,
            draining: false,
            unresponsive_calls: 0,
            offers: Vec::new(),
            running: SequenceMap::default(),
            subcalls: BTreeSet::new(),
            in_flight: InFlightBytes::default(),
            answered: 0,
            failed: 0,
            registrations: (0, Time::ZERO),
        }
    }

    /// Returns the services that the worker offers.
    pub(crate) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// Counts a call that the worker answered.
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(_) => self.answered += 1,
            Err(failure) => self.failed += u64::from(failure.code != Code::Cancelled),
        }
    }

    /// Counts a registration. Returns false if there are too many within the span.
    #[must_use]
    pub(crate) fn may_register(&mut self, now: Time) -> bool {
        let (count, since) = &mut self.registrations;
        if now.since(*since) >= REGISTRATIONS_WINDOW {
            (*count, *since) = (0, now);
        }
        *count += 1;
        *count <= REGISTRATIONS_MAX
    }

    /// Returns whether the worker may be given calls: it does not drain, and is not unresponsive.
    pub(crate) fn takes_calls(&self) -> bool {
        !self.draining && self.unresponsive_calls == 0
    }

    /// Returns whether the worker may be given calls now: it also has read enough of the earlier ones.
    pub(crate) fn takes_calls_now(&self) -> bool {
        self.takes_calls() && !self.in_flight.is_full
    }

    /// Returns whether the worker must read earlier calls before it is given more.
    pub(crate) fn has_full_connection(&self) -> bool {
        self.in_flight.is_full
    }
}
