//! Nobody is left behind.

use std::{fs, time::Duration};

use callboard_workers::pool::{Exit, PoolEvent};

use crate::{
    actors::pool_command,
    house::{FOR_EVER, House, kill, living, unique_name, until},
    rules,
};

rules![
    a_worker_may_finish_what_it_has_when_the_pool_ends,
    a_stubborn_worker_is_killed_at_the_deadline,
    what_a_worker_started_dies_with_it,
    a_worker_behind_a_script_has_the_drain_time_too,
    a_worker_in_another_group_ends_with_its_lifeline,
    a_pool_that_is_killed_leaves_nobody,
    a_pool_that_is_killed_after_its_guard_leaves_no_worker,
    the_guard_ends_with_its_pool,
    a_pool_that_nobody_holds_ends,
];

fn exits(events: &[PoolEvent]) -> Vec<Exit> {
    let exit = |event: &PoolEvent| match event {
        PoolEvent::Exited { exit, .. } => Some(exit.clone()),
        _ => None,
    };
    events.iter().filter_map(exit).collect()
}

/// The guards among the children of a process.
fn guards(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).expect("its threads").flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids: Vec<u32> =
        children.flat_map(|pids| pids.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
    pids.into_iter().filter(|pid| is_guard(*pid)).collect()
}

fn is_guard(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0guard\0"))
}

fn a_worker_may_finish_what_it_has_when_the_pool_ends() {
    let script = "trap 'sleep 0.2; touch $1/drained; exit 0' TERM; touch $1/trapped; while :; do sleep 0.02; done";
    let mut house = House::of_script(1, script);
    house.until_has("trapped");
    house.shutdown(FOR_EVER);
    assert_eq!(exits(&house.finish()), [Exit::Status(0)]);
    assert!(house.has("drained"));
}

fn a_stubborn_worker_is_killed_at_the_deadline() {
    let mut house = House::of_script(1, "trap '' TERM; touch $1/trapped; sleep 1000 & wait; sleep 1000");
    house.until_has("trapped");
    house.shutdown(Duration::from_millis(200));
    assert_eq!(exits(&house.finish()), [Exit::Signal(9)]);
    house.until_nobody_lives();
}

fn what_a_worker_started_dies_with_it() {
    let mut house = House::of_script(1, "sleep 1000 & (sleep 1000 & sleep 1000) & exec sleep 1000");
    let (instance, pid) = house.started();
    until("all run", || living(&house.name, Some(&instance)).len() >= 4);
    kill(pid);
    until("nobody of the first worker lives", || living(&house.name, Some(&instance)).is_empty());
    house.started();
    house.shutdown(FOR_EVER);
    house.finish();
    house.until_nobody_lives();
}

fn a_worker_behind_a_script_has_the_drain_time_too() {
    let script =
        "(trap 'sleep 0.3; touch $1/drained; exit' TERM; touch $1/trapped; while :; do sleep 0.02; done) & wait";
    let mut house = House::of_script(1, script);
    house.until_has("trapped");
    house.shutdown(FOR_EVER);
    // The script has no time to spare, its worker has.
    assert_eq!(exits(&house.finish()), [Exit::Signal(15)]);
    assert!(house.has("drained"));
    house.until_nobody_lives();
}

fn a_worker_in_another_group_ends_with_its_lifeline() {
    let this = std::env::current_exe().expect("a path");
    let mut house = House::of_settings(1, this.to_str().expect("text"), |_| vec!["act".into(), "escapee".into()]);
    let (instance, pid) = house.started();
    until("both run", || living(&house.name, Some(&instance)).len() == 2);
    kill(pid);
    until("nobody of the first worker lives", || living(&house.name, Some(&instance)).is_empty());
    house.shutdown(Duration::ZERO);
    house.finish();
    house.until_nobody_lives();
}

fn a_pool_that_is_killed_leaves_nobody() {
    let name = unique_name();
    let this = std::env::current_exe().expect("a path");
    let script = format!("sleep 1000 & {0} act watcher & {0} act escapee & wait", this.display());
    let mut pool =
        pool_command(&name, 2, "sh", &["-c", &script]).and_then(|mut command| command.spawn()).expect("a pool");
    until("all run", || living(&name, None).len() >= 2 * 5);
    pool.kill().expect("it lives");
    until("nobody of the pool lives", || living(&name, None).is_empty());
    pool.wait().expect("its end");
}

fn a_pool_that_is_killed_after_its_guard_leaves_no_worker() {
    let name = unique_name();
    let this = std::env::current_exe().expect("a path");
    let script = format!("{} act watcher & exec sleep 1000", this.display());
    let mut pool =
        pool_command(&name, 2, "sh", &["-c", &script]).and_then(|mut command| command.spawn()).expect("a pool");
    until("all run", || living(&name, None).len() == 2 * 2);
    guards(pool.id()).into_iter().for_each(kill);
    pool.kill().expect("it lives");
    until("nobody of the pool lives", || living(&name, None).is_empty());
    pool.wait().expect("its end");
}

fn the_guard_ends_with_its_pool() {
    let name = unique_name();
    let mut pool = pool_command(&name, 1, "sleep", &["1000"]).and_then(|mut command| command.spawn()).expect("a pool");
    until("all run", || living(&name, None).len() == 1);
    let guards = guards(pool.id());
    assert_eq!(guards.len(), 1);
    pool.kill().expect("it lives");
    pool.wait().expect("its end");
    until("the guard is gone", || !is_guard(guards[0]));
}

fn a_pool_that_nobody_holds_ends() {
    let mut house = House::of_script(1, "exec sleep 1000");
    house.started();
    let name = house.name.clone();
    drop(house);
    until("nobody of the pool lives", || living(&name, None).is_empty());
}
