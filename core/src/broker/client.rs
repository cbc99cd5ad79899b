//! A client's session at the broker: its open calls, the outcomes it has not acknowledged, its credit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;

use super::{call::CallKey, party::PartyKey, presence::Presence};
use crate::{
    auth::Principal,
    time::Time,
    wire::{
        envelope::Credit,
        handshake::Hello,
        ids::{CallNumber, ConnectionNumber, SessionId},
        limits::{BODY_COPIED_BYTES_MAX, OUTCOME_BYTES_MAX, OUTCOME_COST, OUTCOMES_MAX},
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
    pub(super) connection: ConnectionNumber,
    /// `None` while it is lost; its calls live on for a while.
    pub(super) presence: Option<Presence>,
    pub(super) interval: Duration,
    /// While it is lost: when it is given up.
    pub(super) gone_at: Time,
    /// Calls by number, from `done_below` on.
    pub(super) calls: BTreeMap<CallNumber, Entry>,
    pub(super) highest: CallNumber,
    /// Whether a request came that was not sent before. Numbers above it were then first sent to this start of the broker.
    fresh: bool,
    done_below: CallNumber,
    /// The numbers of the outcomes that are remembered.
    answered: BTreeSet<CallNumber>,
    outcome_bytes: usize,
    pub(super) credit: Account,
}

/// A call of a client by its number.
#[derive(Debug)]
pub(super) enum Entry {
    /// Open.
    Open(CallKey),
    /// Answered, and not acknowledged yet.
    Answered(Outcome, Bytes),
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
            connection: hello.connection,
            presence: None,
            interval,
            gone_at: Time::ZERO,
            calls: BTreeMap::new(),
            highest: CallNumber(0),
            fresh: false,
            done_below: CallNumber(0),
            answered: BTreeSet::new(),
            outcome_bytes: 0,
            credit,
        }
    }

    /// How `number` stands, and notes that it was seen.
    pub(super) fn standing(&mut self, number: CallNumber, resend: bool) -> Standing {
        let above = number > self.highest;
        let certain = self.fresh || !resend;
        self.highest = self.highest.max(number);
        self.fresh |= !resend;
        match self.calls.get(&number) {
            Some(Entry::Open(_)) => Standing::Open,
            Some(Entry::Answered(outcome, extensions)) => Standing::Answered(outcome.clone(), extensions.clone()),
            None if number < self.done_below => Standing::Done,
            None if above && certain => Standing::New,
            None if resend => Standing::Unknown,
            // Not flagged, not new, not known: a request that the network repeated after its outcome was pushed out.
            None => Standing::Done,
        }
    }

    /// The client has all outcomes below this number, or does not want them: the calls below it that are open are returned.
    pub(super) fn acknowledge(&mut self, below: Option<CallNumber>) -> Vec<CallKey> {
        let Some(below) = below.filter(|&below| below > self.done_below) else { return Vec::new() };
        self.done_below = below;
        while let Some(&number) = self.answered.first().filter(|&&number| number < below) {
            self.forget(number);
        }
        let mut unwanted = Vec::new();
        while let Some((&number, &Entry::Open(call))) = self.calls.range(..below).next() {
            self.forget(number);
            unwanted.push(call);
        }
        unwanted
    }

    /// Remembers an outcome until it is acknowledged, or pushed out by later ones.
    pub(super) fn remember(&mut self, number: CallNumber, outcome: &Outcome, extensions: &Bytes) {
        if number < self.done_below {
            return self.forget(number);
        }
        let copy = detached(outcome);
        self.outcome_bytes += outcome_bytes(&copy, extensions);
        self.answered.insert(number);
        self.calls.insert(number, Entry::Answered(copy, Bytes::copy_from_slice(extensions)));
        while self.answered.len() > OUTCOMES_MAX || self.outcome_bytes > OUTCOME_BYTES_MAX {
            self.forget_oldest();
        }
    }

    /// Forgets the oldest outcome. False if there is none.
    pub(super) fn forget_oldest(&mut self) -> bool {
        let oldest = self.answered.first().copied();
        oldest.into_iter().for_each(|number| self.forget(number));
        oldest.is_some()
    }

    /// Removes a number, open or answered.
    pub(super) fn forget(&mut self, number: CallNumber) {
        if let Some(Entry::Answered(outcome, extensions)) = self.calls.remove(&number) {
            self.answered.remove(&number);
            self.outcome_bytes -= outcome_bytes(&outcome, &extensions);
        }
    }

    /// Bytes of the outcomes that are remembered.
    pub(super) fn outcome_bytes(&self) -> usize {
        self.outcome_bytes
    }

    /// Outcomes that are remembered.
    pub(super) fn remembered_len(&self) -> usize {
        self.answered.len()
    }

    /// The calls that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = CallKey> + '_ {
        self.calls.values().filter_map(|entry| match entry {
            Entry::Open(call) => Some(*call),
            Entry::Answered(..) => None,
        })
    }

    pub(super) fn check(&self) {
        let answered = |entry: &&Entry| matches!(entry, Entry::Answered(..));
        assert_eq!(self.answered.len(), self.calls.values().filter(answered).count(), "outcomes are counted");
        assert!(self.answered.len() <= OUTCOMES_MAX && self.outcome_bytes <= OUTCOME_BYTES_MAX, "outcomes are bounded");
        assert!(self.calls.keys().all(|&number| number <= self.highest), "no number is above the highest");
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
        Ok(body) if body.len() <= BODY_COPIED_BYTES_MAX => Ok(Bytes::copy_from_slice(body)),
        Ok(body) => Ok(body.clone()),
        Err(failure) => Err(Box::new(Failure {
            type_name: failure.type_name.to_string().into(),
            message: failure.message.to_string().into(),
            details: Bytes::copy_from_slice(&failure.details),
            worker: failure.worker.to_string().into(),
            ..**failure
        })),
    }
}

fn outcome_bytes(outcome: &Outcome, extensions: &Bytes) -> usize {
    let bytes = match outcome {
        Ok(body) => body.len(),
        Err(failure) => failure.message.len() + failure.type_name.len() + failure.details.len(),
    };
    OUTCOME_COST + bytes + extensions.len()
}
