//! `callboard pool`: the processes that it starts, and invalid programs.

use std::ffi::OsStr;

use crate::harness::{Broker, Finished, Pool, Process, callboard, example_path, is_alive, until};

#[test]
fn a_pool_prints_a_ready_line_and_reports_its_status() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 4);
    let status = pool.status(&broker);
    assert_eq!((status.name.as_str(), status.pid), ("jobs", pool.process.pid()));
    let instances: Vec<_> = status.workers.iter().map(|replica| replica.instance.as_str()).collect();
    assert_eq!(instances, ["jobs-1", "jobs-2", "jobs-3", "jobs-4"]);
    assert!(status.workers.iter().all(|replica| replica.state == "registered" && replica.restarts == 0), "{status:?}");
    assert!(status.workers.iter().all(|replica| is_alive(replica.pid.unwrap())));
}

#[test]
fn workers_get_the_broker_the_pool_and_their_name_in_the_environment() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("environment");
    // A program that writes its environment to a file, and keeps running.
    let mut command = Pool::command(&broker.backend, "shells", 1);
    command.args(["sh", "-c", "env > \"$FILE.new\"; mv \"$FILE.new\" \"$FILE\"; exec sleep 600"]).env("FILE", &file);
    let pool = Process::start(command);
    let environment = until("the program has written its environment", || std::fs::read_to_string(&file).ok());
    let variable = |name: &str| {
        let named = environment.lines().filter_map(|line| line.split_once('=')).find(|(found, _)| *found == name);
        named.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    assert_eq!(variable("CALLBOARD_BACKEND"), broker.backend);
    assert_eq!(variable("CALLBOARD_POOL"), "shells");
    assert_eq!(variable("CALLBOARD_POOL_PID"), pool.pid().to_string());
    assert_eq!(variable("CALLBOARD_INSTANCE"), "shells-1");
}

#[test]
fn the_broker_reports_a_pools_workers_by_name_and_pool() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 2);
    let mut pids = pool.pids(&broker);
    let status: serde_json::Value = serde_json::from_str(&broker.call(&["callboard.status"]).printed()).unwrap();
    let workers = status["workers"].as_array().unwrap().iter().filter(|worker| worker["pool"] == "jobs");
    let mut known: Vec<_> = workers.map(|worker| u32::try_from(worker["pid"].as_u64().unwrap()).unwrap()).collect();
    pids.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, pids);
}

#[test]
fn a_pool_is_named_for_its_program() {
    let broker = Broker::start();
    let mut command = callboard();
    command.args(["pool", "--backend", &broker.backend, "-n", "1", "--"]).arg(example_path("pool-worker"));
    let pool = Process::start(command);
    assert_eq!(pool.line(), "ready 1 workers");
    assert!(broker.call(&["callboard.pool.pool_worker.status"]).printed().starts_with("{\"name\":\"pool_worker\""));
}

#[test]
fn a_name_in_use_is_refused() {
    let broker = Broker::start();
    let first = Pool::start(&broker, 1);
    let mut second = Pool::command(&broker.backend, "jobs", 1);
    second.arg(example_path("pool-worker"));
    let refused = Finished::of(second);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.lines().last().unwrap().contains("the name jobs is in use"), "{refused:?}");
    assert_eq!(first.status(&broker).workers.len(), 1);
}

#[test]
fn a_missing_program_is_an_error_before_any_process_starts() {
    let mut command = Pool::command("tcp://127.0.0.1:1", "jobs", 2);
    command.arg("no/such/program");
    Finished::of(command).failed_with(4, &["no/such/program"]);
    let mut command = Pool::command("tcp://127.0.0.1:1", "jobs", 2);
    command.arg("no-such-program-anywhere");
    Finished::of(command).failed_with(4, &["no-such-program-anywhere", "PATH"]);
}

#[test]
fn an_invalid_pool_size_is_a_usage_error() {
    for size in ["0", "many", "100000"] {
        let ended = Finished::callboard(&["pool", "-n", size, "--", "sleep", "600"]);
        ended.failed_with(2, &["-n", size]);
    }
}

#[test]
fn a_program_that_ends_at_once_ends_the_pool_with_its_last_output() {
    let broker = Broker::start();
    let mut command = Pool::command(&broker.backend, "broken", 2);
    command.args(["sh", "-c", "echo out of luck >&2; exit 7"]);
    let ended = Finished::of(command);
    assert_eq!(ended.code, 4, "{ended:?}");
    let verdict = ended.stderr.split("error: ").nth(1).unwrap_or_default();
    assert!(verdict.contains("5 exits") && verdict.contains("exit status 7"), "{ended:?}");
    assert!(verdict.lines().skip(1).any(|line| line.trim() == "out of luck"), "{ended:?}");
}

#[test]
fn workers_started_before_their_broker_keep_trying() {
    // Bound for a moment, so that the addresses are known before the broker starts.
    let addresses = Broker::start();
    let (frontend, backend) = (addresses.frontend.clone(), addresses.backend.clone());
    drop(addresses);
    let mut command = Pool::command(&backend, "jobs", 2);
    command.arg(example_path("pool-worker"));
    let pool = Process::start(command);
    pool.stderr.wait_for("not connected");
    let broker = Broker::start_at(&frontend, &backend);
    assert_eq!(pool.line(), "ready 2 workers");
    assert!(broker.call(&["jobs.collatz", "27"]).printed().starts_with("{\"value\":111,"));
}

#[test]
fn a_worker_writes_where_its_variables_say() {
    let broker = Broker::start();
    let journal = tempfile::NamedTempFile::new().unwrap();
    let pool = Pool::start_with(&broker, 1, &[("JOBS_JOURNAL", journal.path().as_os_str())]);
    broker.call(&["jobs.note", "1"]).printed();
    let line = format!("note 1 {}\n", pool.pids(&broker)[0]);
    assert_eq!(std::fs::read_to_string(journal.path()).unwrap(), line);
    let without = Broker::start();
    let _pool = Pool::start_with(&without, 1, &[("JOBS_JOURNAL", OsStr::new("/"))]);
    without.call(&["jobs.note", "1"]).failed_with(1, &["FAILED_PRECONDITION", "JOBS_JOURNAL"]);
}
