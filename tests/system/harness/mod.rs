//! Processes for tests: started on free ports, killed on drop, and their output is printed when a test fails.

mod broker;
mod finished;
mod keys;
mod lines;
mod load;
mod pool;
mod process;
mod pseudo_terminal;
mod relay;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use callboard::polled;

pub(crate) use self::{
    broker::{Broker, any_port, unused_address},
    finished::Finished,
    keys::Keys,
    load::Load,
    pool::Pool,
    process::{Process, is_alive, signal},
    pseudo_terminal::PseudoTerminal,
    relay::Relay,
};

/// How long a test waits for an event that must happen: long enough for a machine under load.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// The polling interval of [`until`].
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Returns the `callboard` command, without `CALLBOARD_` variables.
pub(crate) fn callboard() -> Command {
    without_variables(Command::new(env!("CARGO_BIN_EXE_callboard")))
}

/// Returns an example program, without `CALLBOARD_` variables.
pub(crate) fn example(name: &str) -> Command {
    without_variables(Command::new(example_path(name)))
}

/// Returns the path of an example. Cargo puts examples beside the command.
pub(crate) fn example_path(name: &str) -> PathBuf {
    let command = Path::new(env!("CARGO_BIN_EXE_callboard"));
    let path = command.with_file_name("examples").join(name);
    assert!(path.exists(), "{} is missing: run cargo build --examples", path.display());
    path
}

/// Runs five `kvs-client` processes at the same time. Each counts 1,000 views.
pub(crate) fn run_five_counting_clients(broker: &Broker) {
    let client = || {
        let mut client = example("kvs-client");
        client.args([&broker.frontend, "1000"]);
        Process::start(client)
    };
    let mut clients: Vec<_> = (0..5).map(|_| client()).collect();
    for client in &mut clients {
        assert_eq!(client.exit_code(), 0);
    }
}

/// Returns the command without `CALLBOARD_` variables.
pub(crate) fn without_variables(mut command: Command) -> Command {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CALLBOARD_")) {
        command.env_remove(name);
    }
    command
}

/// Writes a file that only its owner can read, as key files must be.
pub(crate) fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Polls until `look` returns a value. Panics after [`DEADLINE`].
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "timeout: waited until {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Polls `client` until `done` returns true, as a program's loop does. Panics after [`DEADLINE`].
pub(crate) fn poll_until(client: &polled::Client, done: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < end, "timeout with {} pending callbacks", client.pending());
        client.process(Duration::from_secs(1));
    }
}

/// Polls until `done` returns true. Panics after [`DEADLINE`].
pub(crate) async fn until_async(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < DEADLINE, "timeout: waited until {what}");
    }
}
