//! Broadcasts: a call to every worker that serves a method, as one subcall for each worker, whose replies form one result.
//!
//! A subcall is a call without a client, for one worker. It waits in the queue of its service as any other call of its caller. No other
//! worker may have it: if its worker is lost, that failure is the worker's reply. The broadcast ends when all workers have replied, or at
//! its deadline with the replies that it has.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    super::{
        calls::{CallState, Calls},
        keys::{CallKey, WorkerKey},
        outcome::{self, Outcome, detached},
        registry::Registry,
    },
    aggregation::{BroadcastAggregation, SubcallId, WorkerReply},
};
use crate::{
    body,
    wire::{
        broadcast::BroadcastReply,
        limits::{BROADCAST_BYTES_MAX, BROADCAST_REPLY_OVERHEAD_BYTES},
        status::{Code, Executed, Failure},
    },
};

/// The accounting of all broadcasts.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    /// Bytes of replies that are buffered while others are missing.
    buffered_bytes: usize,
}

impl Broadcasts {
    /// Returns whether a broadcast to so many workers may begin.
    pub(crate) fn has_room(&self, workers: usize) -> bool {
        self.buffered_bytes + workers * BROADCAST_REPLY_OVERHEAD_BYTES <= BROADCAST_BYTES_MAX
    }

    /// Turns a call into a broadcast, with a subcall for each worker. Returns the subcalls, which are to be scheduled.
    pub(crate) fn begin(
        &mut self,
        broadcast: CallKey,
        workers: Vec<WorkerKey>,
        calls: &mut Calls,
        registry: &mut Registry,
    ) -> Vec<CallKey> {
        calls[broadcast].detach();
        let (mut keys, mut pending) = (Vec::new(), Vec::new());
        for (index, worker) in workers.into_iter().enumerate() {
            let subcall = calls[broadcast].subcall(SubcallId { broadcast, index, worker });
            let subcall = calls.insert(subcall);
            let serving = registry.worker_mut(worker);
            serving.subcalls.insert(subcall);
            keys.push(subcall);
            pending.push((serving.name(), subcall));
        }
        let aggregation = BroadcastAggregation::new(pending);
        self.buffered_bytes += aggregation.bytes();
        let call = &mut calls[broadcast];
        let service = registry.service_mut(call.service);
        service.calls += keys.len();
        call.method_index().iter().for_each(|&method| service.method_mut(method).calls += keys.len());
        call.state = CallState::Aggregating;
        call.aggregation = Some(Box::new(aggregation));
        // The subcalls hold the body now.
        call.body = Bytes::new();
        keys
    }

    /// Stores the outcome of a subcall as its worker's reply. Returns whether the broadcast is complete. `bytes_max` limits the replies of
    /// one broadcast.
    pub(crate) fn store(
        &mut self,
        of: SubcallId,
        outcome: &Outcome,
        bytes_max: usize,
        calls: &mut Calls,
        registry: &mut Registry,
    ) -> bool {
        let aggregation = calls[of.broadcast].aggregation.as_mut().expect("a broadcast exists as long as its subcalls");
        let left = BROADCAST_BYTES_MAX.saturating_sub(self.buffered_bytes);
        let room = bytes_max.saturating_sub(aggregation.bytes()).min(left);
        let bytes = outcome::size_of(outcome);
        let (outcome, bytes) = if bytes <= room { (detached(outcome), bytes) } else { (no_room_for(outcome), 0) };
        self.buffered_bytes += bytes;
        let subcall = aggregation.store(of.index, outcome, bytes);
        let complete = aggregation.is_complete();
        if let Some(subcall) = subcall {
            remove_subcall(registry, of.worker, subcall);
        }
        complete
    }

    /// Takes the replies out of a broadcast that ends. For an open subcall, returns its key instead: the caller must
    /// end it.
    pub(crate) fn finish(&mut self, key: CallKey, calls: &mut Calls) -> Vec<(ByteString, Result<Outcome, CallKey>)> {
        let broadcast = &mut calls[key];
        broadcast.state = CallState::New;
        let Some(aggregation) = broadcast.aggregation.take() else { return Vec::new() };
        self.buffered_bytes -= aggregation.bytes();
        let reply = |(worker, reply)| match reply {
            WorkerReply::Received(outcome) => (worker, Ok(outcome)),
            WorkerReply::Pending(subcall) => (worker, Err(subcall)),
        };
        aggregation.into_replies().into_iter().map(reply).collect()
    }

