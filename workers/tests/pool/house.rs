//! What the tests share: a pool of their own, a look at all its processes, and patience.

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

use crate::actors::RUN_WORKER;

/// How long a test waits for what must come: far longer than it takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A drain time that no test lives to see the end of.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(3600);

/// Runs a future on a runtime of its own.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A name that no other test, and no other run of the tests, uses at this time.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("pool_test_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Settings of a pool whose shim is this program.
pub(crate) fn settings(name: &str, size: u32, program: &str, rest: &[String]) -> PoolSettings {
    let shim = ("/proc/self/exe".into(), vec![RUN_WORKER.into()]);
    let rest = rest.iter().map(Into::into).collect();
    let settings = PoolSettings::new(program, rest, "tcp://127.0.0.1:5560", shim);
    PoolSettings { name: name.into(), size, drain: FOR_EVER, ..settings }
}

/// Kills one process.
pub(crate) fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).expect("it lives");
}

/// The processes that belong to a pool, or to one worker if `instance` names it: they carry that in their environment. Zombies
/// do not count.
pub(crate) fn living(pool: &str, instance: Option<&str>) -> Vec<u32> {
    let marks = [Some(format!("CALLBOARD_POOL={pool}")), instance.map(|name| format!("CALLBOARD_INSTANCE={name}"))];
    let belongs = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        marks.iter().flatten().all(|mark| environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
    };
    let processes = fs::read_dir("/proc").expect("a list of processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(belongs).collect()
}

/// A pool, and a folder for its workers' signs.
pub(crate) struct House {
    pub(crate) name: String,
    pub(crate) pool: Pool,
    pub(crate) folder: PathBuf,
}

impl House {
    /// A pool of processes that run this script with `sh`; `$1` is the folder.
    pub(crate) fn of_script(size: u32, script: &str) -> House {
        House::of_settings(size, "sh", |folder| ["-c", script, "sh", folder].map(String::from).to_vec())
    }

    /// A pool of processes of this program.
    pub(crate) fn of_settings(size: u32, program: &str, rest: impl FnOnce(&str) -> Vec<String>) -> House {
        let name = unique_name();
        let folder = env::temp_dir().join(&name);
        fs::create_dir(&folder).expect("a folder");
        let rest = rest(folder.to_str().expect("text"));
        let pool = Pool::start(settings(&name, size, program, &rest)).expect("a pool");
        House { name, pool, folder }
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> PoolEvent {
        let event = wait(async { tokio::time::timeout(PATIENCE, self.pool.event()).await });
        event.expect("an event in time").expect("an event")
    }

    /// The next process that is started: its name and id. Other events are passed over.
    pub(crate) fn started(&mut self) -> (String, u32) {
        loop {
            if let PoolEvent::Started { instance, pid, .. } = self.event() {
                return (instance, pid);
            }
        }
    }

    /// Every event up to the last, which is not among them.
    pub(crate) fn finish(&mut self) -> Vec<PoolEvent> {
        let mut events = Vec::new();
        loop {
            match self.event() {
                PoolEvent::Finished => return events,
                event => events.push(event),
            }
        }
    }

    /// Asks the pool to end within this time.
    pub(crate) fn shutdown(&self, within: Duration) {
        wait(self.pool.control().shutdown(within));
    }

    /// Whether a worker has left this sign in the folder.
    pub(crate) fn has(&self, sign: &str) -> bool {
        self.folder.join(sign).exists()
    }

    /// Waits for it.
    pub(crate) fn until_has(&self, sign: &str) {
        until(sign, || self.has(sign));
    }

    /// Waits until no process of the pool lives.
    pub(crate) fn until_nobody_lives(&self) {
        until("nobody of the pool lives", || living(&self.name, None).is_empty());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
