//! `callboard status` shows the current state of workers, pools and calls.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Broker, Pool, Process, is_alive, signal, until};

fn status(broker: &Broker) -> Value {
    serde_json::from_str(&broker.command(&["status", "--json"]).printed()).unwrap()
}

/// Returns the process ids of the pool's workers that are registered at the broker, sorted.
fn workers(status: &Value) -> Vec<u32> {
    let workers = status["broker"]["workers"].as_array().unwrap();
    let of_pool = workers.iter().filter(|worker| worker["pool"] == "jobs");
    let mut pids: Vec<_> = of_pool.map(|worker| u32::try_from(worker["pid"].as_u64().unwrap()).unwrap()).collect();
    pids.sort_unstable();
    pids
}

fn sorted(mut pids: Vec<u32>) -> Vec<u32> {
    pids.sort_unstable();
    pids
}

#[test]
fn status_shows_running_calls_with_their_worker_and_client() {
    let broker = Broker::start();
    let pool = Pool::start(&broker, 2);
    let mut call = Process::start(broker.command_line(&["call", "jobs.pause", "600000"]));
    broker.wait_for_running_call();
    let report = status(&broker);
    assert_eq!(workers(&report), sorted(pool.pids(&broker)));
    let list = report["broker"]["workers"].as_array().unwrap();
    let busy: Vec<_> = list.iter().filter(|worker| worker["running"] == 1).collect();
    let [busy] = busy[..] else { panic!("{report}") };
    assert_eq!((&busy["calls"][0]["method"], &busy["slots"]), (&Value::from("jobs.pause"), &Value::from(64)));
    let service = report["broker"]["services"].as_array().unwrap().iter().find(|service| service["name"] == "jobs");
    let service = service.unwrap();
    assert_eq!((&service["workers"], &service["running"]), (&Value::from(2), &Value::from(1)));
    assert_eq!((&report["broker"]["open"], &report["pools"][0]["size"]), (&Value::from(1), &Value::from(2)));
    let table = broker.command(&["status"]).printed();
    for words in ["jobs.pause", "steady", "registered", "1 calls open"] {
        assert!(table.contains(words), "{words} is not in\n{table}");
    }
    call.signal(Signal::INT);
    assert_eq!(call.exit_code(), 130);
    until("no call runs", || (status(&broker)["broker"]["open"] == 0).then_some(()));
}

#[test]
fn status_is_correct_when_workers_are_killed_scaled_and_drained() {
    let broker = Broker::start();
    let mut pool = Pool::start(&broker, 3);
    let before = pool.pids(&broker);
    signal(before[0], Signal::KILL);
    let report = until("the status shows the loss and the new worker", || {
        let report = status(&broker);
        (report["pools"][0]["workers"][0]["restarts"] == 1 && workers(&report).len() == 3).then_some(report)
    });
    assert_eq!(report["pools"][0]["workers"][0]["last_exit"], "signal 9 (SIGKILL)");
    assert!(!workers(&report).contains(&before[0]) && report["broker"]["counters"]["workers_lost"] == 1, "{report}");
    broker.command(&["scale", "jobs", "5"]).printed();
    assert_eq!(workers(&status(&broker)), sorted(pool.pids(&broker)));
    broker.command(&["scale", "jobs", "1"]).printed();
    let left = workers(&status(&broker));
    assert_eq!(left, pool.pids(&broker));
    assert!(is_alive(left[0]));
    let mut call = Process::start(broker.command_line(&["call", "jobs.pause", "2000"]));
    broker.wait_for_running_call();
    pool.process.signal(Signal::TERM);
    let drains = |report: &Value| {
        report["broker"]["workers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|worker| worker["draining"] == true && worker["running"] == 1 && worker["pool"] == "jobs")
    };
    until("the status shows the drain", || drains(&status(&broker)).then_some(()));
    assert_eq!((call.exit_code(), pool.process.exit_code()), (0, 0));
    let report = status(&broker);
    assert_eq!((workers(&report), report["pools"].as_array().map(Vec::len)), (Vec::new(), Some(0)));
}

#[test]
fn a_crash_loop_can_be_watched() {
    let broker = Broker::start();
    let mut command = Pool::command(&broker.backend, "broken", 1);
    command.args(["sh", "-c", "exit 7"]);
    let _pool = Process::start(command);
    until("the status shows the backoff", || {
        let report = status(&broker);
        let replica = &report["pools"][0]["workers"][0];
        (replica["state"] == "backoff" && replica["last_exit"] == "exit status 7").then_some(())
    });
}

#[test]
fn status_can_be_watched_through_a_restart_of_the_broker() {
    let mut broker = Broker::start();
    let mut watching = Process::start(broker.command_line(&["status", "--watch", "--timeout", "1s"]));
    watching.stdout.wait_for("SERVICE");
    broker.process.kill();
    watching.stderr.wait_for("error");
    let broker = Broker::start_at(&broker.frontend, &broker.backend);
    let _pool = Pool::start(&broker, 1);
    watching.stdout.wait_for("jobs-1");
    watching.signal(Signal::INT);
    assert_eq!(watching.exit_code(), 130);
}

#[test]
fn watch_reports_that_the_broker_does_not_answer() {
    let mut broker = Broker::start();
    let watching = Process::start(broker.command_line(&["status", "--watch"]));
    watching.stdout.wait_for("SERVICE");
    broker.process.kill();
    watching.stderr.wait_for("no answer from the broker for ");
    let broker = Broker::start_at(&broker.frontend, &broker.backend);
    let _pool = Pool::start(&broker, 1);
    watching.stdout.wait_for("jobs-1");
}
