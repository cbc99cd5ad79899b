//! One process of a pool: spawned through the shim, signalled by its group, reaped last.

use std::{
    ffi::OsString,
    fmt,
    io::{self, PipeWriter},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::{
    environment,
    exit::Exit,
    lines::LastLines,
    output::{Output, Printer},
    shim,
};

/// A text that is not shown.
#[derive(Clone)]
pub(super) struct Secret(pub(super) Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What every process of a pool is started from.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// The pool's name.
    pub(super) pool: String,
    /// Where the workers find the broker.
    pub(super) backend: String,
    /// The line of the key by which they prove themselves. In the environment, which others cannot read; never an argument.
    pub(super) authkey: Option<Secret>,
    /// The program that runs [`shim::run_worker`], and the arguments that make it do so.
    pub(super) shim: (PathBuf, Vec<OsString>),
    /// The worker's program, found.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<OsString>,
}

/// A process that has not been reaped: while this value lives, its process id and its group's id are its own. Dropping it kills
/// what is left of the group, and reaps.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: Pid,
    instance: String,
    /// Never written to; see [`super::lifeline`].
    _lifeline: PipeWriter,
    output: Option<Output>,
    /// How it has ended, once it has.
    pub(super) exit: Option<Exit>,
}

impl Process {
    /// Starts a worker. Call it on the one thread that lives as long as the pool: when this thread ends, the worker is killed.
    ///
    /// # Errors
    /// If the system does not start the shim. (If the shim does not start the worker, that is an exit with a line that says why.)
    pub(super) fn spawn(recipe: &Recipe, instance: &str, printer: &Printer) -> io::Result<Process> {
        // Both ends close on exec; the shim gets the reading end as its standard input.
        let (lifeline, writer) = io::pipe()?;
        let (shim, leading) = &recipe.shim;
        let mut command = Command::new(shim);
        if let Some(Secret(line)) = &recipe.authkey {
            command.env(environment::AUTHKEY, line.as_str());
            for variable in environment::AUTHKEY_FILES {
                command.env_remove(variable);
            }
        }
        let child = command
            .args(leading)
            .args(shim::arguments(&recipe.program, &recipe.arguments))
            .env(environment::BACKEND, &recipe.backend)
            .env(environment::POOL, &recipe.pool)
            .env(environment::POOL_PID, process::id().to_string())
            .env(environment::INSTANCE, instance)
            .env_remove(environment::LIFELINE)
            .stdin(lifeline)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group is there before this returns: a signal to it can never be too early.
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        let instance = instance.to_owned();
        let mut spawned = Process { child, pid, instance, _lifeline: writer, output: None, exit: None };
        spawned.output = spawned.follow(printer)?;
        Ok(spawned)
    }

    fn follow(&mut self, printer: &Printer) -> io::Result<Option<Output>> {
        match (self.child.stdout.take(), self.child.stderr.take()) {
            (Some(stdout), Some(stderr)) => printer.follow(&self.instance, stdout.into(), stderr.into()).map(Some),
            _ => Ok(None),
        }
    }

    /// The process id, which is the group's as well.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// The worker's name.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Looks whether the process has ended; returns how, the first time that it sees it. Does not reap it.
    pub(super) fn ended(&mut self) -> Option<Exit> {
        if self.exit.is_some() {
            return None;
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.exit = match waitid(WaitId::Pid(self.pid), look) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(status), _) => Exit::Status(status),
                (None, signal) => Exit::Signal(signal.unwrap_or_default()),
            }),
            // Only if something else in this program has reaped our child.
            Err(error) => Some(Exit::Unknown(error.to_string())),
        };
        self.exit.clone()
    }

    /// Signals the process and everything that it started and that stayed in its group.
    pub(super) fn signal(&self, signal: Signal) {
        // Fails only if nobody is left, and then there is nothing to do.
        let _ = kill_process_group(self.pid, signal);
    }

    /// Reaps the process, as dropping it does. Returns the last lines that it printed, which are complete a bounded time later.
    pub(super) fn reap(mut self) -> Option<JoinHandle<LastLines>> {
        self.output.take().map(Output::end)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In this order: once it is reaped, another process may get its number.
        self.signal(Signal::KILL);
        if let Err(error) = self.child.wait() {
            tracing::warn!(instance = self.instance, %error, "a worker's process could not be reaped");
        }
    }
}
