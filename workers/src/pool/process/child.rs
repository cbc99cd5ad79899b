//! One worker process: spawned through the shim, signalled by its process group, and reaped last.

use std::{
    ffi::OsString,
    fmt,
    io::{self, PipeWriter},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
};

use callboard_transport::CurveKeys;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::{environment, exit::Exit, shim};
use crate::pool::output::{LastLines, Output, Printer};

/// A text that `Debug` does not print.
#[derive(Clone)]
pub(in crate::pool) struct Secret(pub(in crate::pool) Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The specification from which the pool starts every process.
#[derive(Clone, Debug)]
pub(in crate::pool) struct ProcessSpec {
    /// The pool's name.
    pub(in crate::pool) pool: String,
    /// The URL of the broker's backend.
    pub(in crate::pool) backend: String,
    /// The key with which the workers authenticate. It is passed in the environment, which other users cannot read, and never as
    /// an argument.
    pub(in crate::pool) authkey: Option<Secret>,
    /// The keys with which the workers encrypt their connections.
    pub(in crate::pool) curve: Option<CurveKeys>,
    /// The program that runs [`shim::run_worker`], and its leading arguments.
    pub(in crate::pool) shim: (PathBuf, Vec<OsString>),
    /// The resolved path of the worker's program.
    pub(in crate::pool) program: PathBuf,
    /// The arguments of the worker's program.
    pub(in crate::pool) arguments: Vec<OsString>,
}

/// Passes CURVE keys in the environment, as the authkey.
fn set_curve_keys(command: &mut Command, keys: &CurveKeys) {
    for variable in environment::CURVE_FILES {
        command.env_remove(variable);
    }
    command.env(environment::SERVER_KEY, keys.server_key().to_string());
    match keys.secret_key() {
        Some(secret) => command.env(environment::CURVE_SECRET, secret.to_z85().as_str()),
        None => command.env_remove(environment::CURVE_SECRET),
    };
}

/// A worker process that has not been reaped. While this value lives, the system cannot reuse its process id and group id. Dropping
/// it kills the rest of the group and reaps the process.
#[derive(Debug)]
pub(in crate::pool) struct Process {
    child: Child,
    pid: Pid,
    instance: String,
    /// Never written to; see [`super::lifeline`].
    _lifeline: PipeWriter,
    output: Option<Output>,
    /// How the process exited, once the pool has noticed.
    exit: Option<Exit>,
}

impl Process {
    /// Starts a worker. Call it on the thread that lives as long as the pool: when that thread ends, the kernel kills the worker.
    ///
    /// # Errors
    /// If the system cannot start the shim. If the shim cannot execute the worker, the process exits, and its output has the reason.
    pub(in crate::pool) fn spawn(spec: &ProcessSpec, instance: &str, printer: &Printer) -> io::Result<Process> {
        // Both ends are close-on-exec. The shim gets the reading end as its standard input.
        let (lifeline, writer) = io::pipe()?;
        let (shim, leading) = &spec.shim;
        let mut command = Command::new(shim);
        if let Some(Secret(line)) = &spec.authkey {
            command.env(environment::AUTHKEY, line.as_str());
            for variable in environment::AUTHKEY_FILES {
                command.env_remove(variable);
            }
        }
        if let Some(keys) = &spec.curve {
            set_curve_keys(&mut command, keys);
        }
        let child = command
            .args(leading)
            .args(shim::arguments(&spec.program, &spec.arguments))
            .env(environment::BACKEND, &spec.backend)
            .env(environment::POOL, &spec.pool)
            .env(environment::POOL_PID, process::id().to_string())
            .env(environment::INSTANCE, instance)
            .env_remove(environment::LIFELINE)
            .stdin(lifeline)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The group exists before `spawn` returns, so a signal to it cannot come too early.
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

    /// Returns the process id, which is also the id of its group.
    pub(in crate::pool) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns the worker's name.
    pub(in crate::pool) fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns how the process exited, the first time after its exit. Does not reap it.
    pub(in crate::pool) fn poll_exit(&mut self) -> Option<Exit> {
        if self.exit.is_some() {
            return None;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.exit = match waitid(WaitId::Pid(self.pid), options) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(status), _) => Exit::Status(status),
                (None, signal) => Exit::Signal(signal.unwrap_or_default()),
            }),
            // Only if other code in this program has reaped our child.
            Err(error) => Some(Exit::Unknown(error.to_string())),
        };
        self.exit.clone()
    }

    /// Returns whether the process has exited, as far as the pool has noticed.
    pub(in crate::pool) fn has_exited(&self) -> bool {
        self.exit.is_some()
    }

    /// Signals the process and all processes of its group.
    pub(in crate::pool) fn signal(&self, signal: Signal) {
        // Fails only if the group has no member left, and then there is nothing to do.
        let _ = kill_process_group(self.pid, signal);
    }

    /// Reaps the process, as dropping it does. Returns a task that yields the last lines that the process printed, within a bounded
    /// time.
    pub(in crate::pool) fn reap(mut self) -> Option<JoinHandle<LastLines>> {
        self.output.take().map(Output::finish)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In this order: once the process is reaped, the system can give its id to another one.
        self.signal(Signal::KILL);
        if let Err(error) = self.child.wait() {
            tracing::warn!(target: crate::log::POOL, instance = self.instance, %error, "cannot reap a worker process");
        }
    }
}