    /// Detaches an open subcall from a broadcast that ends. Returns the failure that is its worker's reply.
    pub(crate) fn abandon_subcall(&self, subcall: CallKey, calls: &mut Calls, registry: &mut Registry) -> Failure {
        let call = &mut calls[subcall];
        let of = call.subcall_of.take().expect("an open subcall belongs to its broadcast");
        let text = match call.state {
            CallState::Running { .. } => "the deadline passed while it ran",
            _ => "the deadline passed before it could start there",
        };
        remove_subcall(registry, of.worker, subcall);
        call.failure(Code::DeadlineExceeded, text)
    }

    /// Asserts that subcalls belong to broadcasts that wait for them, and that their workers list them.
    pub(crate) fn assert_invariants(&self, calls: &Calls, registry: &Registry) {
        let mut subcalls = BTreeMap::<WorkerKey, usize>::new();
        let mut bytes = 0;
        for (key, call) in calls.iter() {
            let aggregates = call.state == CallState::Aggregating;
            assert_eq!(call.aggregation.is_some(), aggregates, "only a broadcast has replies");
            if let Some(aggregation) = &call.aggregation {
                aggregation.assert_invariants();
                bytes += aggregation.bytes();
            }
            let Some(of) = call.subcall_of.as_deref().copied() else { continue };
            let aggregation = calls[of.broadcast].aggregation.as_ref();
            assert!(aggregation.is_some_and(|all| all.awaits(of, key)), "a broadcast waits for its subcalls");
            assert!(registry.worker(of.worker).subcalls.contains(&key), "a worker lists its subcalls");
            match call.state {
                CallState::Running { worker, .. } => assert_eq!(worker, of.worker, "a subcall runs at its worker"),
                state => {
                    assert!(matches!(state, CallState::Queued { .. }), "a subcall waits in the queue, or runs");
                    assert!(!registry.worker(of.worker).draining, "no subcall waits for a worker that drains");
                }
            }
            *subcalls.entry(of.worker).or_default() += 1;
        }
        assert_eq!(self.buffered_bytes, bytes, "buffered bytes of broadcasts are counted");
        for (key, worker) in registry.workers() {
            assert_eq!(worker.subcalls.len(), subcalls.remove(&key).unwrap_or(0), "a worker lists open subcalls only");
        }
    }
}

/// Returns the result of a broadcast: the replies of its workers. `bytes_max` limits the encoded result.
pub(crate) fn result(replies: Vec<(ByteString, Outcome)>, bytes_max: usize) -> Outcome {
    let answers: Vec<_> = replies.into_iter().map(|(worker, outcome)| BroadcastReply::new(&worker, outcome)).collect();
    match body::encode(&answers) {
        Ok(body) if body.len() <= bytes_max => Ok(body),
        Ok(body) => {
            let text = format!(
                "the replies have {} bytes, and messages of this broker must not exceed {bytes_max}",
                body.len()
            );
            Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Maybe, text)))
        }
        Err(error) => Err(Box::new(Failure::new(Code::Internal, Executed::Maybe, error.to_string()))),
    }
}

fn remove_subcall(registry: &mut Registry, worker: WorkerKey, subcall: CallKey) {
    if let Some(worker) = registry.find_worker_mut(worker) {
        worker.subcalls.remove(&subcall);
    }
}

/// Returns the failure that replaces a reply which is too large. Its size is part of the overhead that each reply
/// reserves.
fn no_room_for(outcome: &Outcome) -> Outcome {
    let executed = outcome.as_ref().map_or_else(|failure| failure.executed, |_| Executed::Yes);
    let text = "there is no room for its reply beside the others";
    Err(Box::new(Failure::new(Code::ResourceExhausted, executed, text)))
}
