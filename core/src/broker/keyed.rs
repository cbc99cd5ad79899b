//! Affinity keys: calls of one key of a service run one at a time, on one worker, in the order in which each client made them.
//!
//! A key is in one of its service's 1,024 *buckets*. A bucket sticks to the worker that got the first call of it.
//!
//! States of a key:
//!
//! | state | what it means |
//! |---|---|
//! | free | nothing of it is here: it costs no memory |
//! | taken | one call has the *turn*: it is in the service's queue like any other, or at a worker; others wait here, in their bucket |
//! | held | a worker that registered again still runs a call of an earlier connection with this key: nobody has the turn |
//! | early | the broker is so young that workers may run calls of it that have not said so yet: nobody has the turn |
//!
//! Events:
//!
//! - **A call comes**: it takes the turn of a free key, else it waits in its bucket. There it is ahead of nobody: when it gets the
//!   turn, it goes to the end of its client's lane in the service's queue, like one that has just come.
//! - **A call with the turn is placed**: at the bucket's worker, and at no other, though others have room. A bucket without a worker
//!   takes, of those with room, the one that has fewest buckets.
//! - **A call is over** (its worker's last word, or its end in the queue): the turn goes round among the clients that wait, each
//!   with its oldest call. A time-out or a cancel is not the end of a call that runs: its worker may be at it still.
//! - **A call comes back** (handed back, or its worker was lost): it keeps the turn, so none of its key goes first.
//! - **A worker drains, is lost, or is stuck**: its buckets have no worker. What runs there keeps its key taken until it is over.
//! - **A worker registers again with calls that it still runs**: their keys are held until each is over, or it is lost once more.
//!   Their buckets are its own again, if nobody has got them meanwhile.
//! - **The broker starts**: for one heartbeat time-out every key is early, for its workers come back one after another.
//!
//! Failures that are left:
//!
//! - A worker that is lost may run on, out of sight, while its keys are served elsewhere. Each time that a bucket loses a worker its
//!   *fence* rises, across starts of the broker, too; each call carries it; what the handler writes to can refuse a lower one.
//! - A worker that serves some methods of a service only: a bucket may have several workers, each for its methods. The turn is the
//!   key's, whichever of them runs it.
//! - A call that waits for a method which nobody has now, but may have soon, has the turn meanwhile: its key waits as long as its
//!   patience lasts. To let others pass would take the order from its client.

mod buckets;
mod check;
mod turns;

use std::{collections::BTreeMap, time::Duration};

use super::{
    call::{Call, CallKey},
    queue::FairQueue,
    service::ServiceKey,
    worker::WorkerKey,
};
use crate::{
    time::Time,
    wire::{affinity::AffinityKey, limits::HEARTBEATS_MISSED_MAX},
};

/// Rows of the queue for each worker that a keyed call may wait for: more than a service has methods.
const ROWS: usize = 1 << 16;

/// The keys of one service that are in use, and the buckets that have workers.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    buckets: BTreeMap<u16, Bucket>,
    /// Calls that wait for their turn, and bytes of their bodies.
    waiting: usize,
    bytes: usize,
    /// The number of the last call that asked for a turn.
    last_number: u64,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Its worker; more than one where none serves all methods.
    workers: Vec<WorkerKey>,
    fence: u64,
    keys: BTreeMap<AffinityKey, Key>,
}

/// A key in use.
#[derive(Debug, Default)]
struct Key {
    /// The call that has the turn.
    turn: Option<CallKey>,
    /// Calls of earlier connections that run at workers which said so.
    held: usize,
    /// Calls that wait, by their clients, oldest first.
    lanes: BTreeMap<u64, BTreeMap<u64, CallKey>>,
    /// The lane that had the turn last.
    last: u64,
}

/// What a call with a key has of it.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) key: AffinityKey,
    bucket: u16,
    /// Its client, and its place among that one's calls of this key, from 1; 0 before it has asked for the turn.
    lane: u64,
    number: u64,
    /// It has waited: it is not refused for want of room any more.
    pub(super) let_in: bool,
    /// The worker that it waits for in the queue: no other may have it.
    pub(super) at: Option<WorkerKey>,
}

/// What is to be looked at again when an event has been handled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loose {
    /// A call of the key is over.
    Key(ServiceKey, AffinityKey),
    /// A bucket has lost its worker: calls that waited for it may go to others.
    Bucket(ServiceKey, u16),
    /// A method may run more calls than it did: any worker with room may get one that waits.
    Method(ServiceKey),
}

impl Turn {
    /// Of a call with that key.
    pub(super) fn of(key: &AffinityKey) -> Turn {
        Turn { key: key.clone(), bucket: key.bucket(), lane: 0, number: 0, let_in: false, at: None }
    }
}

