//! The machine of supervision: which seat of a pool has a process, gets one, or loses it.
//!
//! It is pure, as the machines of `callboard-core` are: events in, actions out; time and chance are arguments. Its driver
//! ([`super::driver`]) spawns, signals and reaps, and decides nothing.
//!
//! | state | spawned | spawn failed, exited | leaves | time |
//! |---|---|---|---|---|
//! | backoff | | | empty | starting |
//! | starting | running | backoff, or give up | starting | |
//! | running, registered | | backoff, or give up | draining | |
//! | draining | | empty; draining while its group lives on | draining | killed at the deadline |
//!
//! A seat whose processes end again and again is in a crash loop. If another one is well, it goes on at the longest wait, and the
//! others with it; if none is, the pool gives up.
//!
//! A seat leaves when the pool shrinks (`size.rs`), when a process was exchanged for a newer one (`exchange.rs`), or when the pool
//! ends (`leaving.rs`). One that was starting then goes to draining or empty instead of running. Seats are kept by number and
//! never share anything. While the pool serves, an empty seat is gone; while it stops, it stays to be seen.

#[cfg(test)]
mod check;
mod exchange;
mod leaving;
mod size;

use std::{collections::BTreeMap, time::Duration};

use callboard_core::time::Time;

use self::exchange::Exchange;
pub(super) use self::size::RunningCalls;
use super::{
    ask::{Bounds, ExchangeNumber, Exchanged},
    exit::{Exit, Verdict},
    restarts::{CRASH_LOOP_EXITS, CRASH_LOOP_WINDOW, Decision},
    seat::{Seat, SeatId, SeatState, instance},
};

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Time has passed: [`Seats::next_deadline`] has come.
    Timeout,
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
    /// The new processes of this exchange do worse than the old ones.
    Condemned { number: ExchangeNumber, why: String },
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
    /// Say that the seat is in a crash loop and goes on at the longest wait, since others are well. Comes once a loop.
    Looping { seat: SeatId, verdict: Verdict },
    /// Say that this many workers, which is all of them, are registered. Comes once.
    Ready(u32),
    /// Say how an exchange of processes ended. `seat`: whose process ended, if that is why the old ones stay.
    Exchanged { outcome: Exchanged, seat: Option<SeatId> },
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

/// What the machine goes by.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The pool's name.
    pub(super) name: String,
    /// How few and how many seats anybody may ask for.
    pub(super) bounds: Bounds,
    /// The time that a process has to end.
    pub(super) drain: Duration,
    /// The time that new processes have to be registered before the old ones are kept after all.
    pub(super) ready: Duration,
    /// How long new processes serve beside the old ones of a reload before these leave.
    pub(super) trial: Duration,
}

/// The pool's own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Every seat that does not leave is to have a process.
    Serving,
    /// Every process is to end.
    Stopping,
    /// No process is left.
    Finished,
}

/// A seat as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) seat: SeatId,
    /// The name of its present or next process.
    pub(super) instance: String,
    pub(super) restarts: u32,
    pub(super) generation: u32,
    pub(super) state: SeatState,
    pub(super) looping: bool,
    pub(super) last_exit: Option<Exit>,
    /// When its next process is due, if it waits for that.
    pub(super) due: Option<Time>,
}

/// The machine.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    rules: Rules,
    seats: BTreeMap<SeatId, Seat>,
    /// Counts the seats that there were.
    last_seat: u32,
    /// Counts the reloads that were tried.
    last_generation: u32,
    last_exchange: u32,
    exchange: Option<Exchange>,
    phase: Phase,
    ready_told: bool,
}

impl Seats {
    /// A pool of `size` seats whose first processes are due at `now`: send [`Event::Timeout`].
    pub(super) fn new(rules: Rules, size: u32, now: Time) -> Seats {
        let mut seats = Seats {
            rules,
            seats: BTreeMap::new(),
            last_seat: 0,
            last_generation: 1,
            last_exchange: 0,
            exchange: None,
            phase: Phase::Serving,
            ready_told: false,
        };
        for _ in 0..size {
            seats.add_seat(now, 1);
        }
        seats
    }

