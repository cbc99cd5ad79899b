//! Tests of supervision, and a random walk over all inputs.

mod changes;

use std::time::Duration;

use callboard_core::time::Time;
use proptest::prelude::*;

use super::{replica::instance_name, *};
use crate::pool::process::Exit;

const DRAIN: Duration = Duration::from_secs(30);

fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

/// 1 to 8 replicas, a startup timeout of one minute, and a canary period of ten seconds.
fn settings() -> SupervisionSettings {
    SupervisionSettings {
        name: "echo".into(),
        bounds: Bounds { min: 1, max: 8 },
        drain: DRAIN,
        startup_timeout: Duration::from_secs(60),
        canary_period: Duration::from_secs(10),
    }
}

/// A replica set whose driver is simulated by the test. Process ids count from 1.
struct TestPool {
    set: ReplicaSet,
    now: Time,
    pids: u32,
}

impl TestPool {
    /// Creates a pool of `size` replicas, before the first timeout.
    fn new(size: u32) -> TestPool {
        TestPool { set: ReplicaSet::new(settings(), size, Time::ZERO), now: Time::ZERO, pids: 0 }
    }

    /// Creates a pool whose processes all run.
    fn running(size: u32) -> TestPool {
        let mut pool = TestPool::new(size);
        assert_eq!(pool.advance_to(0).len(), size as usize);
        (1..=size).for_each(|replica| assert_eq!(pool.spawned(replica), []));
        pool
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.set.handle_event(self.now, event, 0, &mut out);
        self.set.assert_invariants();
        out
    }

    fn advance_to(&mut self, millis: u64) -> Vec<Action> {
        self.now = at(millis);
        self.handle(Event::Timeout)
    }

    fn spawned(&mut self, replica: u32) -> Vec<Action> {
        self.pids += 1;
        self.handle(Event::Spawned { replica: ReplicaId(replica), pid: self.pids })
    }

    fn exited(&mut self, replica: u32, group_empty: bool) -> Vec<Action> {
        self.handle(Event::Exited { replica: ReplicaId(replica), exit: Exit::Status(1), group_empty })
    }

    fn registered(&mut self, instance: &str) -> Vec<Action> {
        self.handle(Event::Registered { instance: instance.into() })
    }

    fn shutdown(&mut self, deadline: u64) -> Vec<Action> {
        self.handle(Event::Shutdown { deadline: at(deadline) })
    }
}

fn spawn(replica: u32, instance: &str, restart: u32) -> Action {
    Action::Spawn { replica: ReplicaId(replica), instance: instance.into(), restart }
}

fn signal(replica: u32, signal: TerminationSignal) -> Action {
    Action::Signal { replica: ReplicaId(replica), signal }
}

fn reap(replica: u32) -> Action {
    Action::Reap { replica: ReplicaId(replica) }
}

fn restarting(replica: u32, millis: u64) -> Action {
    Action::Restarting { replica: ReplicaId(replica), after: Duration::from_millis(millis) }
}

#[test]
fn every_replica_gets_a_process_at_the_start() {
    let mut pool = TestPool::new(2);
    assert_eq!(pool.set.poll_timeout(), Some(Time::ZERO));
    assert_eq!(pool.advance_to(0), [spawn(1, "echo-1", 0), spawn(2, "echo-2", 0)]);
    assert_eq!(pool.advance_to(1), []);
}

#[test]
fn the_first_restart_is_immediate_and_the_second_is_delayed() {
    let mut pool = TestPool::running(2);
    assert_eq!(pool.exited(2, true), [reap(2), restarting(2, 0), spawn(2, "echo-2.1", 1)]);
    assert_eq!(pool.spawned(2), []);
    assert_eq!(pool.exited(2, true), [reap(2), restarting(2, 100)]);
    assert_eq!(pool.set.poll_timeout(), Some(at(100)));
    assert_eq!(pool.advance_to(99), []);
    assert_eq!(pool.advance_to(100), [spawn(2, "echo-2.2", 2)]);
}

