//! Growing, shrinking, and exchanging processes.

use super::*;
use crate::pool::ask::Refusal;

impl House {
    /// The same with all processes registered.
    fn serving(size: u32) -> House {
        let mut house = House::running(size);
        (1..=size).for_each(|seat| drop(house.registered(&format!("echo-{seat}"))));
        house
    }

    fn scale(&mut self, size: u32, running: &[(&str, u64)]) -> Result<Vec<Action>, Refusal> {
        let running = running.iter().map(|&(name, calls)| (name.to_owned(), calls)).collect();
        let mut out = Vec::new();
        let answer = self.seats.scale(self.now, size, &running, &mut out);
        self.seats.check();
        answer.map(|()| out)
    }

    fn reload(&mut self) -> Result<Vec<Action>, Refusal> {
        let mut out = Vec::new();
        let answer = self.seats.reload(self.now, &mut out);
        self.seats.check();
        answer.map(|_| out)
    }

    fn replace(&mut self, instance: &str) -> Result<Vec<Action>, Refusal> {
        let mut out = Vec::new();
        let answer = self.seats.replace(self.now, instance, &mut out);
        self.seats.check();
        answer.map(|_| out)
    }

    /// A reload of a pool of two, whose new processes run and are not registered.
    fn reloading() -> House {
        let mut house = House::serving(2);
        assert_eq!(house.reload(), Ok(vec![spawn(3, "echo-3", 0), spawn(4, "echo-4", 0)]));
        (3..=4).for_each(|seat| assert_eq!(house.spawned(seat), []));
        house
    }
}

fn made(number: u32) -> Action {
    let outcome = Exchanged { number: ExchangeNumber(number), rolled_back: None };
    Action::Exchanged { outcome, seat: None }
}

