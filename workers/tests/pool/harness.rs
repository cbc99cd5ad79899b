//! Shared test support: a pool under test, and a scan of its processes.

use std::{
    env, fs,
    future::Future,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use callboard_workers::pool::{Pool, PoolEvent, PoolSettings};
use rustix::process::{Pid, Signal, kill_process};

use crate::helpers::RUN_WORKER;

/// How long a test waits for an expected event: far longer than the slowest machine needs.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A drain time that is longer than any test.
pub(crate) const FOREVER: Duration = Duration::from_secs(3600);

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// Waits until a condition is true.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "timed out: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Returns a pool name that no other running test uses.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("pool_test_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns the settings of a pool whose shim is this program.
pub(crate) fn settings(name: &str, size: u32, program: &str, rest: &[String]) -> PoolSettings {
    let shim = ("/proc/self/exe".into(), vec![RUN_WORKER.into()]);
    let rest = rest.iter().map(Into::into).collect();
    let settings = PoolSettings::new(program, rest, "tcp://127.0.0.1:5560", shim);
    PoolSettings { name: name.into(), size, drain: FOREVER, ..settings }
}

/// Kills a process.
pub(crate) fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).expect("the process runs");
}

/// Returns the living processes of a pool, or of one worker if `instance` is given. They are found by their environment variables.
/// Zombies do not count.
pub(crate) fn living_processes(pool: &str, instance: Option<&str>) -> Vec<u32> {
    let variables = [Some(format!("CALLBOARD_POOL={pool}")), instance.map(|name| format!("CALLBOARD_INSTANCE={name}"))];
    let belongs = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables
            .iter()
            .flatten()
            .all(|variable| environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()))
    };
    let processes = fs::read_dir("/proc").expect("a list of processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(belongs).collect()
}

/// A pool under test, and a directory for the marker files of its workers.
pub(crate) struct TestPool {
    pub(crate) name: String,
    pub(crate) pool: Pool,
    pub(crate) directory: PathBuf,
}

impl TestPool {
    /// Starts a pool of processes that run this script with `sh`; `$1` is the directory.
    pub(crate) fn with_script(size: u32, script: &str) -> TestPool {
        TestPool::with_program(size, "sh", |directory| ["-c", script, "sh", directory].map(String::from).to_vec())
    }

    /// Starts a pool of processes of this program.
    pub(crate) fn with_program(size: u32, program: &str, rest: impl FnOnce(&str) -> Vec<String>) -> TestPool {
        let name = unique_name();
        let directory = env::temp_dir().join(&name);
        fs::create_dir(&directory).expect("a directory");
        let rest = rest(directory.to_str().expect("text"));
        let pool = Pool::start(settings(&name, size, program, &rest)).expect("a pool");
        TestPool { name, pool, directory }
    }

    /// Receives the next event.
    pub(crate) fn event(&mut self) -> PoolEvent {
        let event = block_on(async { tokio::time::timeout(TIMEOUT, self.pool.event()).await });
        event.expect("an event in time").expect("an event")
    }

    /// Waits for the next started process and returns its name and id. Skips other events.
    pub(crate) fn started(&mut self) -> (String, u32) {
        loop {
            if let PoolEvent::Started { instance, pid, .. } = self.event() {
                return (instance, pid);
            }
        }
    }

    /// Returns all events before `Finished`.
    pub(crate) fn finish(&mut self) -> Vec<PoolEvent> {
        let mut events = Vec::new();
        loop {
            match self.event() {
                PoolEvent::Finished => return events,
                event => events.push(event),
            }
        }
    }

    /// Shuts the pool down within this time.
    pub(crate) fn shutdown(&self, within: Duration) {
        block_on(self.pool.control().shutdown(within));
    }

    /// Returns whether a worker has created this marker file.
    pub(crate) fn has(&self, marker: &str) -> bool {
        self.directory.join(marker).exists()
    }

    /// Waits for a marker file.
    pub(crate) fn wait_for(&self, marker: &str) {
        wait_until(marker, || self.has(marker));
    }

    /// Waits until no process of the pool lives.
    pub(crate) fn wait_until_empty(&self) {
        wait_until("no process of the pool lives", || living_processes(&self.name, None).is_empty());
    }
}

impl Drop for TestPool {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
