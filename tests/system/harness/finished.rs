//! A command that has ended.

use std::{io::Write as _, process::Command, thread};

use super::{Process, callboard};

/// The exit code and the output of a command that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Runs a command to its end.
    pub(crate) fn of(command: Command) -> Finished {
        Finished::end(Process::start(command))
    }

    /// Runs a command to its end, with `input` on its standard input.
    pub(crate) fn with_input(command: Command, input: &str) -> Finished {
        let (process, mut stdin) = Process::start_with_input(command);
        let input = input.to_owned();
        // The command may end before it has read everything.
        let writing = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let finished = Finished::end(process);
        writing.join().unwrap();
        finished
    }

    fn end(mut process: Process) -> Finished {
        let code = process.exit_code();
        Finished { code, stdout: process.stdout.all(), stderr: process.stderr.all() }
    }

    /// Runs `callboard WORDS...` to its end.
    pub(crate) fn callboard(words: &[&str]) -> Finished {
        let mut command = callboard();
        command.args(words);
        Finished::of(command)
    }

    /// Returns the standard output. Panics if the command failed or wrote to standard error.
    #[track_caller]
    pub(crate) fn printed(self) -> String {
        assert!(self.code == 0 && self.stderr.is_empty(), "{self:?}");
        self.stdout
    }

    /// Returns the standard error. Panics if the command did not end with `code`, or wrote to standard output.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert!(self.code == code && self.stdout.is_empty(), "{self:?}");
        self.stderr
    }

    /// As [`Finished::failed`]; also panics if standard error is not a single line that contains all these words.
    #[track_caller]
    pub(crate) fn failed_with(self, code: i32, words: &[&str]) {
        let stderr = self.failed(code);
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
        let missing: Vec<_> = words.iter().filter(|words| !stderr.contains(**words)).collect();
        assert!(missing.is_empty(), "{missing:?} is not in: {stderr}");
    }
}
