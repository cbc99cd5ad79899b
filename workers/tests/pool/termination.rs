//! Tests that no process outlives its pool.

use std::{fs, time::Duration};

use callboard_workers::pool::{Exit, PoolEvent};

use crate::{
    harness::{FOREVER, TestPool, kill, living_processes, unique_name, wait_until},
    helpers::pool_command,
    tests,
};

tests![
    a_worker_can_finish_its_work_when_the_pool_shuts_down,
    a_worker_that_ignores_sigterm_is_killed_at_the_deadline,
    processes_started_by_a_worker_die_with_it,
    a_worker_behind_a_script_has_the_drain_time,
    a_process_in_another_group_exits_by_its_lifeline,
    a_killed_pool_leaves_no_process,
    a_pool_killed_after_its_guard_leaves_no_worker,
    the_guard_exits_with_its_pool,
    a_dropped_pool_shuts_down,
];

fn exits(events: &[PoolEvent]) -> Vec<Exit> {
    let exit = |event: &PoolEvent| match event {
        PoolEvent::Exited { exit, .. } => Some(exit.clone()),
        _ => None,
    };
    events.iter().filter_map(exit).collect()
}

/// Returns the guards among the children of a process.
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

fn a_worker_can_finish_its_work_when_the_pool_shuts_down() {
    let script = "trap 'sleep 0.2; touch $1/drained; exit 0' TERM; touch $1/trapped; while :; do sleep 0.02; done";
    let mut pool = TestPool::with_script(1, script);
    pool.wait_for("trapped");
    pool.shutdown(FOREVER);
    assert_eq!(exits(&pool.finish()), [Exit::Status(0)]);
    assert!(pool.has("drained"));
}

fn a_worker_that_ignores_sigterm_is_killed_at_the_deadline() {
    let mut pool = TestPool::with_script(1, "trap '' TERM; touch $1/trapped; sleep 1000 & wait; sleep 1000");
    pool.wait_for("trapped");
    pool.shutdown(Duration::from_millis(200));
    assert_eq!(exits(&pool.finish()), [Exit::Signal(9)]);
    pool.wait_until_empty();
}

fn processes_started_by_a_worker_die_with_it() {
    let mut pool = TestPool::with_script(1, "sleep 1000 & (sleep 1000 & sleep 1000) & exec sleep 1000");
    let (instance, pid) = pool.started();
    wait_until("all processes run", || living_processes(&pool.name, Some(&instance)).len() >= 4);
    kill(pid);
    wait_until("no process of the first worker lives", || living_processes(&pool.name, Some(&instance)).is_empty());
    pool.started();
    pool.shutdown(FOREVER);
    pool.finish();
    pool.wait_until_empty();
}

fn a_worker_behind_a_script_has_the_drain_time() {
    let script =
        "(trap 'sleep 0.3; touch $1/drained; exit' TERM; touch $1/trapped; while :; do sleep 0.02; done) & wait";
    let mut pool = TestPool::with_script(1, script);
    pool.wait_for("trapped");
    pool.shutdown(FOREVER);
    // The script exits at SIGTERM; its worker uses the drain time.
    assert_eq!(exits(&pool.finish()), [Exit::Signal(15)]);
    assert!(pool.has("drained"));
    pool.wait_until_empty();
}

fn a_process_in_another_group_exits_by_its_lifeline() {
    let this = std::env::current_exe().expect("a path");
    let mut pool =
        TestPool::with_program(1, this.to_str().expect("text"), |_| vec!["helper".into(), "other_group".into()]);
    let (instance, pid) = pool.started();
    wait_until("both processes run", || living_processes(&pool.name, Some(&instance)).len() == 2);
    kill(pid);
    wait_until("no process of the first worker lives", || living_processes(&pool.name, Some(&instance)).is_empty());
    pool.shutdown(Duration::ZERO);
    pool.finish();
    pool.wait_until_empty();
}

fn a_killed_pool_leaves_no_process() {
    let name = unique_name();
    let this = std::env::current_exe().expect("a path");
    let script = format!("sleep 1000 & {0} helper watcher & {0} helper other_group & wait", this.display());
    let mut pool =
        pool_command(&name, 2, "sh", &["-c", &script]).and_then(|mut command| command.spawn()).expect("a pool");
    wait_until("all processes run", || living_processes(&name, None).len() >= 2 * 5);
    pool.kill().expect("the process runs");
    wait_until("no process of the pool lives", || living_processes(&name, None).is_empty());
    pool.wait().expect("the process ends");
}

fn a_pool_killed_after_its_guard_leaves_no_worker() {
    let name = unique_name();
    let this = std::env::current_exe().expect("a path");
    let script = format!("{} helper watcher & exec sleep 1000", this.display());
    let mut pool =
        pool_command(&name, 2, "sh", &["-c", &script]).and_then(|mut command| command.spawn()).expect("a pool");
    wait_until("all processes run", || living_processes(&name, None).len() == 2 * 2);
    guards(pool.id()).into_iter().for_each(kill);
    pool.kill().expect("the process runs");
    wait_until("no process of the pool lives", || living_processes(&name, None).is_empty());
    pool.wait().expect("the process ends");
}

fn the_guard_exits_with_its_pool() {
    let name = unique_name();
    let mut pool = pool_command(&name, 1, "sleep", &["1000"]).and_then(|mut command| command.spawn()).expect("a pool");
    wait_until("all processes run", || living_processes(&name, None).len() == 1);
    let guards = guards(pool.id());
    assert_eq!(guards.len(), 1);
    pool.kill().expect("the process runs");
    pool.wait().expect("the process ends");
    wait_until("the guard is gone", || !is_guard(guards[0]));
}

fn a_dropped_pool_shuts_down() {
    let mut pool = TestPool::with_script(1, "exec sleep 1000");
    pool.started();
    let name = pool.name.clone();
    drop(pool);
    wait_until("no process of the pool lives", || living_processes(&name, None).is_empty());
}
