//! The rules of supervision, and a random walk over all of them.

mod changes;

use proptest::prelude::*;

use super::*;

const DRAIN: Duration = Duration::from_secs(30);

fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

/// 1 to 8 seats; a minute to be registered, and ten seconds of trial.
fn rules() -> Rules {
    Rules {
        name: "echo".into(),
        bounds: Bounds { min: 1, max: 8 },
        drain: DRAIN,
        ready: Duration::from_secs(60),
        trial: Duration::from_secs(10),
    }
}

/// The machine with its driver's half played by hand: pids count up from 1.
struct House {
    seats: Seats,
    now: Time,
    pids: u32,
}

impl House {
    /// A pool of `size` seats, whose first processes have been asked for.
    fn new(size: u32) -> House {
        House { seats: Seats::new(rules(), size, Time::ZERO), now: Time::ZERO, pids: 0 }
    }

    /// The same with all processes running.
    fn running(size: u32) -> House {
        let mut house = House::new(size);
        assert_eq!(house.wake(0).len(), size as usize);
        (1..=size).for_each(|seat| assert_eq!(house.spawned(seat), []));
        house
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.seats.handle(self.now, event, 0, &mut out);
        self.seats.check();
        out
    }

    fn wake(&mut self, millis: u64) -> Vec<Action> {
        self.now = at(millis);
        self.handle(Event::Timeout)
    }

    fn spawned(&mut self, seat: u32) -> Vec<Action> {
        self.pids += 1;
        self.handle(Event::Spawned { seat: SeatId(seat), pid: self.pids })
    }

    fn exited(&mut self, seat: u32, alone: bool) -> Vec<Action> {
        self.handle(Event::Exited { seat: SeatId(seat), exit: Exit::Status(1), alone })
    }

    fn registered(&mut self, instance: &str) -> Vec<Action> {
        self.handle(Event::Registered { instance: instance.into() })
    }

    fn shutdown(&mut self, deadline: u64) -> Vec<Action> {
        self.handle(Event::Shutdown { deadline: at(deadline) })
    }
}

fn spawn(seat: u32, instance: &str, restart: u32) -> Action {
    Action::Spawn { seat: SeatId(seat), instance: instance.into(), restart }
}

fn signal(seat: u32, signal: Notice) -> Action {
    Action::Signal { seat: SeatId(seat), signal }
}

fn reap(seat: u32) -> Action {
    Action::Reap { seat: SeatId(seat) }
}

fn restarting(seat: u32, millis: u64) -> Action {
    Action::Restarting { seat: SeatId(seat), after: Duration::from_millis(millis) }
}

#[test]
fn every_seat_gets_a_process_at_the_start() {
    let mut house = House::new(2);
    assert_eq!(house.seats.next_deadline(), Some(Time::ZERO));
    assert_eq!(house.wake(0), [spawn(1, "echo-1", 0), spawn(2, "echo-2", 0)]);
    assert_eq!(house.wake(1), []);
}

#[test]
fn a_lost_process_is_replaced_at_once_and_the_next_one_after_a_wait() {
    let mut house = House::running(2);
    assert_eq!(house.exited(2, true), [reap(2), restarting(2, 0), spawn(2, "echo-2.1", 1)]);
    assert_eq!(house.spawned(2), []);
    assert_eq!(house.exited(2, true), [reap(2), restarting(2, 100)]);
    assert_eq!(house.seats.next_deadline(), Some(at(100)));
    assert_eq!(house.wake(99), []);
    assert_eq!(house.wake(100), [spawn(2, "echo-2.2", 2)]);
}

#[test]
fn the_pool_is_ready_once_when_all_are_registered() {
    let mut house = House::running(2);
    assert_eq!(house.registered("echo-2"), []);
    assert_eq!(house.registered("echo-2"), []);
    assert_eq!(house.registered("stranger"), []);
    assert_eq!(house.registered("echo-1"), [Action::Ready(2)]);
    house.exited(1, true);
    house.spawned(1);
    assert_eq!(house.registered("echo-1.1"), []);
}

#[test]
fn a_process_that_has_been_replaced_counts_no_more() {
    let mut house = House::running(1);
    house.exited(1, true);
    house.spawned(1);
    assert_eq!(house.registered("echo-1"), [], "the word of it comes late");
    assert_eq!(house.registered("echo-1.1"), [Action::Ready(1)]);
}

