//! The CPU time and memory of a process, from /proc.

use std::fs;

use anyhow::Context as _;

/// The bytes of a mebibyte.
const MIB: f64 = 1024.0 * 1024.0;

/// CPU time and memory of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU seconds, user and system together.
    pub(crate) cpu_s: f64,
    /// Resident memory in mebibytes.
    pub(crate) rss_mib: f64,
}

impl Usage {
    /// Returns the resident memory in bytes.
    pub(crate) fn rss_bytes(&self) -> u64 {
        (self.rss_mib * MIB) as u64
    }

    /// Reads the usage of a process.
    ///
    /// # Errors
    /// If there is no such process, or no /proc.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("cannot read the CPU time of a process")?;
        // The name, in parentheses, may have any characters. The columns follow it.
        let columns: Vec<_> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let column = |at: usize| columns.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let ticks_per_s = rustix::param::clock_ticks_per_second() as f64;
        let page_mib = rustix::param::page_size() as f64 / MIB;
        // Columns 14, 15 and 24 of proc(5), of which the name is the second.
        Ok(Usage { cpu_s: (column(11) + column(12)) / ticks_per_s, rss_mib: column(21) * page_mib })
    }
}

/// Returns the processes that a process has started, and those that these have started. None if it has ended.
pub(crate) fn descendants(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|pids| pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    children.into_iter().flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_memory() {
        assert!(Usage::of(std::process::id()).unwrap().rss_mib > 0.5);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