    /// Takes an event and appends what to do. `chance` is uniform over its whole range, and new for each event.
    ///
    /// # Panics
    /// If the event contradicts what was asked for (an exit of a seat that has no process, for example): the driver is wrong.
    pub(super) fn handle(&mut self, now: Time, event: Event, chance: u32, out: &mut Vec<Action>) {
        match event {
            Event::Timeout => {}
            Event::Spawned { seat, pid } => self.spawned(now, seat, pid, out),
            Event::SpawnFailed { seat, error } => self.spawn_failed(now, seat, error, chance, out),
            Event::Exited { seat, exit, alone } => self.exited(now, seat, exit, alone, chance, out),
            Event::Alone { seat } => self.emptied(seat, out),
            Event::Registered { instance } => self.registered(now, &instance, out),
            Event::Condemned { number, why } => self.condemned(now, number, why, out),
            Event::Shutdown { deadline } => self.shutdown(now, deadline, out),
        }
        self.follow_up(now, out);
    }

    /// What every event, and every thing that was asked, ends with.
    fn follow_up(&mut self, now: Time, out: &mut Vec<Action>) {
        self.end_exchange_in_time(now, out);
        self.start_what_is_due(now, out);
        self.kill_what_is_late(now, out);
        self.tell_the_end(out);
    }

