//! The worker processes of a run. `/proc` lists them by the journal that they write to, including workers that lost their pool.

use std::{fs, path::Path};

/// The variable that names the journal.
pub(crate) const JOURNAL: &str = "JOBS_JOURNAL";

/// A worker process.
#[derive(Clone, Debug)]
pub(crate) struct WorkerProcess {
    pub(crate) pid: u32,
    /// The name of its replica, which is the same after each restart.
    pub(crate) replica: String,
}

/// Returns all live worker processes that write to this journal. The list is empty on a system without `/proc`: there the kill loop
/// kills clients instead, and orphans are not detected.
pub(crate) fn workers_of(journal: &Path) -> Vec<WorkerProcess> {
    let marker = format!("{JOURNAL}={}", journal.display());
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| worker(pid, &marker)).collect()
}

/// Returns the process if it is a worker with this marker. A process that has ended and was not reaped has no environment.
fn worker(pid: u32, marker: &str) -> Option<WorkerProcess> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0).filter_map(|variable| str::from_utf8(variable).ok());
    if !variables.clone().any(|variable| variable == marker) {
        return None;
    }
    let instance = variables.find_map(|variable| variable.strip_prefix("CALLBOARD_INSTANCE="))?;
    let replica = instance.split('.').next().unwrap_or(instance).to_owned();
    Some(WorkerProcess { pid, replica })
}
