//! Recycling: which process has reached its limit and is replaced by a new one.

use callboard_core::text::HumanBytes;

/// The limits at which a process is recycled. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecyclePolicy {
    /// Completed calls.
    pub calls: Option<u64>,
    /// Resident memory in bytes.
    pub rss: Option<u64>,
}

/// The usage of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// The name of the process.
    pub instance: String,
    /// Completed calls.
    pub calls: u64,
    /// Resident memory in bytes; `None` if it is not known.
    pub rss: Option<u64>,
}

impl RecyclePolicy {
    /// Returns whether a limit is set.
    pub fn is_enabled(&self) -> bool {
        self.calls.is_some() || self.rss.is_some()
    }

    /// Returns the name of the process to replace next, and the reason. Of the processes beyond a limit it is the one with the most
    /// calls. The pool replaces one process at a time, so that its capacity stays nearly constant.
    pub fn next<'a>(&self, processes: &'a [ProcessUsage]) -> Option<(&'a str, String)> {
        let due = processes.iter().filter_map(|usage| Some((usage, self.reason(usage)?)));
        due.max_by_key(|(usage, _)| usage.calls).map(|(usage, reason)| (usage.instance.as_str(), reason))
    }

    fn reason(&self, usage: &ProcessUsage) -> Option<String> {
        if self.calls.is_some_and(|max| usage.calls >= max) {
            return Some(format!("it has completed {} calls", usage.calls));
        }
        let rss = usage.rss.filter(|rss| self.rss.is_some_and(|max| *rss >= max))?;
        Some(format!("it uses {} of memory", HumanBytes(rss)))
    }
}

/// Returns the resident memory of a process on this machine, in bytes; `None` if the system does not report it.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(instance: &str, calls: u64, rss: Option<u64>) -> ProcessUsage {
        ProcessUsage { instance: instance.into(), calls, rss }
    }

    #[test]
    fn of_the_processes_beyond_a_limit_the_one_with_the_most_calls_is_next() {
        let limits = RecyclePolicy { calls: Some(100), rss: Some(64 << 20) };
        let young = usage("young", 99, Some((64 << 20) - 1));
        assert_eq!(limits.next(std::slice::from_ref(&young)), None);
        let processes = [young.clone(), usage("old", 100, None), usage("older", 120, None)];
        assert_eq!(limits.next(&processes), Some(("older", "it has completed 120 calls".into())));
        let processes = [young, usage("large", 3, Some(80 << 20))];
        assert_eq!(limits.next(&processes), Some(("large", "it uses 80MiB of memory".into())));
    }

    #[test]
    fn without_limits_no_process_is_recycled() {
        assert_eq!(RecyclePolicy::default().next(&[usage("a", u64::MAX, Some(u64::MAX))]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_reports_resident_memory() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