    /// When [`Event::Timeout`] is due.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let held = self.seats.values().filter(|seat| seat.state != SeatState::Empty);
        let kills = held.filter_map(|seat| seat.leaving).filter(|leaving| !leaving.killed);
        let starts = self.seats.values().filter_map(Seat::due);
        let exchange = self.exchange.as_ref().map(Exchange::deadline);
        kills.map(|leaving| leaving.deadline).chain(starts).chain(exchange).min()
    }

    /// Every seat, in the order of their numbers.
    pub(super) fn view(&self) -> impl Iterator<Item = View> {
        self.seats.iter().map(|(&id, seat)| View {
            seat: id,
            instance: self.instance(id, seat),
            restarts: seat.restart,
            generation: seat.generation,
            state: seat.state,
            looping: seat.restarts.is_looping(),
            last_exit: seat.last_exit.clone(),
            due: seat.due(),
        })
    }

    /// How few and how many seats anybody may ask for.
    pub(super) fn bounds(&self) -> Bounds {
        self.rules.bounds
    }

    /// The exchange that is under way: its number, and whether its new processes are on trial.
    pub(super) fn exchange(&self) -> Option<(ExchangeNumber, bool)> {
        self.exchange.as_ref().map(|exchange| (exchange.number, exchange.is_on_trial()))
    }

    /// Whether there is such a seat (still).
    pub(super) fn has(&self, seat: SeatId) -> bool {
        self.seats.contains_key(&seat)
    }

    fn add_seat(&mut self, now: Time, generation: u32) -> SeatId {
        self.last_seat += 1;
        let id = SeatId(self.last_seat);
        self.seats.insert(id, Seat::new(now, generation));
        id
    }

    fn instance(&self, id: SeatId, seat: &Seat) -> String {
        instance(&self.rules.name, id, seat.restart)
    }

    fn spawned(&mut self, now: Time, id: SeatId, pid: u32, out: &mut Vec<Action>) {
        let seat = self.seat(id);
        assert_eq!(seat.state, SeatState::Starting, "only a process that was asked for is spawned");
        match seat.leaving {
            None => seat.state = SeatState::Running { pid, since: now },
            Some(leaving) => {
                seat.state = SeatState::Draining { pid, ended: false };
                let signal = if leaving.killed { Notice::Kill } else { Notice::Term };
                out.push(Action::Signal { seat: id, signal });
            }
        }
    }

    fn spawn_failed(&mut self, now: Time, id: SeatId, error: String, chance: u32, out: &mut Vec<Action>) {
        assert_eq!(self.seat(id).state, SeatState::Starting, "only a process that was asked for fails to start");
        self.lost(now, id, Exit::NotStarted(error), Duration::ZERO, chance, out);
    }

    fn exited(&mut self, now: Time, id: SeatId, exit: Exit, alone: bool, chance: u32, out: &mut Vec<Action>) {
        let seat = self.seat(id);
        match seat.state {
            SeatState::Running { since, .. } | SeatState::Registered { since, .. } => {
                out.push(Action::Reap { seat: id });
                self.lost(now, id, exit, now.since(since), chance, out);
            }
            SeatState::Draining { pid, ended: false } => {
                seat.state = SeatState::Draining { pid, ended: true };
                if alone || seat.leaving.is_some_and(|leaving| leaving.killed) {
                    self.emptied(id, out);
                }
            }
            state => unreachable!("seat {id} is {state:?}: it has no process that could exit"),
        }
    }

    /// The seat has lost its process without having been asked to end it.
    fn lost(&mut self, now: Time, id: SeatId, exit: Exit, ran: Duration, chance: u32, out: &mut Vec<Action>) {
        let seat = self.seat(id);
        seat.last_exit = Some(exit.clone());
        if !seat.stays() {
            return self.empty(id);
        }
        if self.is_new(id) {
            return self.new_one_ended(now, id, &exit, out);
        }
        match self.seat(id).restarts.ended(now, ran, chance) {
            Decision::Again(after) => self.start_again(now, id, after, out),
            Decision::CrashLoop { first, after } if self.seats.values().any(Seat::is_well) => {
                if first {
                    let verdict = self.verdict(id, exit);
                    out.push(Action::Looping { seat: id, verdict });
                }
                self.start_again(now, id, after, out);
            }
            Decision::CrashLoop { .. } => self.give_up(now, id, exit, out),
        }
    }

    fn start_again(&mut self, now: Time, id: SeatId, after: Duration, out: &mut Vec<Action>) {
        let seat = self.seat(id);
        seat.restart += 1;
        seat.state = SeatState::Backoff { until: now + after };
        out.push(Action::Restarting { seat: id, after });
    }

    fn verdict(&self, id: SeatId, last: Exit) -> Verdict {
        let instance = self.instance(id, &self.seats[&id]);
        Verdict { instance, exits: CRASH_LOOP_EXITS, within: CRASH_LOOP_WINDOW, last }
    }

    fn give_up(&mut self, now: Time, id: SeatId, last: Exit, out: &mut Vec<Action>) {
        let verdict = self.verdict(id, last);
        // The others are told first: who says that the pool gives up may take its time.
        self.seat(id).state = SeatState::Backoff { until: now };
        self.shutdown(now, now + self.rules.drain, out);
        out.push(Action::GiveUp { seat: id, verdict });
    }

    fn registered(&mut self, now: Time, name: &str, out: &mut Vec<Action>) {
        let pool = &self.rules.name;
        let Some(seat) = self.seats.iter_mut().find(|(id, seat)| instance(pool, **id, seat.restart) == name) else {
            return; // a process that has ended since, or a stranger
        };
        if let SeatState::Running { pid, since } = seat.1.state {
            seat.1.state = SeatState::Registered { pid, since };
            seat.1.has_served = true;
        }
        self.begin_trial(now);
        let mut staying = self.seats.values().filter(|seat| seat.stays());
        let all = staying.all(|seat| matches!(seat.state, SeatState::Registered { .. }));
        if all && self.phase == Phase::Serving && !self.ready_told {
            self.ready_told = true;
            out.push(Action::Ready(self.size()));
        }
    }

    fn start_what_is_due(&mut self, now: Time, out: &mut Vec<Action>) {
        for (id, seat) in &mut self.seats {
            if seat.due().is_some_and(|until| until <= now) {
                seat.state = SeatState::Starting;
                let instance = instance(&self.rules.name, *id, seat.restart);
                out.push(Action::Spawn { seat: *id, instance, restart: seat.restart });
            }
        }
    }

    fn seat(&mut self, id: SeatId) -> &mut Seat {
        self.seats.get_mut(&id).expect("the driver names only seats that it was told of")
    }
}

#[cfg(test)]
mod tests;