impl Key {
    fn is_free(&self) -> bool {
        self.turn.is_none() && self.held == 0
    }

    fn is_unused(&self) -> bool {
        self.is_free() && self.lanes.is_empty()
    }

    /// Takes the oldest call of the client whose turn it is.
    fn pop(&mut self) -> Option<CallKey> {
        let lane = self.lanes.range(self.last + 1..).next().or_else(|| self.lanes.first_key_value());
        let (&lane, calls) = lane?;
        let &number = calls.first_key_value()?.0;
        self.last = lane;
        self.remove(lane, number)
    }

    fn remove(&mut self, lane: u64, number: u64) -> Option<CallKey> {
        let calls = self.lanes.get_mut(&lane)?;
        let call = calls.remove(&number);
        if calls.is_empty() {
            self.lanes.remove(&lane);
        }
        call
    }
}

impl Keyed {
    /// Calls that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of their bodies.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Those calls.
    pub(super) fn iter(&self) -> impl Iterator<Item = CallKey> + '_ {
        let keys = self.buckets.values().flat_map(|bucket| bucket.keys.values());
        keys.flat_map(|key| key.lanes.values()).flat_map(BTreeMap::values).copied()
    }

    fn known(&self, turn: &Turn) -> Option<&Key> {
        self.buckets.get(&turn.bucket)?.keys.get(&turn.key)
    }

    fn key(&mut self, turn: &Turn) -> &mut Key {
        self.buckets.entry(turn.bucket).or_default().keys.entry(turn.key.clone()).or_default()
    }

    /// Lets a call wait for its turn, behind those of its client that have asked before.
    fn wait(&mut self, turn: &Turn, call: CallKey, bytes: usize) {
        self.key(turn).lanes.entry(turn.lane).or_default().insert(turn.number, call);
        self.waiting += 1;
        self.bytes += bytes;
    }

    /// Forgets a key that is not in use, and a bucket that has neither keys nor a worker.
    fn tidy(&mut self, bucket: u16, key: Option<&AffinityKey>) {
        let Some(entry) = self.buckets.get_mut(&bucket) else { return };
        if let Some(key) = key.filter(|key| entry.keys.get(key).is_some_and(Key::is_unused)) {
            entry.keys.remove(key);
        }
        if entry.keys.is_empty() && entry.workers.is_empty() {
            self.buckets.remove(&bucket);
        }
    }

    /// The calls of a bucket that have the turn of their keys.
    fn turns(&self, bucket: u16) -> Vec<CallKey> {
        let keys = self.buckets.get(&bucket).into_iter().flat_map(|bucket| bucket.keys.values());
        keys.filter_map(|key| key.turn).collect()
    }
}

/// The row of calls whose method nobody has offered yet.
const UNKNOWN_ROW: usize = usize::MAX;

/// The row of the queue in which a call waits: its method's; where it waits for one worker, its method's at that worker. Else it would
/// hide those behind it that others could take.
pub(super) fn row(call: &Call) -> usize {
    let Some(method) = call.method_number else { return UNKNOWN_ROW };
    method + call.bound_to().map_or(0, first_row)
}

/// The first row of those that wait for a worker alone. Should so many workers come that the numbers begin again, two of them share
/// their rows: that is all.
fn first_row(WorkerKey(worker): WorkerKey) -> usize {
    let worker = worker % (usize::MAX / ROWS - 1) as u64;
    ROWS * (1 + usize::try_from(worker).expect("it is a remainder"))
}

/// Whether a call waits that a worker may have, of a method that `fits`, as far as rows tell: so that nobody looks through all who wait
/// at each word of a worker that can take none of them.
pub(super) fn has_row_for(queue: &FairQueue<CallKey>, worker: WorkerKey, fits: impl Fn(usize) -> bool) -> bool {
    let own = first_row(worker);
    let fits = |row| fits(method_of(row));
    queue.has_row_where(..ROWS, fits)
        || queue.has_row_where(own..own + ROWS, fits)
        || queue.has_row_where(UNKNOWN_ROW.., |_| true)
}

/// The method whose calls wait in a row.
pub(super) fn method_of(row: usize) -> usize {
    row % ROWS
}

/// Whether a worker may have a call: a part of a broadcast belongs to one, and one with a key to its bucket's worker, or to anybody
/// while that has none.
pub(super) fn suits(call: &Call, worker: WorkerKey) -> bool {
    call.bound_to().is_none_or(|at| at == worker)
}

/// When calls with keys may begin at a broker that started then: each worker of an earlier start is back by then, or lost.
pub(super) fn keys_from(started: Time, heartbeat: Duration) -> Time {
    started + heartbeat * HEARTBEATS_MISSED_MAX
}
