//! Tests of the output of workers.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
};

use callboard_workers::pool::{LAST_LINES_MAX, LINE_BYTES_MAX};

use crate::{
    harness::{kill, living_processes, unique_name, wait_until},
    helpers::{LAST_LINE_PREFIX, pool_command},
    tests,
};

tests![
    each_printed_line_has_the_name_of_its_worker,
    the_last_lines_are_bounded_for_any_output,
    a_pool_with_unread_output_keeps_running,
    workers_with_unread_output_keep_running,
];

fn pool(name: &str, script: &str) -> Child {
    pool_command(name, 1, "sh", &["-c", script]).and_then(|mut command| command.spawn()).expect("a pool")
}

fn end(name: &str, mut pool: Child) {
    pool.kill().expect("the process runs");
    pool.wait().expect("the process ends");
    wait_until("no process of the pool lives", || living_processes(name, None).is_empty());
}

fn each_printed_line_has_the_name_of_its_worker() {
    let name = unique_name();
    let mut pool = pool(&name, "echo one; sleep 0.1; printf 'tw' >&2; printf 'o\\nthree\\n' >&2; exec sleep 1000");
    let lines = BufReader::new(pool.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let first: Vec<_> = lines.take(3).collect();
    assert_eq!(first, ["one", "two", "three"].map(|line| format!("{name}-1: {line}")));
    end(&name, pool);
}

fn the_last_lines_are_bounded_for_any_output() {
    let script =
        "head -c 200000 /dev/zero; head -c 200000 /dev/urandom; seq 1000; head -c 9000 /dev/zero | tr '\\0' x; exit 1";
    let output = pool(&unique_name(), script).wait_with_output().expect("the process ends");
    let printed = String::from_utf8(output.stdout).expect("text");
    let last_lines: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix(LAST_LINE_PREFIX)).collect();
    assert_eq!(last_lines.len(), LAST_LINES_MAX);
    let x = |count| format!("{:?}", "x".repeat(count));
    let end = [format!("{:?}", "1000"), x(LINE_BYTES_MAX), x(LINE_BYTES_MAX), x(9_000 - 2 * LINE_BYTES_MAX)];
    assert_eq!(last_lines[LAST_LINES_MAX - 4..], end);
}

fn a_pool_with_unread_output_keeps_running() {
    let name = unique_name();
    let mut pool = pool(&name, "exec yes");
    let mut started = BufReader::new(pool.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let mut unread = pool.stderr.take().expect("a pipe");
    for restart in ["-1", "-1.1", "-1.2"] {
        let line = started.next().expect("a worker is started");
        let (instance, pid) = line.split_once(' ').expect("a name and a number");
        assert_eq!(instance, format!("{name}{restart}"));
        kill(pid.parse().expect("a number"));
    }
    unread.read_exact(&mut [0; 100]).expect("the output is in the pipe");
    end(&name, pool);
}

fn workers_with_unread_output_keep_running() {
    let name = unique_name();
    let directory = tempfile::tempdir().expect("a directory");
    let printed = directory.path().join("printed");
    // Several times the capacity of both pipes and of the queue between them.
    let mut pool = pool(&name, &format!("yes | head -c 2000000; : > {}; exec sleep 1000", printed.display()));
    wait_until("the worker has printed all of it", || printed.exists());
    let unread = BufReader::new(pool.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    drop(unread.take(100).collect::<Vec<_>>());
    end(&name, pool);
}
