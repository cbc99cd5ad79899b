//! What this program is when a test starts it again.

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

use crate::house;

/// First argument: be the shim.
pub(crate) const RUN_WORKER: &str = "run-worker";
/// First argument: be an actor; the second says which.
pub(crate) const ACT: &str = "act";

/// What the pool actor puts before each of the last lines of the worker for which it gave up.
pub(crate) const LAST: &str = "last: ";

/// The shim.
pub(crate) fn run_worker(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let error = callboard_workers::pool::run_worker(arguments);
    eprintln!("{error}");
    ExitCode::from(error.exit_code())
}

/// An actor.
pub(crate) fn act(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let role = arguments.next().unwrap_or_default();
    let rest: Vec<_> = arguments.map(|argument| argument.into_string().expect("text")).collect();
    match role.to_str() {
        Some("watcher") => watcher(),
        Some("escapee") => escapee(),
        Some("pool") => pool(&rest),
        _ => panic!("no such actor: {role:?}"),
    }
}

/// A worker that does nothing but watch its lifeline.
fn watcher() -> ExitCode {
    assert!(lifeline::watch(), "a worker of a pool has a lifeline");
    sleep_for_ever()
}

/// A worker whose real work is done by a process in another group, which no signal reaches.
fn escapee() -> ExitCode {
    let mut child = Command::new(env::current_exe().expect("a path")).args([ACT, "watcher"]).process_group(0).spawn();
    child.as_mut().expect("a child").wait().expect("its end");
    sleep_for_ever()
}

/// A program that runs a pool, and says on standard output who was started and why it gave up: NAME, SIZE, PROGRAM, ARGUMENTS.
fn pool(arguments: &[String]) -> ExitCode {
    let [name, size, program, rest @ ..] = arguments else {
        panic!("NAME SIZE PROGRAM [ARGUMENT...]");
    };
    let mut pool = Pool::start(house::settings(name, size.parse().expect("a number"), program, rest)).expect("a pool");
    house::wait(async {
        while let Some(event) = pool.event().await {
            match event {
                PoolEvent::Started { instance, pid, .. } => println!("{instance} {pid}"),
                PoolEvent::GaveUp { last_lines, .. } => last_lines.iter().for_each(|line| println!("{LAST}{line:?}")),
                _ => {}
            }
        }
    });
    ExitCode::SUCCESS
}

fn sleep_for_ever() -> ExitCode {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// The command that runs a pool in a process of its own, with its standard output and error to be read.
pub(crate) fn pool_command(name: &str, size: u32, program: &str, rest: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ACT, "pool", name, &size.to_string(), program]).args(rest);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}
