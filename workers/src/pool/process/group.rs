//! Process groups: a worker and the processes that it started.

use std::{collections::BTreeSet, fs, io};

use rustix::process::Pid;

/// Returns the process groups that have a living member other than their leader (a *follower*).
///
/// Followers that outlive their leader are not children of the pool. The system reports their exit neither by SIGCHLD nor by `wait`,
/// so this function scans all processes. The scan takes some milliseconds; the pool makes it only after a process has exited.
///
/// # Errors
/// If the system has no `/proc`.
pub(in crate::pool) fn groups_with_followers() -> io::Result<BTreeSet<i32>> {
    let processes = fs::read_dir("/proc")?.filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter_map(group_of_follower).collect())
}

/// Returns the group of this process, if the process lives and does not lead the group.
fn group_of_follower(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, group) = state_and_group(&stat)?;
    (group != pid && !matches!(state, "Z" | "X")).then_some(group)
}

/// Returns the third and the fifth field of `pid (name) state parent group ...`. The name can contain any character, spaces and
/// parentheses included, so the fields are counted from its end.
fn state_and_group(stat: &str) -> Option<(&str, i32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    Some((state, fields.nth(1)?.parse().ok()?))
}

/// Returns whether `followers` (from [`groups_with_followers`]) contains the group of `leader`.
pub(in crate::pool) fn has_followers(followers: &BTreeSet<i32>, leader: Pid) -> bool {
    followers.contains(&leader.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_can_contain_spaces_and_parentheses() {
        let stat = "77 (a) R 1 (b) S 12 34 34 0 -1 4194560";
        assert_eq!(state_and_group(stat), Some(("S", 34)));
        assert_eq!(state_and_group("77 (a"), None);
        assert_eq!(state_and_group("77 (a) S 12"), None);
    }

    #[test]
    fn the_own_process_is_found_as_a_follower_of_its_group() {
        use rustix::process::{getpgrp, getpid};
        let group = group_of_follower(getpid().as_raw_nonzero().get());
        let expected = (getpgrp() != getpid()).then(|| getpgrp().as_raw_nonzero().get());
        assert_eq!(group, expected);
    }
}
