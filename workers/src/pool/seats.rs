//! The machine of supervision: which seat of a pool has a process, gets one, or loses it.
//!
//! It is pure, as the machines of `callboard-core` are: events in, actions out; time and chance are arguments. Its driver
//! ([`super::driver`]) spawns, signals and reaps, and decides nothing.
//!
//! | state | spawned | spawn failed, exited | shutdown | time |
//! |---|---|---|---|---|
//! | backoff | | | empty | starting |
//! | starting | running | backoff, or give up | starting | |
//! | running, registered | | backoff, or give up | draining | |
//! | draining | | empty; draining while its group lives on | draining | killed at the deadline |
//!
//! While the pool stops, a seat that is starting goes to draining or empty instead. Seats are kept by number and never share
//! anything, so that a pool may one day grow, shrink or replace them one by one.

use std::{collections::BTreeMap, time::Duration};

use callboard_core::time::Time;

use super::{
    exit::{Exit, Verdict},
    restarts::{CRASH_LOOP_EXITS, CRASH_LOOP_WINDOW, Decision},
    seat::{Seat, SeatId, SeatState, instance},
};

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Time has passed: [`Seats::next_deadline`] has come.
    Wake,
    /// The process that was asked for runs.
    Spawned { seat: SeatId, pid: u32 },
    /// The process that was asked for could not be started.
    SpawnFailed { seat: SeatId, error: String },
    /// The seat's process has ended and is not reaped. `alone`: nobody else of its group lives.
    Exited { seat: SeatId, exit: Exit, alone: bool },
    /// The last of an ended process's group has ended, too.
    Alone { seat: SeatId },
    /// A worker of this name is registered at the broker.
    Registered { instance: String },
    /// End all processes; those that still run at the deadline are killed. A later one may only shorten the time.
    Shutdown { deadline: Time },
}

/// What to do about it, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start a process; answered by [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn { seat: SeatId, instance: String, restart: u32 },
    /// Signal the process group of the seat's process, which is not reaped yet.
    Signal { seat: SeatId, signal: Notice },
    /// Kill what is left of the process group, then reap the process, which has ended.
    Reap { seat: SeatId },
    /// Say that the seat's next process comes after this wait.
    Restarting { seat: SeatId, after: Duration },
    /// Say that this many workers, which is all of them, are registered. Comes once.
    Ready(u32),
    /// Say that the pool ends because of this seat. Comes once, and the shutdown with it.
    GiveUp { seat: SeatId, verdict: Verdict },
    /// Say that the last process is gone. Comes once; nothing comes after it.
    Finished,
}

/// What is sent to a process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// SIGTERM: finish what you have, then end.
    Term,
    /// SIGKILL.
    Kill,
}

/// The pool's own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Every seat is to have a process.
    Serving,
    /// Every process is to end. `killed`: the deadline has come.
    Stopping { deadline: Time, killed: bool },
    /// No process is left.
    Finished,
}

/// The machine.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    name: String,
    drain: Duration,
    seats: BTreeMap<SeatId, Seat>,
    phase: Phase,
    ready_told: bool,
}

impl Seats {
    /// A pool of `size` seats whose first processes are due at `now`: send [`Event::Wake`]. `drain` is the time its processes
    /// have to end when the pool gives up by itself.
    pub(super) fn new(name: &str, size: u32, drain: Duration, now: Time) -> Seats {
        let seats = (1..=size).map(|number| (SeatId(number), Seat::new(now))).collect();
        Seats { name: name.to_owned(), drain, seats, phase: Phase::Serving, ready_told: false }
    }

    /// Takes an event and appends what to do. `chance` is uniform over its whole range, and new for each event.
    ///
    /// # Panics
    /// If the event contradicts what was asked for (an exit of a seat that has no process, for example): the driver is wrong.
    pub(super) fn handle(&mut self, now: Time, event: Event, chance: u32, out: &mut Vec<Action>) {
        match event {
            Event::Wake => {}
            Event::Spawned { seat, pid } => self.spawned(now, seat, pid, out),
            Event::SpawnFailed { seat, error } => self.spawn_failed(now, seat, error, chance, out),
            Event::Exited { seat, exit, alone } => self.exited(now, seat, exit, alone, chance, out),
            Event::Alone { seat } => self.emptied(seat, out),
            Event::Registered { instance } => self.registered(&instance, out),
            Event::Shutdown { deadline } => self.shutdown(now, deadline, out),
        }
        self.start_what_is_due(now, out);
        self.kill_what_is_late(now, out);
        self.tell_the_end(out);
    }

