//! Child processes: the command itself with other arguments. They end with this process, however it ends.

use std::{
    ffi::OsStr,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use anyhow::Context as _;
use callboard::core::wire::limits::HANDSHAKE_TIMEOUT;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
};

use crate::{
    command::output::exit::Exit,
    settings::{AUTHKEY_VARIABLE, CONFIG_VARIABLE, CURVE_SECRET_VARIABLE, variables},
};

/// The path of the running program under Linux, also after its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The log level of the processes of demo and bench: warnings and errors.
pub(crate) const QUIET: &[(&str, &str)] = &[("CALLBOARD_LOG", "warn")];

/// Returns the shim that binds a child's lifetime to ours: see `callboard_workers::pool`.
pub(crate) fn shim() -> (PathBuf, Vec<std::ffi::OsString>) {
    (OWN_PROGRAM.into(), ["internal", "run-worker"].map(Into::into).into())
}

/// A running child process. It is killed when dropped.
pub(crate) struct Child {
    process: Process,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: Option<ChildStdin>,
}

impl Child {
    /// Starts `callboard ARGUMENTS...`, with its lifetime bound to ours.
    ///
    /// # Errors
    /// If the system cannot start a process.
    pub(crate) fn start<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Child> {
        let mut command = bound_to_us();
        make_private(&mut command);
        Child::spawn(command.args(arguments).envs(variables.iter().copied()))
    }

    /// Starts `callboard ARGUMENTS...` with an input for [`Child::resume`]. It must end by itself.
    ///
    /// # Errors
    /// If the system cannot start a process.
    pub(crate) fn start_with_input<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Child> {
        let mut command = Command::new(own_program());
        make_private(&mut command);
        Child::spawn(command.args(arguments).envs(variables.iter().copied()))
    }

    /// Starts `callboard ARGUMENTS...` with its lifetime bound to ours and with our environment, without the `removed` variables.
    ///
    /// It runs in its own process group, so that a terminal's Ctrl-C reaches only this process, which then sends the
    /// child a signal. With both signals, the child would count two and not wait for running calls.
    ///
    /// # Errors
    /// If the system cannot start a process.
    pub(crate) fn start_inheriting<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        removed: &[&str],
    ) -> anyhow::Result<Child> {
        let mut command = bound_to_us();
        for variable in removed {
            command.env_remove(variable);
        }
        Child::spawn(command.args(arguments).process_group(0))
    }

    fn spawn(command: &mut Command) -> anyhow::Result<Child> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("cannot start a process")?;
        let stdout = process.stdout.take().context("the process has no standard output")?;
        let stdin = process.stdin.take();
        Ok(Child { process, lines: BufReader::new(stdout).lines(), stdin })
    }

    /// Returns its process id, until it has been waited for.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Returns the next line that it prints.
    ///
    /// # Errors
    /// If it ended without one. Its own error is on stderr already.
    pub(crate) async fn line(&mut self, what: &str) -> anyhow::Result<String> {
        match self.lines.next_line().await? {
            Some(line) => Ok(line),
            None => Err(Exit::GaveUp.because(anyhow::anyhow!("the {what} ended before it was ready"))),
        }
    }

    /// Writes a line to the child's standard input, for which it waits.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) async fn resume(&mut self) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("the process has no standard input")?;
        Ok(stdin.write_all(b"go\n").await?)
    }

    /// Waits for the next line that it prints, or after the last line for its exit status.
    ///
    /// # Cancel safety
    /// Cancel safe: no line is lost.
    pub(crate) async fn line_or_end(&mut self) -> io::Result<Result<String, ExitStatus>> {
        match self.lines.next_line().await? {
            Some(line) => Ok(Ok(line)),
            None => self.process.wait().await.map(Err),
        }
    }

    /// Sends it a signal, if it has not ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        // A process that has already ended needs no signal.
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    /// Asks it to end, waits for that, and kills it if it takes too long.
    pub(crate) async fn end(mut self) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(HANDSHAKE_TIMEOUT, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

/// Returns the command itself, started through the shim.
fn bound_to_us() -> Command {
    let (shim, leading) = shim();
    let mut command = Command::new(shim);
    command.args(leading).arg(std::process::id().to_string()).arg(own_program());
    command
}

/// Returns the path of the running program, so that `ps` shows its name. After an update of its file, it is [`OWN_PROGRAM`].
fn own_program() -> PathBuf {
    let named = std::env::current_exe().ok().filter(|program| program.exists());
    named.unwrap_or_else(|| OWN_PROGRAM.into())
}

/// Removes all settings from the environment: those of a user's own brokers and pools must not affect demo and bench.
fn make_private(command: &mut Command) {
    for variable in variables().chain([AUTHKEY_VARIABLE, CONFIG_VARIABLE, CURVE_SECRET_VARIABLE]) {
        command.env_remove(variable);
    }
}

/// Parses a broker's ready line: the addresses of its frontend and its backend. A path in them may have spaces.
pub(crate) fn addresses(line: &str) -> anyhow::Result<(&str, &str)> {
    let both = line.strip_prefix("ready frontend=").and_then(|both| both.split_once(" backend="));
    both.with_context(|| format!("ready line {line:?} has no addresses"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_ready_line_may_have_spaces() {
        let line = "ready frontend=ipc:///tmp/my files/front backend=ipc:///tmp/my files/back";
        assert_eq!(addresses(line).unwrap(), ("ipc:///tmp/my files/front", "ipc:///tmp/my files/back"));
        assert!(addresses("ready 4 workers").is_err());
    }
}
