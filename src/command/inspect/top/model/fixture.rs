//! A broker with services, workers, a pool, calls and dead letters, for the tests of the screen.

use std::time::{Duration, Instant};

use callboard::core::broker::{Counters, DeadLetter, LimitsStatus, ServiceStatus, Status, WaitReason};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{keys::Effect, snapshot::Snapshot, state::State};
use crate::command::{control::report::PoolReport, inspect::status::snapshot::StatusSnapshot};

fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn service(name: &str, workers: usize, waiting: usize, rate: f64) -> Value {
    json!({
        "name": name, "workers": workers, "slots": workers * 8, "running": workers * 2, "waiting": waiting,
        "oldest_wait_ms": 1_250, "rates": { "arrived": rate, "answered": rate, "failed": rate / 100.0 }, "methods": [],
    })
}

fn worker(name: &str, running: usize, answered: u64) -> Value {
    let call = json!({ "call": "cab78bdd-1", "method": "jobs.pause", "for_ms": 40, "wanted": true });
    json!({
        "name": name, "pool": name.split_once('-').map(|(pool, _)| pool), "pid": 4_711, "host": "db1", "running": running,
        "draining": false, "services": ["jobs"], "slots": 8, "answered": answered, "failed": 0,
        "calls": if running > 0 { vec![call] } else { vec![] },
    })
}

fn status(answered: u64) -> Status {
    let counters = Counters { answered, buried: 2, workers_lost: 1, ..Counters::default() };
    let long_name = "a_service_with_a_name_that_does_not_fit_into_a_column_of_the_screen";
    from(json!({
        "broker": "356bb670-f92f-4223-9c68-894ed64e9c45", "start": "a", "clients": 3, "open": 9, "uptime_ms": 947_000,
        "workers": [worker("jobs-2", 1, answered / 2), worker("jobs-10", 0, answered / 4), worker("solo", 0, 0)],
        "services": [
            service("jobs", 2, 0, 63.0), service("callboard.pool.jobs", 1, 0, 0.0), service(long_name, 1, 7, 1.5),
            service("mail", 0, 3, 0.0),
        ],
        "counters": counters,
    }))
}

fn pools() -> Vec<PoolReport> {
    let replica = |seat: u32, instance: &str, state: &str| {
        json!({
            "seat": seat, "instance": instance, "state": state, "pid": 4_711, "restarts": seat, "generation": 1,
            "last_exit": null, "starts_in_ms": null,
        })
    };
    let workers = [("jobs-2", "registered"), ("jobs-10", "registered"), ("jobs-11", "starting")];
    let workers: Vec<_> = (0..).zip(workers).map(|(seat, (name, state))| replica(seat, name, state)).collect();
    from(json!([{
        "name": "jobs", "pid": 1, "size": 3, "min": 1, "max": 8, "autoscale": true, "generation": 2, "exchange": null,
        "exchanged": null, "verdict": null, "workers": workers,
    }]))
}

/// Returns the open calls of the broker.
pub(crate) fn calls() -> Vec<WaitReason> {
    let call = |number: u32, state: &str, since_ms: u64| {
        json!({
            "call": format!("cab78bdd-{number}"), "method": "jobs.pause", "client": "web", "state": state,
            "reason": "all 16 slots of the service are busy, and 4 calls are before this one in the queue",
            "since_ms": since_ms, "left_ms": 28_000, "worker": if state == "running" { "jobs-2" } else { "" },
        })
    };
    from(json!([call(1, "running", 90_000), call(2, "waiting", 1_250), call(3, "stopping", 4_000)]))
}

fn dead_letters() -> Vec<DeadLetter> {
    let letter = |id: u64| {
        json!({
            "id": id, "call": format!("cab78bdd-{id}"), "method": "mail.send", "effect": "once", "lost": 1,
            "worker": "mail-1", "reason": "the worker was lost, and the method must not run twice", "age_ms": 3_723_000,
            "bytes": 2_048,
        })
    };
    from(json!([letter(3), letter(12)]))
}

fn methods() -> Vec<ServiceStatus> {
    let method = |name: &str, arguments: &[&str], concurrency: Option<u32>| json!({ "name": name, "arguments": arguments, "effect": "read", "running": 2, "concurrency": concurrency });
    let mut jobs = service("jobs", 2, 0, 63.0);
    jobs["methods"] = json!([method("echo", &["value"], None), method("pause", &["milliseconds"], Some(4))]);
    let mut mail = service("mail", 1, 0, 0.0);
    mail["methods"] = json!([method("send", &["to", "subject", "text"], None)]);
    from(json!([jobs, mail]))
}

fn limits() -> LimitsStatus {
    let limit = |target: &str, paused: bool, rate: Option<f64>| json!({ "target": target, "paused": paused, "concurrency": null, "rate": rate, "burst": null });
    let limits = [limit("mail", true, None), limit("jobs.echo", false, Some(10.0))];
    from(json!({ "limits": limits, "paused_workers": ["jobs-10"] }))
}

/// Returns a snapshot of a broker that has answered so many calls.
pub(crate) fn snapshot(taken: Instant, answered: u64) -> Snapshot {
    Snapshot {
        taken,
        status: StatusSnapshot { broker: status(answered), pools: pools(), silent_pools: vec!["mail".to_owned()] },
        limits: limits(),
        methods: Some(Ok(methods())),
        calls: Some(Ok(calls())),
        dead_letters: Some(Ok(dead_letters())),
        detail: None,
    }
}

/// Returns a state after five polls, a second apart, and the time of the last one.
pub(crate) fn state() -> (State, Instant) {
    let start = Instant::now();
    let mut state = State::new("tcp://127.0.0.1:5559", start);
    let mut answered = 0;
    for (second, more) in (0..).zip([0, 10, 40, 20, 80]) {
        answered += more;
        state.on_snapshot(snapshot(start + Duration::from_secs(second), answered));
    }
    (state, start + Duration::from_secs(4))
}

/// Presses keys, and returns the effect of the last one.
pub(crate) fn press(state: &mut State, keys: &str) -> Option<Effect> {
    let mut effect = None;
    for letter in keys.chars() {
        let code = match letter {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            letter => KeyCode::Char(letter),
        };
        effect = state.on_key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    effect
}
