//! A command that has run to its end.

use std::{io::Write as _, process::Command, thread};

use super::{Process, callboard};

/// What a command came to.
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

    /// The same of a command that reads `input`.
    pub(crate) fn with_input(command: Command, input: &str) -> Finished {
        let (process, mut stdin) = Process::start_with_input(command);
        let input = input.to_owned();
        // It may end without reading all of it.
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

    /// What it printed; it must have ended well and complained of nothing.
    #[track_caller]
    pub(crate) fn printed(self) -> String {
        assert!(self.code == 0 && self.stderr.is_empty(), "{self:?}");
        self.stdout
    }

    /// What it complained of; it must have ended with `code` and printed nothing.
    #[track_caller]
    pub(crate) fn complained(self, code: i32) -> String {
        assert!(self.code == code && self.stdout.is_empty(), "{self:?}");
        self.stderr
    }

    /// As [`Finished::complained`], of a complaint that must be one line with all these words in it.
    #[track_caller]
    pub(crate) fn complained_of(self, code: i32, words: &[&str]) {
        let complaint = self.complained(code);
        assert!(complaint.starts_with("error: ") && complaint.lines().count() == 1, "{complaint}");
        let missing: Vec<_> = words.iter().filter(|words| !complaint.contains(**words)).collect();
        assert!(missing.is_empty(), "{missing:?} is not in: {complaint}");
    }
}
