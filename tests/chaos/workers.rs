//! The processes of a pool. `/proc` lists them by the journal of their run, including those that lost their pool.

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

/// Returns all live worker processes of the run with this journal.
pub(crate) fn workers_of(journal: &Path) -> Vec<WorkerProcess> {
    processes_of(journal).into_iter().filter_map(|(pid, variables)| worker(pid, &variables)).collect()
}

/// Returns all live processes of the run with this journal, each with its environment: the pool, its workers, and what they started.
/// The list is empty on a system without `/proc`: there the kill loop kills clients instead, and orphans are not detected.
pub(crate) fn processes_of(journal: &Path) -> Vec<(u32, Vec<String>)> {
    let marker = format!("{JOURNAL}={}", journal.display());
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let processes = pids.filter_map(|pid| Some((pid, variables(pid)?)));
    processes.filter(|(_, variables)| variables.contains(&marker)).collect()
}

/// Returns the environment of a process. A process that has ended and was not reaped has none.
fn variables(pid: u32) -> Option<Vec<String>> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    Some(environment.split(|byte| *byte == 0).map(|variable| String::from_utf8_lossy(variable).into_owned()).collect())
}

fn worker(pid: u32, variables: &[String]) -> Option<WorkerProcess> {
    let instance = variables.iter().find_map(|variable| variable.strip_prefix("CALLBOARD_INSTANCE="))?;
    let replica = instance.split('.').next().unwrap_or(instance).to_owned();
    Some(WorkerProcess { pid, replica })
}
