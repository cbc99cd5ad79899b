//! What workers print.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
};

use callboard_workers::pool::{LAST_LINES_MAX, LINE_BYTES_MAX};

use crate::{
    actors::{LAST, pool_command},
    house::{kill, living, unique_name, until},
    rules,
};

rules![
    what_workers_print_comes_out_line_by_line_with_their_names,
    the_last_lines_are_bounded_whatever_is_printed,
    a_pool_whose_output_nobody_reads_goes_on,
    workers_whose_output_nobody_reads_go_on,
];

fn pool(name: &str, script: &str) -> Child {
    pool_command(name, 1, "sh", &["-c", script]).and_then(|mut command| command.spawn()).expect("a pool")
}

fn end(name: &str, mut pool: Child) {
    pool.kill().expect("it lives");
    pool.wait().expect("its end");
    until("nobody of the pool lives", || living(name, None).is_empty());
}

fn what_workers_print_comes_out_line_by_line_with_their_names() {
    let name = unique_name();
    let mut pool = pool(&name, "echo one; sleep 0.1; printf 'tw' >&2; printf 'o\\nthree\\n' >&2; exec sleep 1000");
    let lines = BufReader::new(pool.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let first: Vec<_> = lines.take(3).collect();
    assert_eq!(first, ["one", "two", "three"].map(|line| format!("{name}-1: {line}")));
    end(&name, pool);
}

fn the_last_lines_are_bounded_whatever_is_printed() {
    let script =
        "head -c 200000 /dev/zero; head -c 200000 /dev/urandom; seq 1000; head -c 9000 /dev/zero | tr '\\0' x; exit 1";
    let output = pool(&unique_name(), script).wait_with_output().expect("its end");
    let printed = String::from_utf8(output.stdout).expect("text");
    let last_lines: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix(LAST)).collect();
    assert_eq!(last_lines.len(), LAST_LINES_MAX);
    let x = |count| format!("{:?}", "x".repeat(count));
    let end = [format!("{:?}", "1000"), x(LINE_BYTES_MAX), x(LINE_BYTES_MAX), x(9_000 - 2 * LINE_BYTES_MAX)];
    assert_eq!(last_lines[LAST_LINES_MAX - 4..], end);
}

fn a_pool_whose_output_nobody_reads_goes_on() {
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
    unread.read_exact(&mut [0; 100]).expect("it was printed into the pipe");
    end(&name, pool);
}

fn workers_whose_output_nobody_reads_go_on() {
    let name = unique_name();
    let folder = tempfile::tempdir().expect("a folder");
    let printed = folder.path().join("printed");
    // Some times what both pipes and the lines between them hold.
    let mut pool = pool(&name, &format!("yes | head -c 2000000; : > {}; exec sleep 1000", printed.display()));
    until("it has printed it all", || printed.exists());
    let unread = BufReader::new(pool.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    drop(unread.take(100).collect::<Vec<_>>());
    end(&name, pool);
}