#[test]
fn the_pool_is_ready_once_when_all_workers_are_registered() {
    let mut pool = TestPool::running(2);
    assert_eq!(pool.registered("echo-2"), []);
    assert_eq!(pool.registered("echo-2"), []);
    assert_eq!(pool.registered("other-1"), []);
    assert_eq!(pool.registered("echo-1"), [Action::Ready(2)]);
    pool.exited(1, true);
    pool.spawned(1);
    assert_eq!(pool.registered("echo-1.1"), []);
}

#[test]
fn a_late_registration_of_a_replaced_process_has_no_effect() {
    let mut pool = TestPool::running(1);
    pool.exited(1, true);
    pool.spawned(1);
    assert_eq!(pool.registered("echo-1"), [], "the process has been replaced");
    assert_eq!(pool.registered("echo-1.1"), [Action::Ready(1)]);
}

#[test]
fn a_crash_loop_without_a_healthy_replica_drains_the_pool() {
    let mut pool = TestPool::running(2);
    pool.exited(1, true);
    for millis in [0, 100, 300] {
        pool.advance_to(millis);
        pool.spawned(1);
        pool.exited(1, true);
    }
    assert_eq!(pool.advance_to(700), [spawn(1, "echo-1.4", 4)]);
    pool.spawned(1);
    let out = pool.exited(1, true);
    let [Action::Reap { .. }, signalled, Action::GiveUp { replica, crash_loop }] = &out[..] else {
        panic!("{out:?}");
    };
    assert_eq!((signalled, *replica), (&signal(2, TerminationSignal::Term), ReplicaId(1)));
    assert_eq!((&*crash_loop.instance, crash_loop.exits, &crash_loop.last_exit), ("echo-1.4", 5, &Exit::Status(1)));
    assert_eq!(pool.set.poll_timeout(), Some(pool.now + DRAIN));
    assert_eq!(pool.exited(2, true), [reap(2), Action::Finished]);
}

/// Exits a replica's process until one more exit is a crash loop.
fn almost_loop(pool: &mut TestPool, replica: u32) {
    for millis in [0, 0, 100, 300] {
        pool.advance_to(pool.now.as_micros() / 1_000 + millis);
        pool.exited(replica, true);
        pool.advance_to(pool.now.as_micros() / 1_000 + 2 * millis + 100);
        pool.spawned(replica);
    }
}

#[test]
fn with_healthy_replicas_a_crash_loop_is_retried_slowly_and_reported_once() {
    let mut pool = TestPool::running(2);
    pool.registered("echo-1");
    pool.registered("echo-2");
    almost_loop(&mut pool, 1);
    let out = pool.exited(1, true);
    let [Action::Reap { .. }, Action::CrashLooping { replica, crash_loop }, after] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!((*replica, &*crash_loop.instance, after), (ReplicaId(1), "echo-1.4", &restarting(1, 10_000)));
    assert!(pool.set.view().any(|view| view.id == ReplicaId(1) && view.crash_looping));
    for _ in 0..3 {
        let due = pool.set.poll_timeout().expect("the replica is retried");
        pool.now = due;
        pool.handle(Event::Timeout);
        pool.spawned(1);
        assert_eq!(pool.exited(1, true), [reap(1), restarting(1, 10_000)]);
    }
    assert_eq!(pool.registered("echo-2"), [], "the other replica was registered before");
}

#[test]
fn a_pool_gives_up_when_its_last_healthy_replica_is_in_a_crash_loop() {
    let mut pool = TestPool::running(2);
    pool.registered("echo-1");
    pool.registered("echo-2");
    almost_loop(&mut pool, 1);
    pool.exited(1, true);
    almost_loop(&mut pool, 2);
    let out = pool.exited(2, true);
    assert!(out.iter().any(|action| matches!(action, Action::GiveUp { replica: ReplicaId(2), .. })), "{out:?}");
}

