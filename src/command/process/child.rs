//! Processes of our own: the command again, with other arguments, that dies with us however we end.

use std::{
    ffi::OsStr,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use anyhow::Context as _;
use callboard::core::wire::limits::HANDSHAKE_MAX;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
};

use crate::{
    command::output::exit::Exit,
    settings::{AUTHKEY_VARIABLE, CONFIG_VARIABLE, variables},
};

/// Under Linux this names the program that runs, even after its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The processes of demo and bench speak only of what is wrong.
pub(crate) const QUIET: &[(&str, &str)] = &[("CALLBOARD_LOG", "warn")];

/// How a process of ours is made to bind its life to ours: see `callboard_workers::pool`.
pub(crate) fn shim() -> (PathBuf, Vec<std::ffi::OsString>) {
    (OWN_PROGRAM.into(), ["internal", "run-worker"].map(Into::into).into())
}

/// A process of ours that runs. Killed when dropped.
pub(crate) struct Child {
    process: Process,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: Option<ChildStdin>,
}

impl Child {
    /// Starts `callboard ARGUMENTS...`, with its life bound to ours.
    ///
    /// # Errors
    /// The system has no process for it.
    pub(crate) fn start<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Child> {
        let mut command = bound_to_us();
        make_private(&mut command);
        Child::spawn(command.args(arguments).envs(variables.iter().copied()))
    }

    /// Starts `callboard ARGUMENTS...` with an input by which it is told to [go on](Child::go_on). It must end by itself.
    ///
    /// # Errors
    /// The system has no process for it.
    pub(crate) fn start_with_input<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> anyhow::Result<Child> {
        let mut command = Command::new(own_program());
        make_private(&mut command);
        Child::spawn(command.args(arguments))
    }

    /// Starts `callboard ARGUMENTS...` with its life bound to ours and with our environment, but for what is `kept` from it.
    ///
    /// In a process group of its own: a terminal's Ctrl-C is for us, who ask it to end in its turn. To have both it would count as
    /// asked twice, and not wait for the calls that run.
    ///
    /// # Errors
    /// The system has no process for it.
    pub(crate) fn start_inheriting<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        kept: &[&str],
    ) -> anyhow::Result<Child> {
        let mut command = bound_to_us();
        for variable in kept {
            command.env_remove(variable);
        }
        Child::spawn(command.args(arguments).process_group(0))
    }

    fn spawn(command: &mut Command) -> anyhow::Result<Child> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("cannot start a process")?;
        let stdout = process.stdout.take().context("a process without its output")?;
        let stdin = process.stdin.take();
        Ok(Child { process, lines: BufReader::new(stdout).lines(), stdin })
    }

    /// Its process id, while it has not been waited for.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// The next line that it prints.
    ///
    /// # Errors
    /// It ended without one; what it complained of is on stderr already.
    pub(crate) async fn line(&mut self, what: &str) -> anyhow::Result<String> {
        match self.lines.next_line().await? {
            Some(line) => Ok(line),
            None => Err(Exit::GaveUp.because(anyhow::anyhow!("the {what} ended before it was ready"))),
        }
    }

    /// Tells it to go on: a line on its standard input.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) async fn go_on(&mut self) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("a process without an input")?;
        Ok(stdin.write_all(b"go\n").await?)
    }

    /// Waits for the next line that it prints; `None`: for how it ended, once it prints no more.
    ///
    /// # Cancel safety
    /// Cancel safe: no line is lost.
    pub(crate) async fn line_or_end(&mut self) -> io::Result<Result<String, ExitStatus>> {
        match self.lines.next_line().await? {
            Some(line) => Ok(Ok(line)),
            None => self.process.wait().await.map(Err),
        }
    }

    /// Signals it, if it has not ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        // One that has ended already needs no asking.
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    /// Asks it to end, waits for that, and kills it if it takes too long.
    pub(crate) async fn end(mut self) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(HANDSHAKE_MAX, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

/// The command again, by way of the shim.
fn bound_to_us() -> Command {
    let (shim, leading) = shim();
    let mut command = Command::new(shim);
    command.args(leading).arg(std::process::id().to_string()).arg(own_program());
    command
}

/// Under its own name, so that `ps` shows that, as long as the name leads to it: not after an update of its file.
fn own_program() -> PathBuf {
    let named = std::env::current_exe().ok().filter(|program| program.exists());
    named.unwrap_or_else(|| OWN_PROGRAM.into())
}

/// Demo and bench are private to this machine: no setting that somebody has made for brokers and pools of their own is theirs.
fn make_private(command: &mut Command) {
    for variable in variables().chain([AUTHKEY_VARIABLE, CONFIG_VARIABLE]) {
        command.env_remove(variable);
    }
}

/// The addresses in a broker's ready line: its frontend's and its backend's. A path in them may have blanks.
pub(crate) fn addresses(line: &str) -> anyhow::Result<(&str, &str)> {
    let both = line.strip_prefix("ready frontend=").and_then(|both| both.split_once(" backend="));
    both.with_context(|| format!("a ready line without its addresses: {line:?}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_lines_addresses_may_have_blanks() {
        let line = "ready frontend=ipc:///tmp/my files/front backend=ipc:///tmp/my files/back";
        assert_eq!(addresses(line).unwrap(), ("ipc:///tmp/my files/front", "ipc:///tmp/my files/back"));
        assert!(addresses("ready 4 workers").is_err());
    }
}
