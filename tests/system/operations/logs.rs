//! A process continues if its log cannot be written or is not read.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Write as _},
    process::{Command, Stdio},
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Signal,
};

use crate::harness::{Broker, Finished, Pool, Process, callboard, example_path, until};

fn broker() -> Command {
    let mut command = callboard();
    command.args(["broker", "--frontend", "tcp://127.0.0.1:0", "--backend", "tcp://127.0.0.1:0"]);
    command
}

/// Returns a full pipe, as a reader leaves it that has stopped reading.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(b"x").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Returns a pipe without a reader.
fn broken_pipe() -> PipeWriter {
    io::pipe().unwrap().1
}

/// Asserts that the broker still serves and ends on SIGTERM, after it has logged a new and a lost worker.
fn goes_on(stderr: impl Into<Stdio>) {
    let mut broker = Broker::of(Process::start_into(broker(), Stdio::piped(), stderr));
    let mut worker = broker.worker("calculator-worker", "calculator");
    assert_eq!(broker.call(&["calculator.add", "2", "3"]).printed(), "5");
    worker.kill();
    until("the broker reports the lost worker", || {
        (!broker.command(&["peers"]).printed().contains("worker")).then_some(())
    });
    broker.process.signal(Signal::TERM);
    assert_eq!(broker.process.exit_code(), 0);
}

#[test]
fn a_broker_whose_log_cannot_be_written_continues() {
    goes_on(File::options().write(true).open("/dev/full").unwrap());
    goes_on(broken_pipe());
}

#[test]
fn a_broker_whose_log_is_not_read_continues_and_ends() {
    let (_unread, writer) = full_pipe();
    goes_on(writer);
}

#[test]
fn a_pool_whose_log_is_closed_continues() {
    let broker = Broker::start();
    let mut command = Pool::command_with(&broker.backend, "jobs", 1, &["--max", "2"]);
    command.arg(example_path("pool-worker"));
    let mut pool = Process::start_into(command, Stdio::piped(), broken_pipe());
    assert_eq!(pool.line(), "ready 1 workers");
    broker.command(&["scale", "jobs", "2"]).printed();
    until("both workers are registered", || {
        let status = broker.call(&["callboard.pool.jobs.status"]).printed();
        (status.matches("\"registered\"").count() == 2).then_some(())
    });
    broker.call(&["jobs.collatz", "27"]).printed();
    pool.signal(Signal::TERM);
    assert_eq!(pool.exit_code(), 0);
}

#[test]
fn a_command_that_gives_up_ends_also_if_stderr_is_not_read() {
    let broker = Broker::start();
    let mut command = Pool::command(&broker.backend, "broken", 1);
    command.arg("false");
    let (_unread, writer) = full_pipe();
    assert_eq!(Process::start_into(command, Stdio::null(), writer).exit_code(), 4);
}

#[test]
fn a_ready_line_that_is_not_read_is_not_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let frontend = format!("ipc://{}", folder.path().join("front").display());
    let mut command = callboard();
    command.args(["broker", "--frontend", &frontend, "--backend", "tcp://127.0.0.1:0"]);
    let mut broker = Process::start_into(command, broken_pipe(), Stdio::piped());
    until("the broker answers", || {
        let mut ping = callboard();
        ping.arg("ping").env("CALLBOARD_FRONTEND", &frontend);
        (Finished::of(ping).code == 0).then_some(())
    });
    broker.signal(Signal::TERM);
    assert_eq!(broker.exit_code(), 0);
    assert!(!broker.stderr.all().contains("panicked"));
}
