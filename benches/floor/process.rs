//! One process of the floor.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, bail};

/// The ticks in which Linux reports a process's CPU time to programs, independently of the kernel's own timer.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process of the floor, with its output and its CPU time. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this program again.
    pub(crate) fn start(arguments: &[&str]) -> anyhow::Result<Process> {
        let program = std::env::current_exe().context("this program has no path")?;
        let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("the process has no stdout")?;
        Ok(Process { child, lines: BufReader::new(stdout) })
    }

    /// Reads the next line, which must begin with `word`, and returns the words after it.
    pub(crate) fn expect(&mut self, word: &str) -> anyhow::Result<Vec<String>> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next() {
            Some(first) if first == word => Ok(words.collect()),
            _ => bail!("a process of the floor printed `{}` instead of `{word}`", line.trim()),
        }
    }

    /// Returns the CPU seconds since its start, in the program and in the kernel.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .context("cannot read the CPU time from /proc")?;
        // The second field is the program's name, in parentheses, and may hold spaces; utime and stime are fields 14
        // and 15.
        let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(ticks.sum::<Result<u64, _>>()? as f64 / TICKS_PER_SECOND)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