/// Why the old ones stay, if that is what the last action says.
fn rolled_back(actions: &[Action]) -> &str {
    match actions.last() {
        Some(Action::Exchanged { outcome: Exchanged { rolled_back: Some(why), .. }, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pool_grows_by_new_seats() {
    let mut house = House::serving(2);
    assert_eq!(house.scale(4, &[]), Ok(vec![spawn(3, "echo-3", 0), spawn(4, "echo-4", 0)]));
    assert_eq!(house.seats.size(), 4);
    assert_eq!(house.scale(4, &[]), Ok(vec![]), "asked twice it is the same");
}

#[test]
fn the_idle_leave_first_and_the_busy_finish() {
    let mut house = House::serving(4);
    let running = [("echo-1", 0), ("echo-2", 5), ("echo-3", 2), ("echo-4", 7)];
    assert_eq!(house.scale(2, &running), Ok(vec![signal(1, Notice::Term), signal(3, Notice::Term)]));
    assert_eq!(house.seats.size(), 2);
    assert_eq!(house.exited(1, true), [reap(1)]);
    assert_eq!(house.exited(3, true), [reap(3)], "it is not started again");
    assert_eq!(house.seats.view().map(|view| view.seat.0).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn of_equally_idle_ones_the_youngest_leaves_and_who_does_not_serve_yet_before_it() {
    let mut house = House::serving(3);
    assert_eq!(house.scale(2, &[]), Ok(vec![signal(3, Notice::Term)]));
    house.scale(4, &[]).expect("within bounds");
    assert_eq!(house.spawned(4), []);
    assert_eq!(house.spawned(5), []);
    house.exited(5, true);
    house.spawned(5);
    house.exited(5, true); // waits for its next process
    let busy = [("echo-1", 1), ("echo-2", 1)];
    assert_eq!(house.scale(3, &busy), Ok(vec![]), "a seat without a process leaves without a word");
    assert_eq!(house.scale(2, &busy), Ok(vec![signal(4, Notice::Term)]), "nor does echo-4 serve yet");
}

#[test]
fn who_leaves_and_does_not_end_is_killed_after_the_drain_time() {
    let mut house = House::serving(2);
    house.scale(1, &[]).expect("within bounds");
    assert_eq!(house.seats.next_deadline(), Some(Time::ZERO + DRAIN));
    assert_eq!(house.wake(29_999), []);
    assert_eq!(house.wake(30_000), [signal(2, Notice::Kill)]);
    assert_eq!(house.exited(2, false), [reap(2)]);
    assert_eq!(house.seats.next_deadline(), None);
}

#[test]
fn a_size_out_of_bounds_changes_nothing() {
    let mut house = House::serving(2);
    for size in [0, 9] {
        let bounds = Bounds { min: 1, max: 8 };
        assert_eq!(house.scale(size, &[]), Err(Refusal::Bounds { size, bounds }));
    }
    assert_eq!(house.seats.size(), 2);
}

#[test]
fn those_who_leave_slowly_do_not_pile_up() {
    let mut house = House::serving(8);
    house.scale(1, &[]).expect("within bounds");
    house.scale(8, &[]).expect("there is room for as many again");
    house.scale(1, &[]).expect("within bounds");
    (9..=15).for_each(|seat| drop(house.spawned(seat)));
    assert_eq!(house.scale(8, &[]), Err(Refusal::Crowded { leaving: 14 }));
    (2..=8).for_each(|seat| drop(house.exited(seat, true)));
    assert!(house.scale(8, &[]).is_ok());
}

#[test]
fn a_shutdown_shortens_the_time_of_who_is_leaving_already() {
    let mut house = House::serving(2);
    house.scale(1, &[]).expect("within bounds");
    assert_eq!(house.shutdown(1_000), [signal(1, Notice::Term)], "the other was asked before");
    assert_eq!(house.wake(1_000), [signal(1, Notice::Kill), signal(2, Notice::Kill)]);
}

#[test]
fn a_reload_starts_the_new_ones_and_ends_the_old_ones_when_all_have_passed_the_trial() {
    let mut house = House::reloading();
    assert_eq!(house.registered("echo-3"), []);
    assert_eq!(house.registered("echo-4"), [], "the trial has begun");
    assert_eq!(house.seats.next_deadline(), Some(at(10_000)));
    assert_eq!(house.seats.size(), 2, "the old ones count until then");
    assert_eq!(house.wake(10_000), [signal(1, Notice::Term), signal(2, Notice::Term), made(1)]);
    assert_eq!((house.seats.size(), house.seats.generation()), (2, 2));
    assert_eq!(house.exited(1, true), [reap(1)]);
}

#[test]
fn a_new_process_that_ends_before_it_has_taken_over_rolls_the_reload_back() {
    for serves_already in [false, true] {
        let mut house = House::reloading();
        if serves_already {
            house.registered("echo-3");
            house.registered("echo-4");
        }
        let out = house.exited(3, true);
        assert_eq!(out[..2], [reap(3), signal(4, Notice::Term)]);
        assert_eq!(rolled_back(&out), "the new worker echo-3 ended: exit status 1");
        assert_eq!((house.seats.size(), house.seats.generation()), (2, 1));
        assert_eq!(house.exited(4, true), [reap(4)]);
        assert_eq!(house.wake(100_000), [], "nothing is left to be done");
    }
}

#[test]
fn new_processes_that_are_late_are_rolled_back() {
    let mut house = House::reloading();
    house.registered("echo-3");
    let out = house.wake(60_000);
    assert_eq!(out[..2], [signal(3, Notice::Term), signal(4, Notice::Term)]);
    assert_eq!(rolled_back(&out), "not all new workers were registered within 60 s");
}

#[test]
fn new_processes_that_do_worse_are_rolled_back() {
    let mut house = House::reloading();
    let condemned = |number| Event::Condemned { number: ExchangeNumber(number), why: "half of its calls fail".into() };
    assert_eq!(house.handle(condemned(7)), [], "of another exchange");
    assert_eq!(rolled_back(&house.handle(condemned(1))), "half of its calls fail");
    assert!(house.reload().is_ok(), "and it may be tried again");
}

#[test]
fn an_old_process_that_is_lost_during_a_reload_is_restarted_and_exchanged_all_the_same() {
    let mut house = House::reloading();
    assert_eq!(house.exited(1, true), [reap(1), restarting(1, 0), spawn(1, "echo-1.1", 1)]);
    house.spawned(1);
    house.registered("echo-3");
    house.registered("echo-4");
    assert_eq!(house.wake(10_000), [signal(1, Notice::Term), signal(2, Notice::Term), made(1)]);
}

#[test]
fn one_change_at_a_time() {
    let mut house = House::reloading();
    assert_eq!(house.reload(), Err(Refusal::Exchanging));
    assert_eq!(house.scale(3, &[]), Err(Refusal::Exchanging));
    assert_eq!(house.replace("echo-1"), Err(Refusal::Exchanging));
    house.shutdown(1_000);
    assert_eq!(house.reload(), Err(Refusal::Ending));
    assert_eq!(house.scale(3, &[]), Err(Refusal::Ending));
}

#[test]
fn a_process_is_replaced_first_the_new_one_then_the_old() {
    let mut house = House::serving(2);
    assert_eq!(house.replace("echo-2"), Ok(vec![spawn(3, "echo-3", 0)]));
    assert_eq!(house.spawned(3), []);
    assert_eq!(house.registered("echo-3"), [signal(2, Notice::Term), made(1)]);
    assert_eq!(house.seats.generation(), 1, "it is the same program");
}

#[test]
fn only_a_process_that_runs_is_replaced() {
    let mut house = House::serving(2);
    house.scale(1, &[]).expect("within bounds");
    for name in ["echo-2", "echo-9", ""] {
        assert_eq!(house.replace(name), Err(Refusal::NoSuchWorker { instance: name.into() }));
    }
}

#[test]
fn a_shutdown_ends_a_reload_with_everybody() {
    let mut house = House::reloading();
    let out = house.shutdown(1_000);
    assert_eq!(out, (1..=4).map(|seat| signal(seat, Notice::Term)).collect::<Vec<_>>());
    (1..=3).for_each(|seat| drop(house.exited(seat, true)));
    assert_eq!(house.exited(4, true), [reap(4), Action::Finished]);
}
