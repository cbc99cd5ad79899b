//! The events and the status of a pool.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::pool::{
    process::Exit,
    replicas::{Bounds, CrashLoop, ReplicaId, ReplicaState, RolloutOutcome, RolloutProgress},
    settings::PoolSettings,
};

/// The maximum number of events that wait for a slow owner. Beyond it the pool drops the oldest informational events.
pub const EVENTS_WAITING_MAX: usize = 1_024;

/// An event of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A process started.
    Started {
        /// The name of the process.
        instance: String,
        /// The process id, which is also the id of its process group.
        pid: u32,
        /// The replica that the process fills.
        replica: ReplicaId,
    },
    /// A process exited, or could not be started.
    Exited {
        /// The name of the process.
        instance: String,
        /// The replica that the process fills.
        replica: ReplicaId,
        /// How it exited.
        exit: Exit,
    },
    /// Another process will fill the replica of the one that exited.
    Restarting {
        /// The name of the new process.
        instance: String,
        /// The replica that the process fills.
        replica: ReplicaId,
        /// The delay until it starts.
        after: Duration,
    },
    /// One replica is in a crash loop, and other replicas are healthy. The pool retries the replica every 10 s and continues. Comes
    /// once for each crash loop.
    CrashLooping {
        /// The crash loop.
        crash_loop: CrashLoop,
        /// The last lines that its last process printed, oldest first: at most [`crate::pool::LAST_LINES_MAX`].
        last_lines: Vec<String>,
    },
    /// All workers are registered at the broker. Comes once.
    Ready {
        /// The number of workers.
        workers: u32,
    },
    /// A rollout completed, or was rolled back.
    RolloutFinished {
        /// How it ended.
        outcome: RolloutOutcome,
        /// If a new process exited: the last lines that it printed, oldest first.
        last_lines: Vec<String>,
    },
    /// One replica is in a crash loop, and no other replica is healthy. The pool drains the other processes and shuts down. Comes once.
    GaveUp {
        /// The crash loop.
        crash_loop: CrashLoop,
        /// The last lines that its last process printed, oldest first: at most [`crate::pool::LAST_LINES_MAX`].
        last_lines: Vec<String>,
    },
    /// Informational events were dropped here, because the owner did not receive them in time.
    Lagged {
        /// The number of dropped events.
        count: u64,
    },
    /// The last process is gone. No event follows it.
    Finished,
}

impl PoolEvent {
    /// Returns whether the event is informational, so that it may be dropped for a slow owner.
    fn is_informational(&self) -> bool {
        matches!(
            self,
            PoolEvent::Started { .. }
                | PoolEvent::Exited { .. }
                | PoolEvent::Restarting { .. }
                | PoolEvent::CrashLooping { .. }
        )
    }
}

/// A snapshot of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// The desired number of processes, without those that are terminating and the new ones of a rollout.
    pub size: u32,
    /// The sizes that the pool accepts.
    pub bounds: Bounds,
    /// The generation of its processes: 1, plus 1 for each reload.
    pub generation: u32,
    /// The rollout in progress, if any.
    pub rollout: Option<RolloutProgress>,
    /// How the last rollout ended.
    pub last_rollout: Option<RolloutOutcome>,
    /// The crash loop because of which the pool gave up, if it did.
    pub crash_loop: Option<CrashLoop>,
    /// The replicas, in the order of their ids.
    pub replicas: Vec<ReplicaStatus>,
}

impl PoolStatus {
    /// Returns the status of a pool before its first process has started.
    pub(super) fn initial(settings: &PoolSettings) -> PoolStatus {
        PoolStatus {
            size: settings.size,
            bounds: settings.bounds(),
            generation: 1,
            rollout: None,
            last_rollout: None,
            crash_loop: None,
            replicas: Vec::new(),
        }
    }
}

/// A snapshot of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Its id.
    pub id: ReplicaId,
    /// The name of its current or next process.
    pub instance: String,
    /// How many of its processes exited and were replaced.
    pub restarts: u32,
    /// The generation that its process belongs to.
    pub generation: u32,
    /// How its last process exited.
    pub last_exit: Option<Exit>,
    /// When its next process starts, if it waits for that.
    pub next_start: Option<Instant>,
    /// Its state.
    pub state: ReplicaState,
    /// Whether it is in a crash loop, so that its next process starts after the longest delay.
    pub crash_looping: bool,
}

/// The queue of events for the owner. A slow owner does not block the pool.
#[derive(Debug)]
pub(super) struct EventQueue {
    events: mpsc::Sender<PoolEvent>,
    waiting: VecDeque<PoolEvent>,
    dropped: u64,
}

impl EventQueue {
    pub(super) fn new(events: mpsc::Sender<PoolEvent>) -> EventQueue {
        EventQueue { events, waiting: VecDeque::new(), dropped: 0 }
    }

    /// Appends an event.
    pub(super) fn push(&mut self, event: PoolEvent) {
        self.waiting.push_back(event);
        // All other events come a bounded number of times, so there is always an informational one to drop.
        while self.waiting.len() > EVENTS_WAITING_MAX
            && let Some(at) = self.waiting.iter().position(PoolEvent::is_informational)
        {
            self.waiting.remove(at);
            self.dropped += 1;
        }
    }

    /// Returns whether an event waits for capacity in the channel.
    pub(super) fn has_pending(&self) -> bool {
        self.dropped > 0 || !self.waiting.is_empty()
    }

    /// Waits for capacity, then sends. If the owner is gone, discards all events.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub(super) async fn send(&mut self) {
        if self.events.reserve().await.is_err() {
            self.waiting.clear();
            self.dropped = 0;
        }
        self.flush();
    }

    /// Sends as many events as the channel has capacity for.
    pub(super) fn flush(&mut self) {
        while self.has_pending() {
            let Ok(permit) = self.events.try_reserve() else {
                return;
            };
            match std::mem::take(&mut self.dropped) {
                0 => {
                    permit.send(self.waiting.pop_front().expect("an event is pending, and it is not the dropped count"))
                }
                count => permit.send(PoolEvent::Lagged { count }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(number: usize) -> PoolEvent {
        PoolEvent::Exited { instance: String::new(), replica: ReplicaId(1), exit: Exit::Status(number as i32) }
    }

    #[tokio::test]
    async fn a_slow_owner_loses_the_oldest_informational_events_and_never_the_last_one() {
        let (sender, mut events) = mpsc::channel(1);
        let mut queue = EventQueue::new(sender);
        queue.push(PoolEvent::Ready { workers: 1 });
        queue.flush();
        queue.push(PoolEvent::Ready { workers: 2 });
        (0..EVENTS_WAITING_MAX).for_each(|number| queue.push(exited(number)));
        queue.push(PoolEvent::Finished);
        let mut received = Vec::new();
        while queue.has_pending() {
            received.push(events.recv().await.expect("the queue is open"));
            queue.send().await;
        }
        received.extend(events.recv().await);
        assert_eq!(received[..2], [PoolEvent::Ready { workers: 1 }, PoolEvent::Lagged { count: 2 }]);
        assert_eq!(received[2..4], [PoolEvent::Ready { workers: 2 }, exited(2)]);
        assert_eq!(received.last(), Some(&PoolEvent::Finished));
        assert_eq!(received.len(), 2 + EVENTS_WAITING_MAX);
    }

    #[tokio::test]
    async fn events_for_a_dropped_owner_are_discarded() {
        let (sender, events) = mpsc::channel(1);
        let mut queue = EventQueue::new(sender);
        drop(events);
        queue.push(PoolEvent::Finished);
        queue.send().await;
        assert!(!queue.has_pending());
    }
}
