//! Tests of scaling and of rolling replacement.

use super::*;

impl TestPool {
    /// Creates a pool whose processes are all registered.
    fn serving(size: u32) -> TestPool {
        let mut pool = TestPool::running(size);
        (1..=size).for_each(|replica| drop(pool.registered(&format!("echo-{replica}"))));
        pool
    }

    fn scale(&mut self, size: u32, running: &[(&str, u64)]) -> Result<Vec<Action>, ChangeError> {
        let running = running.iter().map(|&(name, calls)| (name.to_owned(), calls)).collect();
        let mut out = Vec::new();
        let result = self.set.scale(self.now, size, &running, &mut out);
        self.set.assert_invariants();
        result.map(|()| out)
    }

    fn reload(&mut self) -> Result<Vec<Action>, ChangeError> {
        let mut out = Vec::new();
        let result = self.set.reload(self.now, &mut out);
        self.set.assert_invariants();
        result.map(|_| out)
    }

    fn replace(&mut self, instance: &str) -> Result<Vec<Action>, ChangeError> {
        let mut out = Vec::new();
        let result = self.set.replace(self.now, instance, &mut out);
        self.set.assert_invariants();
        result.map(|_| out)
    }

    /// Creates a pool of two in a reload, whose new processes run and are not registered.
    fn reloading() -> TestPool {
        let mut pool = TestPool::serving(2);
        assert_eq!(pool.reload(), Ok(vec![spawn(3, "echo-3", 0), spawn(4, "echo-4", 0)]));
        (3..=4).for_each(|replica| assert_eq!(pool.spawned(replica), []));
        pool
    }
}

fn completed(id: u32) -> Action {
    let outcome = RolloutOutcome { id: RolloutId(id), rolled_back: None };
    Action::RolloutFinished { outcome, replica: None }
}