#[test]
fn a_crash_loop_ends_the_pool_and_drains_the_others() {
    let mut house = House::running(2);
    house.exited(1, true);
    for millis in [0, 100, 300] {
        house.wake(millis);
        house.spawned(1);
        house.exited(1, true);
    }
    assert_eq!(house.wake(700), [spawn(1, "echo-1.4", 4)]);
    house.spawned(1);
    let out = house.exited(1, true);
    let [Action::Reap { .. }, asked, Action::GiveUp { seat, verdict }] = &out[..] else {
        panic!("{out:?}");
    };
    assert_eq!((asked, *seat), (&signal(2, Notice::Term), SeatId(1)));
    assert_eq!((&*verdict.instance, verdict.exits, &verdict.last), ("echo-1.4", 5, &Exit::Status(1)));
    assert_eq!(house.seats.next_deadline(), Some(house.now + DRAIN));
    assert_eq!(house.exited(2, true), [reap(2), Action::Finished]);
}

/// Ends a seat's process until it is a crash loop; the last end is left to the test.
fn almost_loop(house: &mut House, seat: u32) {
    for millis in [0, 0, 100, 300] {
        house.wake(house.now.as_micros() / 1_000 + millis);
        house.exited(seat, true);
        house.wake(house.now.as_micros() / 1_000 + 2 * millis + 100);
        house.spawned(seat);
    }
}

#[test]
fn where_others_serve_a_crash_loop_goes_on_slowly_and_is_told_once() {
    let mut house = House::running(2);
    house.registered("echo-1");
    house.registered("echo-2");
    almost_loop(&mut house, 1);
    let out = house.exited(1, true);
    let [Action::Reap { .. }, Action::Looping { seat, verdict }, after] = &out[..] else { panic!("{out:?}") };
    assert_eq!((*seat, &*verdict.instance, after), (SeatId(1), "echo-1.4", &restarting(1, 10_000)));
    assert!(house.seats.view().any(|view| view.seat == SeatId(1) && view.looping));
    for _ in 0..3 {
        let due = house.seats.next_deadline().expect("it is tried again");
        house.now = due;
        house.handle(Event::Timeout);
        house.spawned(1);
        assert_eq!(house.exited(1, true), [reap(1), restarting(1, 10_000)]);
    }
    assert_eq!(house.registered("echo-2"), [], "the other one is there all the time");
}

#[test]
fn a_pool_gives_up_when_the_last_that_served_is_in_a_crash_loop() {
    let mut house = House::running(2);
    house.registered("echo-1");
    house.registered("echo-2");
    almost_loop(&mut house, 1);
    house.exited(1, true);
    almost_loop(&mut house, 2);
    let out = house.exited(2, true);
    assert!(out.iter().any(|action| matches!(action, Action::GiveUp { seat: SeatId(2), .. })), "{out:?}");
}

#[test]
fn a_seat_in_a_crash_loop_that_is_alone_at_last_ends_the_pool() {
    let mut house = House::running(2);
    house.registered("echo-1");
    house.registered("echo-2");
    almost_loop(&mut house, 1);
    house.exited(1, true);
    house.wake(house.seats.next_deadline().expect("it is tried again").as_micros() / 1_000);
    house.spawned(1);
    house.registered("echo-1.5");
    let mut out = Vec::new();
    house
        .seats
        .scale(house.now, 1, &RunningCalls::from([("echo-1.5".into(), 1)]), &mut out)
        .expect("a size within bounds");
    assert_eq!(out, [signal(2, Notice::Term)]);
    let out = house.exited(1, true);
    assert!(out.iter().any(|action| matches!(action, Action::GiveUp { seat: SeatId(1), .. })), "{out:?}");
}

#[test]
fn a_process_that_cannot_be_started_is_a_process_that_ended() {
    let mut house = House::new(1);
    house.wake(0);
    let failed = || Event::SpawnFailed { seat: SeatId(1), error: "no memory".into() };
    assert_eq!(house.handle(failed()), [restarting(1, 0), spawn(1, "echo-1.1", 1)]);
    for millis in [100, 300, 700] {
        house.handle(failed());
        house.wake(millis);
    }
    let out = house.handle(failed());
    assert!(matches!(&out[0], Action::GiveUp { verdict, .. } if verdict.last == Exit::NotStarted("no memory".into())));
    assert_eq!(out[1..], [Action::Finished]);
}

#[test]
fn a_shutdown_asks_everybody_and_finishes_with_the_last() {
    let mut house = House::running(2);
    assert_eq!(house.shutdown(1_000), [signal(1, Notice::Term), signal(2, Notice::Term)]);
    assert_eq!(house.seats.next_deadline(), Some(at(1_000)));
    assert_eq!(house.exited(1, true), [reap(1)]);
    assert_eq!(house.exited(2, true), [reap(2), Action::Finished]);
    assert_eq!(house.seats.next_deadline(), None);
    assert_eq!(house.shutdown(0), [], "it has finished");
}

#[test]
fn who_still_runs_at_the_deadline_is_killed_once() {
    let mut house = House::running(2);
    house.shutdown(1_000);
    house.exited(1, true);
    assert_eq!(house.wake(999), []);
    assert_eq!(house.wake(1_000), [signal(2, Notice::Kill)]);
    assert_eq!(house.wake(2_000), []);
    assert_eq!(house.exited(2, false), [reap(2), Action::Finished]);
}