#[test]
fn a_pool_that_shrinks_to_a_crash_looping_replica_gives_up() {
    let mut pool = TestPool::running(2);
    pool.registered("echo-1");
    pool.registered("echo-2");
    almost_loop(&mut pool, 1);
    pool.exited(1, true);
    pool.advance_to(pool.set.poll_timeout().expect("the replica is retried").as_micros() / 1_000);
    pool.spawned(1);
    pool.registered("echo-1.5");
    let mut out = Vec::new();
    pool.set.scale(pool.now, 1, &RunningCalls::from([("echo-1.5".into(), 1)]), &mut out).expect("a size within bounds");
    assert_eq!(out, [signal(2, TerminationSignal::Term)]);
    let out = pool.exited(1, true);
    assert!(out.iter().any(|action| matches!(action, Action::GiveUp { replica: ReplicaId(1), .. })), "{out:?}");
}

#[test]
fn a_failed_spawn_counts_as_an_exit() {
    let mut pool = TestPool::new(1);
    pool.advance_to(0);
    let failed = || Event::SpawnFailed { replica: ReplicaId(1), error: "no memory".into() };
    assert_eq!(pool.handle(failed()), [restarting(1, 0), spawn(1, "echo-1.1", 1)]);
    for millis in [100, 300, 700] {
        pool.handle(failed());
        pool.advance_to(millis);
    }
    let out = pool.handle(failed());
    assert!(
        matches!(&out[0], Action::GiveUp { crash_loop, .. } if crash_loop.last_exit == Exit::NotStarted("no memory".into()))
    );
    assert_eq!(out[1..], [Action::Finished]);
}

#[test]
fn a_shutdown_terminates_every_process_and_finishes_with_the_last() {
    let mut pool = TestPool::running(2);
    assert_eq!(pool.shutdown(1_000), [signal(1, TerminationSignal::Term), signal(2, TerminationSignal::Term)]);
    assert_eq!(pool.set.poll_timeout(), Some(at(1_000)));
    assert_eq!(pool.exited(1, true), [reap(1)]);
    assert_eq!(pool.exited(2, true), [reap(2), Action::Finished]);
    assert_eq!(pool.set.poll_timeout(), None);
    assert_eq!(pool.shutdown(0), [], "the pool has finished");
}

#[test]
fn a_process_that_runs_at_the_deadline_is_killed_once() {
    let mut pool = TestPool::running(2);
    pool.shutdown(1_000);
    pool.exited(1, true);
    assert_eq!(pool.advance_to(999), []);
    assert_eq!(pool.advance_to(1_000), [signal(2, TerminationSignal::Kill)]);
    assert_eq!(pool.advance_to(2_000), []);
    assert_eq!(pool.exited(2, false), [reap(2), Action::Finished]);
}

#[test]
fn a_group_that_outlives_its_leader_has_the_full_drain_time() {
    let mut pool = TestPool::running(2);
    pool.shutdown(1_000);
    assert_eq!(pool.exited(1, false), []);
    assert_eq!(pool.exited(2, false), []);
    assert_eq!(pool.handle(Event::GroupEmpty { replica: ReplicaId(1) }), [reap(1)]);
    assert_eq!(pool.advance_to(1_000), [reap(2), Action::Finished], "reaping kills the rest of the group");
}

#[test]
fn two_groups_that_end_at_the_deadline_are_each_reaped_once() {
    let mut pool = TestPool::running(2);
    pool.shutdown(1_000);
    pool.exited(1, false);
    pool.exited(2, false);
    pool.now = at(1_000);
    assert_eq!(pool.handle(Event::GroupEmpty { replica: ReplicaId(1) }), [reap(1), reap(2), Action::Finished]);
    assert_eq!(pool.handle(Event::GroupEmpty { replica: ReplicaId(2) }), []);
}

