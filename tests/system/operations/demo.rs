//! `callboard demo`: correct results, and no remaining processes.

use std::fs;

use crate::harness::{Finished, Process, callboard, is_alive, until};

/// Returns the descendants of a process.
pub(super) fn descendants(parent: u32) -> Vec<u32> {
    let children = until("the children of a process can be read", || {
        fs::read_dir(format!("/proc/{parent}/task")).ok()?.try_fold(Vec::new(), |mut all, task| {
            let children = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
            all.extend(children.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
            Some(all)
        })
    });
    children.iter().flat_map(|child| [vec![*child], descendants(*child)].concat()).collect()
}

/// Returns the numbers after the word `process` in the output of demo: its broker, its pool and itself.
fn processes(shown: &str) -> Vec<u32> {
    let words = shown.split("process ").skip(1);
    words.map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn demo_answers_every_call_correctly_and_leaves_no_process_behind() {
    let shown = Finished::callboard(&["demo"]).printed();
    assert!(shown.contains("10000 calls answered in ") && shown.contains(", 0 wrong"), "{shown}");
    let table = shown.split("WORKER PROCESS").nth(1).unwrap();
    let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
    let rows: Vec<Vec<_>> = rows.map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 4, "{shown}");
    assert_eq!(rows.iter().map(|row| row[1].parse::<u32>().unwrap()).sum::<u32>(), 10_000, "{shown}");
    let workers = rows.iter().map(|row| row[0].parse().unwrap());
    let left: Vec<u32> = processes(&shown).into_iter().chain(workers).filter(|pid| is_alive(*pid)).collect();
    assert!(left.is_empty(), "{left:?} still run after:\n{shown}");
}

#[test]
fn demo_and_bench_ignore_the_settings_of_other_commands() {
    for words in [&["demo"][..], &["bench", "--seconds", "1"]] {
        let mut command = callboard();
        command.args(words).envs([
            ("CALLBOARD_BROKER_SERVICES", "billing"),
            ("CALLBOARD_BROKER_QUEUE_CALLS_MAX", "1"),
            ("CALLBOARD_POOL_NAME", "billing"),
            ("CALLBOARD_POOL_MIN", "5"),
            ("CALLBOARD_FRONTEND", "tcp://127.0.0.1:1"),
            ("CALLBOARD_AUTHKEY", "a key for these tests alone"),
        ]);
        let finished = Finished::of(command);
        assert_eq!(finished.code, 0, "{finished:?}");
    }
}

#[test]
fn a_killed_demo_leaves_no_process_behind() {
    let mut command = callboard();
    command.arg("demo");
    let mut demo = Process::start(command);
    let (broker, pool) = (demo.line(), demo.line());
    let started = [processes(&broker), processes(&pool)].concat();
    let workers = descendants(started[1]);
    demo.kill();
    let all = [started, workers].concat();
    until("all its processes have ended", || (!all.iter().copied().any(is_alive)).then_some(()));
}