#[test]
fn a_group_that_outlives_its_leader_keeps_the_drain_time() {
    let mut house = House::running(2);
    house.shutdown(1_000);
    assert_eq!(house.exited(1, false), []);
    assert_eq!(house.exited(2, false), []);
    assert_eq!(house.handle(Event::Alone { seat: SeatId(1) }), [reap(1)]);
    assert_eq!(house.wake(1_000), [reap(2), Action::Finished], "to reap is to kill what is left");
}

#[test]
fn two_groups_that_end_at_the_deadline_are_reaped_once_each() {
    let mut house = House::running(2);
    house.shutdown(1_000);
    house.exited(1, false);
    house.exited(2, false);
    house.now = at(1_000);
    assert_eq!(house.handle(Event::Alone { seat: SeatId(1) }), [reap(1), reap(2), Action::Finished]);
    assert_eq!(house.handle(Event::Alone { seat: SeatId(2) }), []);
}

#[test]
fn a_second_shutdown_may_only_shorten_the_time() {
    let mut house = House::running(1);
    house.shutdown(1_000);
    assert_eq!(house.shutdown(2_000), []);
    assert_eq!(house.seats.next_deadline(), Some(at(1_000)));
    assert_eq!(house.shutdown(0), [signal(1, Notice::Kill)]);
}

#[test]
fn a_shutdown_without_time_kills_at_once() {
    let mut house = House::running(1);
    assert_eq!(house.shutdown(0), [signal(1, Notice::Kill)]);
}

#[test]
fn a_shutdown_ends_waits_and_catches_what_is_just_starting() {
    let mut house = House::running(2);
    house.exited(1, true); // asked for again, and not there yet
    house.exited(2, true);
    house.spawned(2);
    house.exited(2, true); // waits
    assert_eq!(house.shutdown(1_000), []);
    assert_eq!(house.spawned(1), [signal(1, Notice::Term)]);
    assert_eq!(house.exited(1, true), [reap(1), Action::Finished]);
}

/// Plays a driver that does what it is told and whose processes do what chance says.
fn walk(size: u32, choices: &[(u8, u8, u32)]) {
    let mut house = House::new(size);
    let mut once = [0; 3];
    let mut finished = false;
    for &(what, which, chance) in choices {
        let mut out = Vec::new();
        step(&mut house, what, which, chance, &mut out);
        house.seats.check();
        assert!(!finished || out.is_empty(), "nothing comes after the end");
        for action in &out {
            let count = match action {
                Action::Ready(_) => &mut once[0],
                Action::GiveUp { .. } => &mut once[1],
                Action::Finished => &mut once[2],
                _ => continue,
            };
            *count += 1;
            assert_eq!(*count, 1, "{action:?} comes once");
        }
        finished |= out.contains(&Action::Finished);
    }
}

/// Something that can happen to the seat that chance names, or is asked of the pool.
fn step(house: &mut House, what: u8, which: u8, chance: u32, out: &mut Vec<Action>) {
    let seats = &mut house.seats;
    let Some((&id, seat)) = seats.seats.iter().nth(usize::from(which) % seats.seats.len().max(1)) else { return };
    let name = instance("echo", id, seat.restart);
    let event = match (what % 20, seat.state) {
        (0, _) => Event::Shutdown { deadline: house.now + Duration::from_millis(u64::from(chance % 1_000)) },
        (1, SeatState::Starting) => Event::SpawnFailed { seat: id, error: String::new() },
        (_, SeatState::Starting) => {
            house.pids += 1;
            Event::Spawned { seat: id, pid: house.pids }
        }
        (2..6, SeatState::Draining { ended: true, .. }) => Event::Alone { seat: id },
        (2..6, SeatState::Running { .. } | SeatState::Registered { .. } | SeatState::Draining { ended: false, .. }) => {
            Event::Exited { seat: id, exit: Exit::Signal(9), alone: chance.is_multiple_of(2) }
        }
        (6..12, _) => Event::Registered { instance: name },
        (12, _) => return drop(seats.scale(house.now, chance % 10, &RunningCalls::from([(name, 3)]), out)),
        (13, _) => return drop(seats.reload(house.now, out)),
        (14, _) => return drop(seats.replace(house.now, &name, out)),
        (15, _) => Event::Condemned { number: ExchangeNumber(chance % 8), why: String::new() },
        _ => {
            house.now = house.now + Duration::from_millis(u64::from(chance % 20_000));
            Event::Timeout
        }
    };
    seats.handle(house.now, event, chance, out);
}

proptest! {
    #[test]
    fn whatever_happens_every_seat_is_accounted_for(
        size in 1_u32..5,
        choices in proptest::collection::vec(any::<(u8, u8, u32)>(), 0..300),
    ) {
        walk(size, &choices);
    }
}