#[test]
fn a_second_shutdown_can_only_shorten_the_time() {
    let mut pool = TestPool::running(1);
    pool.shutdown(1_000);
    assert_eq!(pool.shutdown(2_000), []);
    assert_eq!(pool.set.poll_timeout(), Some(at(1_000)));
    assert_eq!(pool.shutdown(0), [signal(1, TerminationSignal::Kill)]);
}

#[test]
fn a_shutdown_without_drain_time_kills_at_once() {
    let mut pool = TestPool::running(1);
    assert_eq!(pool.shutdown(0), [signal(1, TerminationSignal::Kill)]);
}

#[test]
fn a_shutdown_cancels_restarts_and_terminates_starting_processes() {
    let mut pool = TestPool::running(2);
    pool.exited(1, true); // restarted, and not yet spawned
    pool.exited(2, true);
    pool.spawned(2);
    pool.exited(2, true); // in backoff
    assert_eq!(pool.shutdown(1_000), []);
    assert_eq!(pool.spawned(1), [signal(1, TerminationSignal::Term)]);
    assert_eq!(pool.exited(1, true), [reap(1), Action::Finished]);
}

/// Runs random inputs, and checks the invariants after each.
fn walk(size: u32, choices: &[(u8, u8, u32)]) {
    let mut pool = TestPool::new(size);
    let mut counts = [0; 3];
    let mut finished = false;
    for &(what, which, random) in choices {
        let mut out = Vec::new();
        step(&mut pool, what, which, random, &mut out);
        pool.set.assert_invariants();
        assert!(!finished || out.is_empty(), "no action follows `Finished`");
        for action in &out {
            let count = match action {
                Action::Ready(_) => &mut counts[0],
                Action::GiveUp { .. } => &mut counts[1],
                Action::Finished => &mut counts[2],
                _ => continue,
            };
            *count += 1;
            assert_eq!(*count, 1, "{action:?} comes once");
        }
        finished |= out.contains(&Action::Finished);
    }
}

/// Performs one random event or request. `which` selects the replica.
fn step(pool: &mut TestPool, what: u8, which: u8, random: u32, out: &mut Vec<Action>) {
    let set = &mut pool.set;
    let Some((&id, replica)) = set.replicas.iter().nth(usize::from(which) % set.replicas.len().max(1)) else { return };
    let name = instance_name("echo", id, replica.restart);
    let event = match (what % 20, replica.state) {
        (0, _) => Event::Shutdown { deadline: pool.now + Duration::from_millis(u64::from(random % 1_000)) },
        (1, ReplicaState::Starting) => Event::SpawnFailed { replica: id, error: String::new() },
        (_, ReplicaState::Starting) => {
            pool.pids += 1;
            Event::Spawned { replica: id, pid: pool.pids }
        }
        (2..6, ReplicaState::Draining { exited: true, .. }) => Event::GroupEmpty { replica: id },
        (
            2..6,
            ReplicaState::Running { .. }
            | ReplicaState::Registered { .. }
            | ReplicaState::Draining { exited: false, .. },
        ) => Event::Exited { replica: id, exit: Exit::Signal(9), group_empty: random.is_multiple_of(2) },
        (6..12, _) => Event::Registered { instance: name },
        (12, _) => return drop(set.scale(pool.now, random % 10, &RunningCalls::from([(name, 3)]), out)),
        (13, _) => return drop(set.reload(pool.now, out)),
        (14, _) => return drop(set.replace(pool.now, &name, out)),
        (15, _) => Event::RollBack { rollout: RolloutId(random % 8), reason: String::new() },
        _ => {
            pool.now = pool.now + Duration::from_millis(u64::from(random % 20_000));
            Event::Timeout
        }
    };
    set.handle_event(pool.now, event, random, out);
}

proptest! {
    #[test]
    fn the_invariants_hold_for_any_sequence_of_events(
        size in 1_u32..5,
        choices in proptest::collection::vec(any::<(u8, u8, u32)>(), 0..300),
    ) {
        walk(size, &choices);
    }
}
