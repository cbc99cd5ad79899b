//! A client's session at the broker: its open calls, the outcomes it has not acknowledged, its credit.

use std::time::Duration;

use bytes::Bytes;

use super::{
    away::Rank,
    call::CallKey,
    party::PartyKey,
    presence::Presence,
    remembered::{Remembered, Spare},
};
use crate::{
    auth::Principal,
    sequence_map::SequenceMap,
    time::Time,
    wire::{
        envelope::Credit,
        handshake::Hello,
        ids::{CallNumber, ConnectionNumber, SessionId},
        limits::{BODY_COPIED_BYTES_MAX, OUTCOME_COST},
        status::Failure,
    },
};

/// A client's number at the broker, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientKey(pub(super) u64);

/// What a call came to.
pub(super) type Outcome = Result<Bytes, Box<Failure>>;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: SessionId,
    pub(super) name: String,
    /// Who it proved to be on its last connection.
    pub(super) principal: Principal,
    /// Whom it is counted for, and takes turns with.
    pub(super) party: PartyKey,
    pub(super) pid: Option<u32>,
    pub(super) host: String,
    pub(super) connection_number: ConnectionNumber,
    /// `None` while it is lost; its calls live on for a while.
    pub(super) presence: Option<Presence>,
    pub(super) interval: Duration,
    /// While it is lost: when it is given up.
    pub(super) gone_at: Time,
    /// While it is lost: its place among those that are.
    pub(super) away: Option<Rank>,
    /// Open calls by number, from `done_below` on.
    pub(super) open: SequenceMap<CallKey>,
    pub(super) highest: CallNumber,
    /// Whether a request came that was not sent before. Numbers above it were then first sent to this start of the broker.
    fresh: bool,
    done_below: CallNumber,
    answered: Remembered,
    pub(super) credit: Account,
}

/// How a number stands when a request with it arrives.
#[derive(Debug)]
pub(super) enum Standing {
    /// Never seen.
    New,
    /// Open: its answer will come.
    Open,
    /// Answered already; here is the answer again.
    Answered(Outcome, Bytes),
    /// Acknowledged, so nobody waits.
    Done,
    /// Sent before, and not known (any more).
    Unknown,
}

impl Client {
    pub(super) fn new(hello: &Hello, party: PartyKey, interval: Duration, credit: Account) -> Client {
        Client {
            session: hello.session,
            name: hello.instance.clone(),
            principal: Principal::anybody(),
            party,
            pid: hello.pid,
            host: hello.host.clone(),
            connection_number: hello.connection,
            presence: None,
            interval,
            gone_at: Time::ZERO,
            away: None,
            open: SequenceMap::default(),
            highest: CallNumber(0),
            fresh: false,
            done_below: CallNumber(0),
            answered: Remembered::default(),
            credit,
        }
    }

    /// How `number` stands, and notes that it was seen.
    pub(super) fn standing(&mut self, number: CallNumber, resend: bool) -> Standing {
        let above = number > self.highest;
        let certain = self.fresh || !resend;
        self.highest = self.highest.max(number);
        self.fresh |= !resend;
        if self.open.contains(number.0) {
            return Standing::Open;
        }
        match self.answered.get(number) {
            Some((outcome, extensions)) => Standing::Answered(outcome, extensions),
            None if number < self.done_below => Standing::Done,
            None if above && certain => Standing::New,
            None if resend => Standing::Unknown,
            // Not flagged, not new, not known: a request that the network repeated after its outcome was pushed out.
            None => Standing::Done,
        }
    }

    /// The client has all outcomes below this number, or does not want them: the calls below it that are open are returned.
    pub(super) fn acknowledge(&mut self, below: Option<CallNumber>, spare: &mut Spare) -> Vec<CallKey> {
        let Some(below) = below.filter(|&below| below > self.done_below) else { return Vec::new() };
        self.done_below = below;
        self.answered.forget_below(below, spare);
        let mut unwanted = Vec::new();
        while let Some((number, &call)) = self.open.first().filter(|&(number, _)| number < below.0) {
            self.open.remove(number);
            unwanted.push(call);
        }
        unwanted
    }

