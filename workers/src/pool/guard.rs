//! The guard: one small process beside a pool, which outlives the pool by an instant and kills what is left of its groups.
//!
//! A pool that is killed cannot clean up. The kernel then kills the workers themselves, and their lifelines end whoever watches
//! one; but a worker may have started an ordinary program, which is told by neither. The guard is told every process group, and
//! reads from a pipe that only the pool can write to: its end-of-file is the pool's end. It is the shim, started with another
//! first argument.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io::{self, BufRead, PipeWriter, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{self, Child, Command, Stdio},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Signal, kill_process_group},
};

/// The shim's first argument that makes it the guard.
const GUARD: &str = "guard";

/// The pool's hold on its guard. Dropping it is the pool's end, as the guard sees it, and returns when the guard has done its
/// work: so it is dropped before the groups' leaders are reaped, as long as their numbers are their own.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    /// `None` once the guard could not be told something.
    groups: Option<PipeWriter>,
}

impl Guard {
    /// Starts a guard.
    ///
    /// # Errors
    /// If the system does not start the shim.
    pub(super) fn start(shim: &Path, leading: &[OsString]) -> io::Result<Guard> {
        let (reader, groups) = io::pipe()?;
        // A guard that was stopped must not stop the pool: what does not fit into the pipe is an error.
        fcntl_setfl(&groups, OFlags::NONBLOCK)?;
        let mut guard = Command::new(shim);
        guard.args(leading).arg(GUARD).stdin(reader).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own, so that a Ctrl-C at the terminal is the pool's alone.
        let child = guard.process_group(0).spawn()?;
        Ok(Guard { child, groups: Some(groups) })
    }

    /// This group is the pool's.
    pub(super) fn watch(&mut self, group: Pid) {
        self.tell('+', group);
    }

    /// It is no more: to be told before its leader is reaped.
    pub(super) fn release(&mut self, group: Pid) {
        self.tell('-', group);
    }

    /// So short a line is written whole or not at all.
    fn tell(&mut self, sign: char, group: Pid) {
        let line = format!("{sign}{}\n", group.as_raw_nonzero());
        if let Some(groups) = &mut self.groups
            && let Err(error) = groups.write_all(line.as_bytes())
        {
            tracing::warn!(%error, "the pool's guard is gone: if the pool is killed, programs that its workers started may stay");
            // It must not act on half of the truth.
            let _ = self.child.kill();
            self.groups = None;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.groups = None;
        let _ = self.child.wait();
    }
}

/// Whether the shim's first argument makes it the guard.
pub(super) fn is_meant(first: &OsStr) -> bool {
    first == GUARD
}

/// What the guard does. Returns never.
pub(super) fn run() -> ! {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        note(&mut groups, &line);
    }
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        // Fails if nobody is left, which is well.
        let _ = kill_process_group(group, Signal::KILL);
    }
    process::exit(0)
}

fn note(groups: &mut BTreeSet<i32>, line: &str) {
    match (line.get(..1), line.get(1..).and_then(|group| group.parse().ok())) {
        // Group 0 would be the guard's own, and 1 means everybody.
        (Some("+"), Some(group)) if group > 1 => drop(groups.insert(group)),
        (Some("-"), Some(group)) => drop(groups.remove(&group)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_remembers_the_groups_that_are_still_the_pool_s() {
        let mut groups = BTreeSet::new();
        for line in ["+12", "+34", "-12", "+1", "+0", "+-1", "+", "", "x", "-99", "+99999999999"] {
            note(&mut groups, line);
        }
        assert_eq!(groups, BTreeSet::from([34]));
    }
}
