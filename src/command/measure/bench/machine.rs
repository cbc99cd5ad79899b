//! The processors of this machine, from /proc.

use std::fs;

use anyhow::Context as _;

/// Returns the CPU seconds that all programs have used since the machine started, with the time that a hypervisor took.
///
/// Interrupts are not included: those of the measured connections would appear as the time of other programs.
///
/// # Errors
/// If the system has no /proc.
pub(crate) fn busy_s() -> anyhow::Result<f64> {
    let stat = stat()?;
    let total = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let columns: Vec<f64> = total.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    // Columns of proc(5): user, nice, system, and steal as the eighth.
    let ticks: f64 = [0, 1, 2, 7].into_iter().filter_map(|at| columns.get(at)).sum();
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// Returns the number of processors, also of those that this process may not use.
///
/// # Errors
/// As [`busy_s`].
pub(crate) fn processors() -> anyhow::Result<usize> {
    let is_one =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    Ok(stat()?.lines().filter(is_one).count())
}

fn stat() -> anyhow::Result<String> {
    fs::read_to_string("/proc/stat").context("cannot read the CPU time of the machine")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_processor_that_was_busy() {
        assert!(processors().unwrap() >= 1);
        assert!(busy_s().unwrap() > 0.0);
    }
}
