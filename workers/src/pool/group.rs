//! Process groups: a worker and what it started.

use std::{collections::BTreeSet, fs, io};

use rustix::process::Pid;

/// The process groups that have a member which lives, other than its leader.
///
/// Members that an ended leader leaves behind are no children of the pool: there is no signal and no wait for them, only this
/// look at all processes. It costs some milliseconds, so it is made only when a process has ended.
///
/// # Errors
/// If the system does not tell: it has no `/proc`.
pub(super) fn with_followers() -> io::Result<BTreeSet<i32>> {
    let processes = fs::read_dir("/proc")?.filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter_map(group_of_follower).collect())
}

/// The group of this process, if it lives and does not lead it.
fn group_of_follower(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, group) = state_and_group(&stat)?;
    (group != pid && !matches!(state, "Z" | "X")).then_some(group)
}

/// Third and fifth field of `pid (name) state parent group ...`. The name may hold anything, blanks and parentheses included,
/// so the fields are counted from its end.
fn state_and_group(stat: &str) -> Option<(&str, i32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    Some((state, fields.nth(1)?.parse().ok()?))
}

/// Whether `followers` (from [`with_followers`]) has somebody of the group that `leader` leads.
pub(super) fn has_followers(followers: &BTreeSet<i32>, leader: Pid) -> bool {
    followers.contains(&leader.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_be_called_anything() {
        let stat = "77 (a) R 1 (b) S 12 34 34 0 -1 4194560";
        assert_eq!(state_and_group(stat), Some(("S", 34)));
        assert_eq!(state_and_group("77 (a"), None);
        assert_eq!(state_and_group("77 (a) S 12"), None);
    }

    #[test]
    fn a_process_knows_that_it_lives() {
        use rustix::process::{getpgrp, getpid};
        let group = group_of_follower(getpid().as_raw_nonzero().get());
        let expected = (getpgrp() != getpid()).then(|| getpgrp().as_raw_nonzero().get());
        assert_eq!(group, expected);
    }
}