/// Returns the reason of a rollback, which must be the last action.
fn rolled_back(actions: &[Action]) -> &str {
    match actions.last() {
        Some(Action::RolloutFinished { outcome: RolloutOutcome { rolled_back: Some(why), .. }, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pool_grows_by_new_replicas() {
    let mut pool = TestPool::serving(2);
    assert_eq!(pool.scale(4, &[]), Ok(vec![spawn(3, "echo-3", 0), spawn(4, "echo-4", 0)]));
    assert_eq!(pool.set.size(), 4);
    assert_eq!(pool.scale(4, &[]), Ok(vec![]), "the same size again changes nothing");
}

#[test]
fn idle_processes_are_terminated_first_and_are_not_restarted() {
    let mut pool = TestPool::serving(4);
    let running = [("echo-1", 0), ("echo-2", 5), ("echo-3", 2), ("echo-4", 7)];
    assert_eq!(
        pool.scale(2, &running),
        Ok(vec![signal(1, TerminationSignal::Term), signal(3, TerminationSignal::Term)])
    );
    assert_eq!(pool.set.size(), 2);
    assert_eq!(pool.exited(1, true), [reap(1)]);
    assert_eq!(pool.exited(3, true), [reap(3)], "it is not restarted");
    assert_eq!(pool.set.view().map(|view| view.id.0).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn unregistered_processes_are_terminated_first_and_then_the_youngest_idle_one() {
    let mut pool = TestPool::serving(3);
    assert_eq!(pool.scale(2, &[]), Ok(vec![signal(3, TerminationSignal::Term)]));
    pool.scale(4, &[]).expect("within bounds");
    assert_eq!(pool.spawned(4), []);
    assert_eq!(pool.spawned(5), []);
    pool.exited(5, true);
    pool.spawned(5);
    pool.exited(5, true); // in backoff
    let busy = [("echo-1", 1), ("echo-2", 1)];
    assert_eq!(pool.scale(3, &busy), Ok(vec![]), "a replica without a process needs no signal");
    assert_eq!(pool.scale(2, &busy), Ok(vec![signal(4, TerminationSignal::Term)]), "echo-4 is not registered");
}

#[test]
fn a_terminating_process_is_killed_after_the_drain_time() {
    let mut pool = TestPool::serving(2);
    pool.scale(1, &[]).expect("within bounds");
    assert_eq!(pool.set.poll_timeout(), Some(Time::ZERO + DRAIN));
    assert_eq!(pool.advance_to(29_999), []);
    assert_eq!(pool.advance_to(30_000), [signal(2, TerminationSignal::Kill)]);
    assert_eq!(pool.exited(2, false), [reap(2)]);
    assert_eq!(pool.set.poll_timeout(), None);
}

#[test]
fn a_size_out_of_bounds_changes_nothing() {
    let mut pool = TestPool::serving(2);
    for size in [0, 9] {
        let bounds = Bounds { min: 1, max: 8 };
        assert_eq!(pool.scale(size, &[]), Err(ChangeError::Bounds { size, bounds }));
    }
    assert_eq!(pool.set.size(), 2);
}

#[test]
fn slowly_terminating_processes_are_bounded() {
    let mut pool = TestPool::serving(8);
    pool.scale(1, &[]).expect("within bounds");
    pool.scale(8, &[]).expect("up to twice the largest size is allowed");
    pool.scale(1, &[]).expect("within bounds");
    (9..=15).for_each(|replica| drop(pool.spawned(replica)));
    assert_eq!(pool.scale(8, &[]), Err(ChangeError::TooManyTerminating { terminating: 14 }));
    (2..=8).for_each(|replica| drop(pool.exited(replica, true)));
    assert!(pool.scale(8, &[]).is_ok());
}

#[test]
fn a_shutdown_shortens_the_drain_time_of_a_terminating_process() {
    let mut pool = TestPool::serving(2);
    pool.scale(1, &[]).expect("within bounds");
    assert_eq!(pool.shutdown(1_000), [signal(1, TerminationSignal::Term)], "the other process was signalled before");
    assert_eq!(pool.advance_to(1_000), [signal(1, TerminationSignal::Kill), signal(2, TerminationSignal::Kill)]);
}

#[test]
fn a_reload_terminates_the_old_processes_after_the_canary_period() {
    let mut pool = TestPool::reloading();
    assert_eq!(pool.registered("echo-3"), []);
    assert_eq!(pool.registered("echo-4"), [], "the canary period has started");
    assert_eq!(pool.set.poll_timeout(), Some(at(10_000)));
    assert_eq!(pool.set.size(), 2, "only the old replicas count until then");
    assert_eq!(
        pool.advance_to(10_000),
        [signal(1, TerminationSignal::Term), signal(2, TerminationSignal::Term), completed(1)]
    );
    assert_eq!((pool.set.size(), pool.set.generation()), (2, 2));
    assert_eq!(pool.exited(1, true), [reap(1)]);
}

#[test]
fn an_exit_of_a_new_process_rolls_the_reload_back() {
    for in_canary in [false, true] {
        let mut pool = TestPool::reloading();
        if in_canary {
            pool.registered("echo-3");
            pool.registered("echo-4");
        }
        let out = pool.exited(3, true);
        assert_eq!(out[..2], [reap(3), signal(4, TerminationSignal::Term)]);
        assert_eq!(rolled_back(&out), "the new worker echo-3 exited: exit status 1");
        assert_eq!((pool.set.size(), pool.set.generation()), (2, 1));
        assert_eq!(pool.exited(4, true), [reap(4)]);
        assert_eq!(pool.advance_to(100_000), [], "no action is left");
    }
}

#[test]
fn new_processes_that_register_too_late_are_rolled_back() {
    let mut pool = TestPool::reloading();
    pool.registered("echo-3");
    let out = pool.advance_to(60_000);
    assert_eq!(out[..2], [signal(3, TerminationSignal::Term), signal(4, TerminationSignal::Term)]);
    assert_eq!(rolled_back(&out), "not all new workers were registered within 1m");
}

#[test]
fn the_owner_can_roll_a_reload_back() {
    let mut pool = TestPool::reloading();
    let roll_back = |number| Event::RollBack { rollout: RolloutId(number), reason: "half of its calls fail".into() };
    assert_eq!(pool.handle(roll_back(7)), [], "of another rollout");
    assert_eq!(rolled_back(&pool.handle(roll_back(1))), "half of its calls fail");
    assert!(pool.reload().is_ok(), "another reload can start");
}

#[test]
fn an_old_process_that_exits_during_a_reload_is_restarted_and_still_replaced() {
    let mut pool = TestPool::reloading();
    assert_eq!(pool.exited(1, true), [reap(1), restarting(1, 0), spawn(1, "echo-1.1", 1)]);
    pool.spawned(1);
    pool.registered("echo-3");
    pool.registered("echo-4");
    assert_eq!(
        pool.advance_to(10_000),
        [signal(1, TerminationSignal::Term), signal(2, TerminationSignal::Term), completed(1)]
    );
}

#[test]
fn a_pool_makes_one_change_at_a_time() {
    let mut pool = TestPool::reloading();
    assert_eq!(pool.reload(), Err(ChangeError::RolloutInProgress));
    assert_eq!(pool.scale(3, &[]), Err(ChangeError::RolloutInProgress));
    assert_eq!(pool.replace("echo-1"), Err(ChangeError::RolloutInProgress));
    pool.shutdown(1_000);
    assert_eq!(pool.reload(), Err(ChangeError::ShuttingDown));
    assert_eq!(pool.scale(3, &[]), Err(ChangeError::ShuttingDown));
}

#[test]
fn a_replacement_starts_before_the_old_process_is_terminated() {
    let mut pool = TestPool::serving(2);
    assert_eq!(pool.replace("echo-2"), Ok(vec![spawn(3, "echo-3", 0)]));
    assert_eq!(pool.spawned(3), []);
    assert_eq!(pool.registered("echo-3"), [signal(2, TerminationSignal::Term), completed(1)]);
    assert_eq!(pool.set.generation(), 1, "a replacement is not a new generation");
}

#[test]
fn only_a_running_process_can_be_replaced() {
    let mut pool = TestPool::serving(2);
    pool.scale(1, &[]).expect("within bounds");
    for name in ["echo-2", "echo-9", ""] {
        assert_eq!(pool.replace(name), Err(ChangeError::NoSuchWorker { instance: name.into() }));
    }
}

#[test]
fn a_shutdown_terminates_the_old_and_the_new_processes_of_a_reload() {
    let mut pool = TestPool::reloading();
    let out = pool.shutdown(1_000);
    assert_eq!(out, (1..=4).map(|replica| signal(replica, TerminationSignal::Term)).collect::<Vec<_>>());
    (1..=3).for_each(|replica| drop(pool.exited(replica, true)));
    assert_eq!(pool.exited(4, true), [reap(4), Action::Finished]);
}
