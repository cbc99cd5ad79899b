//! The helper programs: what this program does when a test starts it as a child process.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use callboard_workers::pool::{Pool, PoolEvent, lifeline};

use crate::harness;

/// The first argument that selects the shim.
pub(crate) const RUN_WORKER: &str = "run-worker";
/// The first argument that selects a helper program; the second argument is its name.
pub(crate) const HELPER: &str = "helper";

/// The prefix with which the `pool` helper prints the last lines of a worker in a crash loop.
pub(crate) const LAST_LINE_PREFIX: &str = "last: ";

/// Runs the shim.
pub(crate) fn run_worker(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let error = callboard_workers::pool::run_worker(arguments);
    eprintln!("{error}");
    ExitCode::from(error.exit_code())
}

/// Runs a helper program.
pub(crate) fn run_helper(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<_> = arguments.map(|argument| argument.into_string().expect("text")).collect();
    match name.to_str() {
        Some("watcher") => watcher(),
        Some("other_group") => other_group(),
        Some("pool") => pool(&rest),
        _ => panic!("unknown helper: {name:?}"),
    }
}

/// A worker that only watches its lifeline.
fn watcher() -> ExitCode {
    assert!(lifeline::watch(), "a worker of a pool has a lifeline");
    sleep_forever()
}

/// A worker that starts a process in another group, which no signal of the pool reaches.
fn other_group() -> ExitCode {
    let mut child =
        Command::new(env::current_exe().expect("a path")).args([HELPER, "watcher"]).process_group(0).spawn();
    child.as_mut().expect("a child").wait().expect("the process ends");
    sleep_forever()
}

/// A program that runs a pool. It prints each started process, and the last lines of a crash loop. Arguments: NAME, SIZE, PROGRAM,
/// and the arguments of the program.
fn pool(arguments: &[String]) -> ExitCode {
    let [name, size, program, rest @ ..] = arguments else {
        panic!("NAME SIZE PROGRAM [ARGUMENT...]");
    };
    let mut pool =
        Pool::start(harness::settings(name, size.parse().expect("a number"), program, rest)).expect("a pool");
    harness::block_on(async {
        while let Some(event) = pool.event().await {
            match event {
                PoolEvent::Started { instance, pid, .. } => println!("{instance} {pid}"),
                PoolEvent::GaveUp { last_lines, .. } => {
                    last_lines.iter().for_each(|line| println!("{LAST_LINE_PREFIX}{line:?}"))
                }
                _ => {}
            }
        }
    });
    ExitCode::SUCCESS
}

fn sleep_forever() -> ExitCode {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Returns the command that runs the `pool` helper, with piped standard output and error.
pub(crate) fn pool_command(name: &str, size: u32, program: &str, rest: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([HELPER, "pool", name, &size.to_string(), program]).args(rest);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}
