//! `callboard call` of streaming methods, as part of a shell pipeline.

use std::io::{BufRead as _, BufReader, Write as _};

use crate::harness::{Broker, Process, until};

/// Starts a broker and the example worker.
fn scene() -> (Broker, Process) {
    let broker = Broker::start();
    let worker = broker.worker("streams-worker", "numbers");
    (broker, worker)
}

fn lines(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|number| format!("{number}\n")).collect()
}

#[test]
fn items_are_printed_one_per_line_and_read_from_standard_input() {
    let (broker, _worker) = scene();
    assert_eq!(broker.call(&["numbers.count", "3"]).printed(), "1\n2\n3");
    let count = broker.call(&["numbers.count", "to=20000"]).printed();
    assert_eq!(count.lines().map(|line| line.parse::<u64>().unwrap()).sum::<u64>(), 200_010_000);
    assert_eq!(broker.call(&["numbers.count", "0"]).printed(), "");
    assert_eq!(broker.pipe(&["call", "numbers.sum"], &lines(1..=20_000)).printed(), "200010000");
    let sums = broker.pipe(&["call", "numbers.sums", "100"], &lines(1..=5_000)).printed();
    assert_eq!((sums.lines().count(), sums.lines().last()), (5_000, Some("12502600")));
}

#[test]
fn each_answer_is_printed_before_the_next_line_is_read() {
    let (broker, _worker) = scene();
    let (mut call, mut input) = Process::start_with_input(broker.command_line(&["call", "numbers.sums", "0"]));
    for (number, sum) in [(5, "5"), (6, "11"), (7, "18")] {
        writeln!(input, "{number}").unwrap();
        assert_eq!(call.line(), sum);
    }
    drop(input);
    assert_eq!((call.stdout.next(), call.exit_code()), (None, 0));
}

#[test]
fn an_invalid_line_ends_the_call_with_exit_code_2_and_its_number() {
    let (broker, _worker) = scene();
    let sums = |input: &str| broker.pipe(&["call", "numbers.sums", "0"], input);
    let wrong = sums("1\n2\nthree\n4\n");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.starts_with("error: line 3 of standard input: invalid JSON"), "{wrong:?}");
    sums("18446744073709551616\n").failed_with(2, &["line 1", "does not fit in 64 bits"]);
    sums(&format!("\n\"{}\"\n", "x".repeat(200_000))).failed_with(2, &["line 2", "exceeds the limit of 131072"]);
    sums(&format!("{}\n", " ".repeat(2_000_000))).failed_with(2, &["line 1", "longer than 1048576 bytes"]);
    let unfit = sums("1\n\"two\"\n");
    assert_eq!(unfit.code, 1, "the worker rejects it: {unfit:?}");
    assert!(unfit.stderr.contains("INVALID_ARGUMENT") && unfit.stderr.contains("item 1 of the stream"), "{unfit:?}");
}

#[test]
fn a_closed_standard_output_ends_the_call_without_an_error() {
    let (broker, worker) = scene();
    let mut call = broker.command_line(&["call", "numbers.ticks", "--timeout", "none"]);
    let mut call = call.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(call.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "0\n");
    assert_eq!(worker.line(), "the caller of ticks is gone");
    assert_eq!(call.wait().unwrap().code(), Some(0));
}

#[test]
fn ctrl_c_ends_a_call_that_reads_with_130() {
    let (broker, _worker) = scene();
    let (mut call, _input) = Process::start_with_input(broker.command_line(&["call", "numbers.sum"]));
    broker.wait_for_running_call();
    call.signal(rustix::process::Signal::INT);
    assert_eq!(call.exit_code(), 130);
}

#[test]
fn only_the_newest_items_are_printed_with_conflate() {
    let (broker, _worker) = scene();
    let newest = broker.call(&["numbers.count", "50000", "--conflate"]).printed();
    let numbers: Vec<u64> = newest.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "the numbers increase");
    assert_eq!(numbers.last(), Some(&50_000), "the last item is always printed");
}

#[test]
fn progress_is_printed_on_stderr_beside_the_result() {
    let (broker, _worker) = scene();
    let walk = broker.call(&["numbers.walk", "200", "--progress"]);
    assert_eq!((walk.code, walk.stdout.as_str()), (0, "200"), "{walk:?}");
    assert_eq!(walk.stderr.lines().last(), Some("200 of 200 walking"), "{walk:?}");
}

#[test]
fn a_call_that_waits_for_a_service_learns_its_style_later() {
    let broker = Broker::start();
    let words = ["call", "numbers.count", "2", "--wait-for-ready"];
    let mut call = Process::start(broker.command_line(&words));
    until("the command is connected", || broker.command(&["peers"]).printed().contains("client").then_some(()));
    let _worker = broker.worker("streams-worker", "numbers");
    assert_eq!((call.line(), call.line(), call.exit_code()), ("1".to_owned(), "2".to_owned(), 0));
}

#[test]
fn a_style_flag_is_respected_and_inapplicable_flags_are_rejected() {
    let (broker, _worker) = scene();
    assert_eq!(broker.call(&["numbers.count", "2", "--style", "server"]).printed(), "1\n2");
    broker.call(&["numbers.count", "2", "--style", "unary"]).failed_with(1, &["numbers.count is a server stream"]);
    broker.call(&["numbers.count", "2", "--cast"]).failed_with(2, &["--cast", "numbers.count"]);
    broker.call(&["numbers.count", "2", "--progress"]).failed_with(2, &["--progress", "numbers.count"]);
    broker.call(&["numbers.walk", "2", "--conflate"]).failed_with(2, &["--conflate", "numbers.walk"]);
}