    /// Remembers an outcome until it is acknowledged, or pushed out by later ones. Its call is open no more.
    pub(super) fn remember(&mut self, number: CallNumber, outcome: &Outcome, extensions: &Bytes, spare: &mut Spare) {
        self.open.remove(number.0);
        if number < self.done_below {
            return;
        }
        self.answered.insert(number, outcome, extensions, spare);
    }

    /// Forgets the oldest outcome. False if there is none.
    pub(super) fn forget_oldest(&mut self, spare: &mut Spare) -> bool {
        self.answered.forget_oldest(spare)
    }

    /// Whether a call of that number is open, or was answered and is remembered.
    pub(super) fn knows(&self, number: CallNumber) -> bool {
        self.open.contains(number.0) || self.answered.has(number)
    }

    /// The outcome of a call that was answered.
    pub(super) fn outcome(&self, number: CallNumber) -> Option<Outcome> {
        self.answered.get(number).map(|(outcome, _)| outcome)
    }

    /// Bytes of the outcomes that are remembered.
    pub(super) fn outcome_bytes(&self) -> usize {
        self.answered.bytes()
    }

    /// Whether a call of it is open, or was answered and is remembered.
    pub(super) fn has_something(&self) -> bool {
        !self.open.is_empty() || self.answered.len() > 0
    }

    /// Outcomes that are remembered.
    pub(super) fn remembered_len(&self) -> usize {
        self.answered.len()
    }

    pub(super) fn check(&self) {
        self.answered.check(|number| self.open.contains(number));
        let numbers = |(number, _)| number <= self.highest.0;
        assert!(self.open.iter().all(numbers), "no number is above the highest");
    }
}

/// What a client may still send, and what it will be granted again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    window: Credit,
    left: Credit,
    owed: Credit,
}

impl Account {
    pub(super) fn new(window: Credit) -> Account {
        Account { window, left: window, owed: Credit::default() }
    }

    /// A call of so many bytes arrives. False if the client had no credit for it.
    #[must_use]
    pub(super) fn pay(&mut self, bytes: u64) -> bool {
        if self.left.calls == 0 || self.left.bytes < bytes {
            return false;
        }
        self.left.calls -= 1;
        self.left.bytes -= bytes;
        true
    }

    /// A call that was paid for is over.
    pub(super) fn owe(&mut self, bytes: u64) {
        self.owed.calls += 1;
        self.owed.bytes += bytes;
    }

    /// What to grant now: nothing, or all that is owed once it is half the window.
    pub(super) fn grant(&mut self) -> Option<Credit> {
        let owed = self.owed;
        if owed.calls < self.window.calls / 2 && owed.bytes < self.window.bytes / 2 {
            return None;
        }
        self.owed = Credit::default();
        self.left.calls += owed.calls;
        self.left.bytes += owed.bytes;
        Some(owed)
    }
}

/// A small body is copied out of its read buffer, which would live as long as the memory otherwise.
pub(super) fn detached(outcome: &Outcome) -> Outcome {
    match outcome {
        Ok(body) if body.len() <= BODY_COPIED_BYTES_MAX => Ok(copied(body)),
        Ok(body) => Ok(body.clone()),
        Err(failure) => Err(Box::new(Failure {
            type_name: failure.type_name.to_string().into(),
            message: failure.message.to_string().into(),
            details: copied(&failure.details),
            worker: failure.worker.to_string().into(),
            ..**failure
        })),
    }
}

/// Nothing costs nothing.
pub(super) fn copied(bytes: &Bytes) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(bytes) }
}

pub(super) fn outcome_bytes(outcome: &Outcome, extensions: &Bytes) -> usize {
    let bytes = match outcome {
        Ok(body) => body.len(),
        Err(failure) => failure.message.len() + failure.type_name.len() + failure.details.len(),
    };
    OUTCOME_COST + bytes + extensions.len()
}
