//! One place in a pool, and the process that has it.

use std::fmt;

use callboard_core::time::Time;

use super::{exit::Exit, restarts::Restarts};

/// A place in a pool: a number that counts from 1 and is never reused in one life of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatId(pub u32);

impl fmt::Display for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a seat is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// Its next process is started at this time.
    Backoff {
        /// When; a time that has passed means at once.
        until: Time,
    },
    /// A process was asked for and is not there yet.
    Starting,
    /// Its process runs, and the broker does not know it yet.
    Running {
        /// The process.
        pid: u32,
        /// When it was started.
        since: Time,
    },
    /// Its process runs, and has been registered at the broker.
    Registered {
        /// The process.
        pid: u32,
        /// When it was started.
        since: Time,
    },
    /// Its process was asked to end.
    Draining {
        /// The process.
        pid: u32,
        /// The process has ended; others of its group, which had the same notice, still run.
        ended: bool,
    },
    /// It has no process, and gets none.
    Empty,
}

impl SeatState {
    /// The process that has the seat.
    pub fn pid(&self) -> Option<u32> {
        match *self {
            SeatState::Running { pid, .. } | SeatState::Registered { pid, .. } | SeatState::Draining { pid, .. } => {
                Some(pid)
            }
            SeatState::Backoff { .. } | SeatState::Starting | SeatState::Empty => None,
        }
    }

    /// One word for people: `starting`, `registered` and so on.
    pub fn word(&self) -> &'static str {
        match self {
            SeatState::Backoff { .. } => "backoff",
            SeatState::Starting => "starting",
            SeatState::Running { .. } => "running",
            SeatState::Registered { .. } => "registered",
            SeatState::Draining { .. } => "draining",
            SeatState::Empty => "empty",
        }
    }
}

/// A seat as the pool's machine keeps it.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// Which reload of the program it belongs to.
    pub(super) generation: u32,
    /// How many processes it had before the present (or next) one.
    pub(super) restart: u32,
    /// What it is doing.
    pub(super) state: SeatState,
    /// When its next process is due, once this one has ended.
    pub(super) restarts: Restarts,
    /// Whether one of its processes was ever registered: then the program can serve.
    pub(super) has_served: bool,
    /// How its last process ended.
    pub(super) last_exit: Option<Exit>,
    /// Set once it is to have no process any more.
    pub(super) leaving: Option<Leaving>,
}

/// A seat that is to be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    /// When what is left of its process is killed.
    pub(super) deadline: Time,
    /// That time has come.
    pub(super) killed: bool,
}

impl Seat {
    /// A seat whose first process is due at `now`.
    pub(super) fn new(now: Time, generation: u32) -> Seat {
        Seat {
            generation,
            restart: 0,
            state: SeatState::Backoff { until: now },
            restarts: Restarts::default(),
            has_served: false,
            last_exit: None,
            leaving: None,
        }
    }

    /// Whether it is to keep a process.
    pub(super) fn stays(&self) -> bool {
        self.leaving.is_none()
    }

    /// Whether its program serves, as far as this seat can tell: it has, and does not end again and again now.
    pub(super) fn is_well(&self) -> bool {
        self.stays() && self.has_served && !self.restarts.is_looping()
    }

    /// When its next process is due, if it waits for that.
    pub(super) fn due(&self) -> Option<Time> {
        match self.state {
            SeatState::Backoff { until } => Some(until),
            _ => None,
        }
    }
}

/// The name of one process: `calculator-3`, and after its seat's second restart `calculator-3.2`.
pub(super) fn instance(pool: &str, seat: SeatId, restart: u32) -> String {
    match restart {
        0 => format!("{pool}-{seat}"),
        _ => format!("{pool}-{seat}.{restart}"),
    }
}