    /// When [`Event::Wake`] is due.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Serving => self.seats.values().filter_map(backoff).min(),
            Phase::Stopping { deadline, killed: false } => Some(deadline),
            Phase::Stopping { killed: true, .. } | Phase::Finished => None,
        }
    }

    /// Every seat with the name of its present (or next) process, its restarts and its state, in the order of their numbers.
    pub(super) fn view(&self) -> impl Iterator<Item = (SeatId, String, u32, SeatState)> {
        self.seats.iter().map(|(id, seat)| (*id, instance(&self.name, *id, seat.restart), seat.restart, seat.state))
    }

    fn spawned(&mut self, now: Time, id: SeatId, pid: u32, out: &mut Vec<Action>) {
        let phase = self.phase;
        let seat = self.seat(id);
        assert_eq!(seat.state, SeatState::Starting, "only a process that was asked for is spawned");
        match phase {
            Phase::Serving => seat.state = SeatState::Running { pid, since: now },
            Phase::Stopping { killed, .. } => {
                seat.state = SeatState::Draining { pid, ended: false };
                out.push(Action::Signal { seat: id, signal: if killed { Notice::Kill } else { Notice::Term } });
            }
            Phase::Finished => unreachable!("a pool with a seat that is starting has not finished"),
        }
    }

    fn spawn_failed(&mut self, now: Time, id: SeatId, error: String, chance: u32, out: &mut Vec<Action>) {
        assert_eq!(self.seat(id).state, SeatState::Starting, "only a process that was asked for fails to start");
        self.lost(now, id, Exit::NotStarted(error), Duration::ZERO, chance, out);
    }

    fn exited(&mut self, now: Time, id: SeatId, exit: Exit, alone: bool, chance: u32, out: &mut Vec<Action>) {
        let phase = self.phase;
        let seat = self.seat(id);
        match seat.state {
            SeatState::Running { since, .. } | SeatState::Registered { since, .. } => {
                out.push(Action::Reap { seat: id });
                self.lost(now, id, exit, now.since(since), chance, out);
            }
            SeatState::Draining { pid, ended: false } => {
                seat.state = SeatState::Draining { pid, ended: true };
                if alone || matches!(phase, Phase::Stopping { killed: true, .. }) {
                    self.emptied(id, out);
                }
            }
            state => unreachable!("seat {id} is {state:?}: it has no process that could exit"),
        }
    }

    /// The seat's process and its whole group are done. The deadline may have come between that and its telling: nothing is
    /// left to do then.
    fn emptied(&mut self, id: SeatId, out: &mut Vec<Action>) {
        let seat = self.seat(id);
        if matches!(seat.state, SeatState::Draining { ended: true, .. }) {
            seat.state = SeatState::Empty;
            out.push(Action::Reap { seat: id });
        }
    }

    /// The seat has lost its process without having been asked to end it.
    fn lost(&mut self, now: Time, id: SeatId, exit: Exit, ran: Duration, chance: u32, out: &mut Vec<Action>) {
        let serving = self.phase == Phase::Serving;
        let seat = self.seat(id);
        if !serving {
            seat.state = SeatState::Empty;
            return;
        }
        match seat.restarts.ended(now, ran, chance) {
            Decision::Again(after) => {
                seat.restart += 1;
                seat.state = SeatState::Backoff { until: now + after };
                out.push(Action::Restarting { seat: id, after });
            }
            Decision::CrashLoop => {
                seat.state = SeatState::Empty;
                self.give_up(now, id, exit, out);
            }
        }
    }

    fn give_up(&mut self, now: Time, id: SeatId, last: Exit, out: &mut Vec<Action>) {
        let restart = self.seat(id).restart;
        let instance = instance(&self.name, id, restart);
        let verdict = Verdict { instance, exits: CRASH_LOOP_EXITS, within: CRASH_LOOP_WINDOW, last };
        // The others are told first: who says that the pool gives up may take its time.
        self.shutdown(now, now + self.drain, out);
        out.push(Action::GiveUp { seat: id, verdict });
    }

    fn registered(&mut self, name: &str, out: &mut Vec<Action>) {
        let Some(seat) = self.seats.iter_mut().find(|(id, seat)| instance(&self.name, **id, seat.restart) == name)
        else {
            return; // a process that has ended since, or a stranger
        };
        if let SeatState::Running { pid, since } = seat.1.state {
            seat.1.state = SeatState::Registered { pid, since };
        }
        let all = self.seats.values().all(|seat| matches!(seat.state, SeatState::Registered { .. }));
        if all && !self.ready_told {
            self.ready_told = true;
            out.push(Action::Ready(self.seats.len() as u32));
        }
    }

    fn shutdown(&mut self, now: Time, deadline: Time, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Serving => {
                self.phase = Phase::Stopping { deadline, killed: false };
                self.drain_all(deadline > now, out);
            }
            Phase::Stopping { deadline: sooner, .. } => *sooner = deadline.min(*sooner),
            Phase::Finished => {}
        }
    }

    /// Empties what has no process and asks the rest to end. Without time for that nobody is asked: they will be killed.
    fn drain_all(&mut self, in_time: bool, out: &mut Vec<Action>) {
        for (id, seat) in &mut self.seats {
            match (seat.state, seat.state.pid()) {
                (SeatState::Backoff { .. }, _) => seat.state = SeatState::Empty,
                (_, Some(pid)) => {
                    seat.state = SeatState::Draining { pid, ended: false };
                    out.extend(in_time.then_some(Action::Signal { seat: *id, signal: Notice::Term }));
                }
                (_, None) => {} // starting: told when it is there
            }
        }
    }

    fn start_what_is_due(&mut self, now: Time, out: &mut Vec<Action>) {
        for (id, seat) in &mut self.seats {
            if backoff(seat).is_some_and(|until| until <= now) {
                seat.state = SeatState::Starting;
                let instance = instance(&self.name, *id, seat.restart);
                out.push(Action::Spawn { seat: *id, instance, restart: seat.restart });
            }
        }
    }

    fn kill_what_is_late(&mut self, now: Time, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Stopping { deadline, killed } if *deadline <= now && !*killed => *killed = true,
            _ => return,
        }
        for (id, seat) in &mut self.seats {
            match seat.state {
                SeatState::Draining { ended: false, .. } => {
                    out.push(Action::Signal { seat: *id, signal: Notice::Kill })
                }
                SeatState::Draining { ended: true, .. } => {
                    seat.state = SeatState::Empty;
                    out.push(Action::Reap { seat: *id });
                }
                _ => {}
            }
        }
    }

    fn tell_the_end(&mut self, out: &mut Vec<Action>) {
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        if stopping && self.seats.values().all(|seat| seat.state == SeatState::Empty) {
            self.phase = Phase::Finished;
            out.push(Action::Finished);
        }
    }

    fn seat(&mut self, id: SeatId) -> &mut Seat {
        self.seats.get_mut(&id).expect("the driver names only seats that it was told of")
    }

    /// Asserts what always holds between events.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let states = || self.seats.values().map(|seat| seat.state);
        match self.phase {
            // A pool that serves leaves no seat without a process, a promise of one, or a time for one.
            Phase::Serving => assert!(!states().any(|s| matches!(s, SeatState::Draining { .. } | SeatState::Empty))),
            // A pool that stops starts nothing, and has told every process.
            Phase::Stopping { killed, .. } => {
                assert!(
                    states().all(|s| matches!(s, SeatState::Starting | SeatState::Draining { .. } | SeatState::Empty))
                );
                assert!(states().any(|s| s != SeatState::Empty), "the end is told with the last process");
                assert!(!killed || !states().any(|s| matches!(s, SeatState::Draining { ended: true, .. })));
            }
            Phase::Finished => assert!(states().all(|s| s == SeatState::Empty)),
        }
        // No two seats share a process.
        let pids: Vec<_> = states().filter_map(|state| state.pid()).collect();
        let distinct: std::collections::BTreeSet<_> = pids.iter().collect();
        assert_eq!(pids.len(), distinct.len());
    }
}

/// When the seat's next process is due, if it waits for that.
fn backoff(seat: &Seat) -> Option<Time> {
    match seat.state {
        SeatState::Backoff { until } => Some(until),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
