//! What a pool tells its owner.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    ask::{Bounds, ExchangeNumber, Exchanged},
    exit::{Exit, Verdict},
    seat::{SeatId, SeatState},
    settings::PoolSettings,
};

/// Events that wait for an owner who does not take them. Beyond this the oldest ones that only inform are dropped.
pub const EVENTS_WAITING_MAX: usize = 1_024;

/// What happens in a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A process runs.
    Started {
        /// Its name.
        instance: String,
        /// Its process id, which is its process group's as well.
        pid: u32,
        /// Its place.
        seat: SeatId,
    },
    /// A process has ended, or could not be started.
    Exited {
        /// Its name.
        instance: String,
        /// Its place.
        seat: SeatId,
        /// How it ended.
        exit: Exit,
    },
    /// A process will take the place of the one that ended.
    Restarting {
        /// The name of the new one.
        instance: String,
        /// Its place.
        seat: SeatId,
        /// In how long a time it is started.
        after: Duration,
    },
    /// One seat cannot keep a process alive, and others serve: it is tried again every 10 s, and the pool goes on. Comes once for each
    /// time that it begins.
    Looping {
        /// Why that is said.
        verdict: Verdict,
        /// The last lines that its last process printed, oldest first: [`super::LAST_LINES_MAX`] at most.
        last_lines: Vec<String>,
    },
    /// All processes are registered at the broker. Comes once.
    Ready {
        /// How many they are.
        workers: u32,
    },
    /// Processes were exchanged for newer ones, or were not after all.
    Exchanged {
        /// How it ended.
        outcome: Exchanged,
        /// If a new process has ended: the last lines that it printed, oldest first.
        last_lines: Vec<String>,
    },
    /// One seat cannot keep a process alive, and no other serves: the pool drains the others and ends. Comes once.
    GaveUp {
        /// The last process of that seat.
        instance: String,
        /// Why.
        verdict: Verdict,
        /// The last lines that this process printed, oldest first: [`super::LAST_LINES_MAX`] at most.
        last_lines: Vec<String>,
    },
    /// Events that only inform were dropped here, because nobody took them in time.
    Missed {
        /// How many.
        count: u64,
    },
    /// The last process is gone. Nothing comes after it.
    Finished,
}

impl PoolEvent {
    /// Whether the pool's end can be understood without it.
    fn only_informs(&self) -> bool {
        matches!(
            self,
            PoolEvent::Started { .. }
                | PoolEvent::Exited { .. }
                | PoolEvent::Restarting { .. }
                | PoolEvent::Looping { .. }
        )
    }
}

/// A pool at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// How many processes it is to have, those that leave and those on trial apart.
    pub size: u32,
    /// How few and how many may be asked for.
    pub bounds: Bounds,
    /// The reload that its processes belong to, counted from 1.
    pub generation: u32,
    /// The exchange of processes that is under way, if any, and whether the new ones serve already, on trial.
    pub exchange: Option<(ExchangeNumber, bool)>,
    /// How the last one ended.
    pub exchanged: Option<Exchanged>,
    /// Why it gave up, if it did.
    pub verdict: Option<Verdict>,
    /// Its seats, in the order of their numbers.
    pub seats: Vec<SeatStatus>,
}

impl PoolStatus {
    /// A pool of which nothing has been started yet.
    pub(super) fn before(settings: &PoolSettings) -> PoolStatus {
        PoolStatus {
            size: settings.size,
            bounds: settings.bounds(),
            generation: 1,
            exchange: None,
            exchanged: None,
            verdict: None,
            seats: Vec::new(),
        }
    }
}

/// A seat at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatStatus {
    /// Its number.
    pub seat: SeatId,
    /// The name of its present or next process.
    pub instance: String,
    /// How many processes it has lost.
    pub restarts: u32,
    /// The reload that its process belongs to.
    pub generation: u32,
    /// How the last process that it lost ended.
    pub last_exit: Option<Exit>,
    /// When its next process is started, if it waits for that.
    pub next_start: Option<Instant>,
    /// What it is doing.
    pub state: SeatState,
    /// Whether its processes end again and again, so that the next one comes after the longest wait.
    pub looping: bool,
}

/// Events on their way to the owner: the pool never waits for one who does not take them.
#[derive(Debug)]
pub(super) struct Outbox {
    events: mpsc::Sender<PoolEvent>,
    waiting: VecDeque<PoolEvent>,
    missed: u64,
}

impl Outbox {
    pub(super) fn new(events: mpsc::Sender<PoolEvent>) -> Outbox {
        Outbox { events, waiting: VecDeque::new(), missed: 0 }
    }

    /// Takes an event, to be sent later.
    pub(super) fn push(&mut self, event: PoolEvent) {
        self.waiting.push_back(event);
        // Those that do more than inform come once each: there is always another to drop.
        while self.waiting.len() > EVENTS_WAITING_MAX
            && let Some(at) = self.waiting.iter().position(PoolEvent::only_informs)
        {
            self.waiting.remove(at);
            self.missed += 1;
        }
    }

    /// Whether something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        self.missed > 0 || !self.waiting.is_empty()
    }

    /// Waits for room and sends. An owner that is gone gets nothing, and nothing waits for it. Cancel safe.
    pub(super) async fn send(&mut self) {
        if self.events.reserve().await.is_err() {
            self.waiting.clear();
            self.missed = 0;
        }
        self.send_what_fits();
    }

    /// Sends as much as there is room for.
    pub(super) fn send_what_fits(&mut self) {
        while self.is_waiting() {
            let Ok(room) = self.events.try_reserve() else {
                return;
            };
            match std::mem::take(&mut self.missed) {
                0 => room.send(self.waiting.pop_front().expect("something waits, and it is not the count")),
                count => room.send(PoolEvent::Missed { count }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(number: usize) -> PoolEvent {
        PoolEvent::Exited { instance: String::new(), seat: SeatId(1), exit: Exit::Status(number as i32) }
    }

    #[tokio::test]
    async fn an_owner_that_sleeps_misses_the_oldest_news_and_never_the_end() {
        let (sender, mut events) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.push(PoolEvent::Ready { workers: 1 });
        outbox.send_what_fits();
        outbox.push(PoolEvent::Ready { workers: 2 });
        (0..EVENTS_WAITING_MAX).for_each(|number| outbox.push(exited(number)));
        outbox.push(PoolEvent::Finished);
        let mut got = Vec::new();
        while outbox.is_waiting() {
            got.push(events.recv().await.expect("the outbox lives"));
            outbox.send().await;
        }
        got.extend(events.recv().await);
        assert_eq!(got[..2], [PoolEvent::Ready { workers: 1 }, PoolEvent::Missed { count: 2 }]);
        assert_eq!(got[2..4], [PoolEvent::Ready { workers: 2 }, exited(2)]);
        assert_eq!(got.last(), Some(&PoolEvent::Finished));
        assert_eq!(got.len(), 2 + EVENTS_WAITING_MAX);
    }

    #[tokio::test]
    async fn nothing_waits_for_an_owner_that_is_gone() {
        let (sender, events) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        drop(events);
        outbox.push(PoolEvent::Finished);
        outbox.send().await;
        assert!(!outbox.is_waiting());
    }
}
