//! `callboard reload`: replaces a pool's processes by new ones, or rolls back.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use futures::future::join_all;

use crate::harness::{Broker, Load, Pool, Process, example_path, is_alive, until, until_async};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_a_pool_is_reloaded() {
    let load = Load::start(3).await;
    let before = load.pool.pids(&load.broker);
    load.wait_for_outcomes(300);
    assert_eq!(load.broker.command(&["reload", "jobs"]).printed(), "jobs reloaded: 3 new workers");
    let after = load.pool.pids(&load.broker);
    assert_eq!(after.len(), 3);
    assert!(!after.iter().any(|pid| before.contains(pid)), "{before:?} {after:?}");
    assert!(!before.into_iter().any(is_alive), "the old processes have ended");
    assert_eq!(load.pool.status(&load.broker).generation, 2);
    load.wait_for_outcomes(300);
    assert_eq!(load.end().await, 0, "no call failed, not even a `once` call");
}

/// A program in its own file, which a new version can replace.
struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    fn new(script: &str) -> Program {
        let program = Program { folder: tempfile::tempdir().unwrap() };
        program.becomes(script);
        program
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("jobs-worker")
    }

    /// Replaces the program by another version in one step, as an installer does.
    fn becomes(&self, script: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, self.path()).unwrap();
    }
}

fn worker(path: &Path) -> String {
    format!("exec '{}'", path.display())
}

fn pool_of(broker: &Broker, program: &Program, flags: &[&str]) -> Process {
    let mut command = Pool::command_with(&broker.backend, "jobs", 2, flags);
    command.arg(program.path());
    let pool = Process::start(command);
    assert_eq!(pool.line(), "ready 2 workers");
    pool
}

#[test]
fn a_new_version_that_crashes_is_rolled_back() {
    let broker = Broker::start();
    let program = Program::new(&worker(&example_path("pool-worker")));
    let pool = pool_of(&broker, &program, &[]);
    let before = broker.call(&["callboard.pool.jobs.status"]).printed();
    program.becomes("echo cannot read the configuration >&2; exit 9");
    let refused = broker.command(&["reload", "jobs"]);
    assert_eq!(refused.code, 8, "{refused:?}");
    assert!(refused.stderr.contains("rolled back, the old workers stay: the new worker jobs-"), "{refused:?}");
    assert!(refused.stderr.contains("exit status 9"), "{refused:?}");
    pool.stderr.wait_for("rolled back, the old workers stay");
    pool.stderr.wait_for("cannot read the configuration");
    until("the new processes have ended", || {
        let now = broker.call(&["callboard.pool.jobs.status"]).printed();
        (pids_in(&now) == pids_in(&before)).then_some(())
    });
    assert!(broker.call(&["jobs.collatz", "27"]).printed().starts_with("{\"value\":111,"));
    // The next version works.
    program.becomes(&worker(&example_path("pool-worker")));
    assert_eq!(broker.command(&["reload", "jobs"]).printed(), "jobs reloaded: 2 new workers");
}

fn pids_in(status: &str) -> Vec<u64> {
    let status: serde_json::Value = serde_json::from_str(status).unwrap();
    status["workers"].as_array().unwrap().iter().filter_map(|worker| worker["pid"].as_u64()).collect()
}

#[test]
fn a_new_version_that_never_serves_is_rolled_back() {
    let broker = Broker::start();
    let program = Program::new(&worker(&example_path("pool-worker")));
    let _pool = pool_of(&broker, &program, &["--startup-timeout", "1s"]);
    program.becomes("exec sleep 600");
    let refused = broker.command(&["reload", "jobs"]);
    refused.failed_with(8, &["rolled back", "not all new workers were registered within 1s"]);
}

#[tokio::test]
async fn a_new_version_whose_calls_fail_is_rolled_back() {
    let broker = Broker::start();
    let journal = tempfile::NamedTempFile::new().unwrap();
    let serve =
        |journal: &Path| format!("JOBS_JOURNAL='{}' {}", journal.display(), worker(&example_path("pool-worker")));
    let program = Program::new(&serve(journal.path()));
    let pool = pool_of(&broker, &program, &["--canary-period", "10m"]);
    program.becomes(&serve(Path::new("/")));
    let mut reload = Process::start(broker.command_line(&["reload", "jobs", "--timeout", "none"]));
    let client = broker.client().await;
    let mut failed = 0;
    until_async("the reload is rolled back", async || {
        // Enough concurrent calls that every worker has some.
        let calls = (0..40_u64).map(|key| client.call::<serde::de::IgnoredAny>("jobs.note", (key,)).into_future());
        failed += join_all(calls).await.iter().filter(|outcome| outcome.is_err()).count();
        pool.stderr.so_far().contains("rolled back")
    })
    .await;
    assert_eq!(reload.exit_code(), 8);
    let why = reload.stderr.all();
    assert!(failed > 0 && why.contains("calls failed at the new workers"), "{why}");
    until("the new processes have ended", || {
        (pids_in(&broker.call(&["callboard.pool.jobs.status"]).printed()).len() == 2).then_some(())
    });
    broker.call(&["jobs.note", "1"]).printed();
}

#[test]
fn one_worker_is_replaced_by_name() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 2);
    let before = pool.pids(&broker);
    broker.call(&["callboard.pool.jobs.replace", "jobs-1"]).printed();
    let names = until("the replacement is registered", || {
        let replicas = pool.status(&broker).workers;
        let done = replicas.len() == 2 && replicas.iter().all(|replica| replica.state == "registered");
        done.then(|| replicas.into_iter().map(|replica| replica.instance).collect::<Vec<_>>())
    });
    assert_eq!(names, ["jobs-2", "jobs-3"]);
    assert!(!is_alive(before[0]) && is_alive(before[1]));
    broker.call(&["callboard.pool.jobs.replace", "jobs-1"]).failed_with(1, &["NOT_FOUND", "jobs-1"]);
}

#[test]
fn one_change_at_a_time() {
    let broker = Broker::start();
    let program = Program::new(&worker(&example_path("pool-worker")));
    let _pool = pool_of(&broker, &program, &[]);
    program.becomes("exec sleep 600");
    assert_eq!(broker.command(&["reload", "jobs", "--no-wait"]).printed(), "jobs is being reloaded");
    for words in [&["reload", "jobs"][..], &["scale", "jobs", "3"]] {
        broker.command(words).failed_with(1, &["FAILED_PRECONDITION", "replacing"]);
    }
}
