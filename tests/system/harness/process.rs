//! A process that a test has started.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

use super::{lines::Lines, until};

/// A process in its own process group. Dropping it kills the group, and prints the process's output if the test has failed.
pub(crate) struct Process {
    what: String,
    child: Child,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    status: Option<ExitStatus>,
}

impl Process {
    pub(crate) fn start(command: Command) -> Process {
        Process::spawn(command, Stdio::null())
    }

    /// Starts a process with a pipe as its standard input.
    pub(crate) fn start_with_input(command: Command) -> (Process, ChildStdin) {
        let mut process = Process::spawn(command, Stdio::piped());
        let input = process.child.stdin.take().unwrap();
        (process, input)
    }

    /// Starts a process with these as its standard output and standard error.
    #[allow(dead_code, reason = "the chaos test reads all output")]
    pub(crate) fn start_into(mut command: Command, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Process {
        command.stdout(stdout).stderr(stderr);
        Process::spawn_as(command, Stdio::null())
    }

    fn spawn(mut command: Command, stdin: Stdio) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Process::spawn_as(command, stdin)
    }

    fn spawn_as(mut command: Command, stdin: Stdio) -> Process {
        let what = format!("{command:?}");
        command.stdin(stdin).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let stdout = child.stdout.take().map_or_else(|| Lines::of(io::empty()), Lines::of);
        let stderr = child.stderr.take().map_or_else(|| Lines::of(io::empty()), Lines::of);
        Process { what, child, stdout, stderr, status: None }
    }

    /// Returns the next line of standard output. Panics if the output has ended.
    pub(crate) fn line(&self) -> String {
        self.stdout
            .next()
            .unwrap_or_else(|| panic!("the output of {} has ended; on stderr:\n{}", self.what, self.stderr.all()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Kills this process with SIGKILL and waits for its end. Processes that it has started keep running.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.end();
    }

    /// Waits for the end of the process.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = until(&format!("the end of {}", self.what), || child.try_wait().unwrap());
        *self.status.insert(status)
    }

    /// Returns whether the process has ended.
    #[allow(dead_code, reason = "only the chaos test needs it")]
    pub(crate) fn has_ended(&mut self) -> bool {
        self.status = self.status.or(self.child.try_wait().unwrap());
        self.status.is_some()
    }

    /// Waits for the end of the process. Returns its exit code, or 128 plus the signal's number as shells do.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let status = self.end();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After the wait, its id may belong to another process.
        if self.status.is_none() {
            let _ = kill_process_group(pid(self.child.id()), Signal::KILL);
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!("--- output of {}:\n{}\n{}\n---", self.what, self.stdout.so_far(), self.stderr.so_far());
        }
    }
}

/// Sends a signal to a process. Panics if it does not exist.
pub(crate) fn signal(process: u32, which: Signal) {
    kill_process(pid(process), which).unwrap_or_else(|error| panic!("process {process}: {error}"));
}

/// Returns whether a process with this id exists.
pub(crate) fn is_alive(process: u32) -> bool {
    test_kill_process(pid(process)).is_ok()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}
