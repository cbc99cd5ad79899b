//! The guard: one small process beside the pool, which outlives it briefly and kills the remaining process groups.
//!
//! A pool that is killed with SIGKILL cannot clean up. The kernel then kills the worker processes, and the lifeline ends every
//! process that watches it. But a worker can start an ordinary program, which neither of the two reaches. The pool sends the guard
//! the id of every process group through a pipe that only the pool can write to. The end-of-file of that pipe is the end of the pool.
//! The guard is the shim program, started with another first argument.

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

/// The first argument of the shim that makes it the guard.
const GUARD: &str = "guard";

/// The pool's handle to its guard. Dropping it closes the pipe, and waits until the guard has killed the remaining groups and exited.
/// It must be dropped before the leaders of the groups are reaped, because the system can reuse the id of a reaped process.
#[derive(Debug)]
pub(in crate::pool) struct Guard {
    child: Child,
    /// The pipe to the guard; `None` after a failed write.
    groups: Option<PipeWriter>,
}

impl Guard {
    /// Starts a guard.
    ///
    /// # Errors
    /// If the system cannot start the shim.
    pub(in crate::pool) fn start(shim: &Path, leading: &[OsString]) -> io::Result<Guard> {
        let (reader, groups) = io::pipe()?;
        // A suspended guard must not block the pool, so a full pipe is an error.
        fcntl_setfl(&groups, OFlags::NONBLOCK)?;
        let mut guard = Command::new(shim);
        guard.args(leading).arg(GUARD).stdin(reader).stdout(Stdio::null()).stderr(Stdio::null());
        // In a group of its own, so that Ctrl-C at the terminal reaches only the pool.
        let child = guard.process_group(0).spawn()?;
        Ok(Guard { child, groups: Some(groups) })
    }

    /// Adds a process group that the guard kills when the pool ends.
    pub(in crate::pool) fn watch(&mut self, group: Pid) {
        self.send('+', group);
    }

    /// Removes a process group. Call it before the group's leader is reaped.
    pub(in crate::pool) fn release(&mut self, group: Pid) {
        self.send('-', group);
    }

    /// Sends one line. A line this short is written completely or not at all.
    fn send(&mut self, sign: char, group: Pid) {
        let line = format!("{sign}{}\n", group.as_raw_nonzero());
        if let Some(groups) = &mut self.groups
            && let Err(error) = groups.write_all(line.as_bytes())
        {
            tracing::warn!(target: crate::log::POOL, %error, "the pool's guard is gone: if the pool is killed, programs that its workers started may keep running");
            // The guard must not act on an incomplete list of groups.
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

/// Returns whether the first argument of the shim makes it the guard.
pub(super) fn is_guard_argument(first: &OsStr) -> bool {
    first == GUARD
}

/// Runs the guard process. Does not return.
pub(super) fn run() -> ! {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        apply(&mut groups, &line);
    }
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        // Fails if the group has no member left, which is fine.
        let _ = kill_process_group(group, Signal::KILL);
    }
    process::exit(0)
}

/// Applies one line, `+GROUP` or `-GROUP`, to the list of groups.
fn apply(groups: &mut BTreeSet<i32>, line: &str) {
    match (line.get(..1), line.get(1..).and_then(|group| group.parse().ok())) {
        // Group 0 would be the guard's own group, and signalling group 1 would reach every process.
        (Some("+"), Some(group)) if group > 1 => drop(groups.insert(group)),
        (Some("-"), Some(group)) => drop(groups.remove(&group)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_keeps_the_groups_that_the_pool_has_not_removed() {
        let mut groups = BTreeSet::new();
        for line in ["+12", "+34", "-12", "+1", "+0", "+-1", "+", "", "x", "-99", "+99999999999"] {
            apply(&mut groups, line);
        }
        assert_eq!(groups, BTreeSet::from([34]));
    }
}
