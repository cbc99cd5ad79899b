//! `callboard bench`: the documented figures of each kind of load, and no remaining processes.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use super::demo::descendants;
use crate::harness::{Broker, Finished, Process, callboard, is_alive, until};

/// Runs a short measurement without errors, and returns its JSON.
fn measured(words: &[&str]) -> Value {
    let shown = Finished::callboard(&[&["bench", "--json", "--seconds", "1", "--warm-up", "50ms"], words].concat());
    assert_eq!(shown.code, 0, "{words:?}: {shown:?}");
    let figures: Value = serde_json::from_str(shown.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(figures["errors"], 0, "{words:?}: {figures}");
    figures
}

/// Returns the names of the measured processes.
fn processes(figures: &Value) -> Vec<&str> {
    figures["rss_mib_by_process"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn bench_prints_the_documented_figures() {
    let figures = measured(&["--clients", "2", "--workers", "2"]);
    for figure in ["calls_per_s", "p50_us", "p90_us", "p99_us", "p99_9_us", "max_us", "cpu_s_per_100k", "rss_mib"] {
        assert!(figures[figure].as_f64().unwrap() > 0.0, "{figure} in {figures}");
    }
    for figure in ["cpu_s_per_100k_by_process", "rss_mib_by_process"] {
        let processes = figures[figure].as_object().unwrap();
        assert_eq!(processes.len(), 5, "{figure} in {figures}");
        assert!(processes.values().all(|figure| figure.as_f64().is_some()), "{figure} in {figures}");
    }
}

#[test]
fn ctrl_c_ends_a_bench_and_all_its_processes() {
    let mut command = callboard();
    command.args(["bench", "--seconds", "600"]);
    let mut bench = Process::start(command);
    let started = until("broker, worker and client have started", || {
        Some(descendants(bench.pid())).filter(|started| started.len() == 3)
    });
    bench.signal(Signal::INT);
    assert_eq!(bench.exit_code(), 130);
    until("all its processes have ended", || (!started.iter().copied().any(is_alive)).then_some(()));
}

#[test]
fn each_style_is_measured() {
    let streams = ["server-stream", "client-stream", "bidirectional"];
    for style in ["await", "callback", "cast", "broadcast"].iter().chain(&streams) {
        let figures = measured(&["--style", style, "--workers", "2", "--window", "4", "--items", "50"]);
        let per_call = if streams.contains(style) { 50 } else { 1 };
        let calls = figures["calls"].as_u64().unwrap();
        assert!(calls > 0, "{style}: {figures}");
        assert_eq!(figures["operations"], calls * per_call, "{style}: {figures}");
        assert_eq!(figures["parameters"]["style"], **style, "{figures}");
    }
}

#[test]
fn a_filled_queue_is_drained_by_workers_that_start_later() {
    let figures = measured(&["--fill", "5001", "--clients", "3", "--threads", "--workers", "2"]);
    assert_eq!(figures["calls"], 5001, "{figures}");
    assert_eq!(processes(&figures), ["broker", "clients", "workers"]);
}

#[test]
fn workers_of_pools_are_measured_over_encrypted_sockets() {
    let figures = measured(&["--pools", "2", "--workers", "2", "--transport", "ipc", "--curve", "--keys", "3"]);
    let workers = ["pool0", "pool0.worker0", "pool0.worker1", "pool1", "pool1.worker0", "pool1.worker1"];
    assert_eq!(processes(&figures), [&["broker", "client0"][..], &workers[..]].concat());
}

#[test]
fn an_open_loop_makes_the_calls_of_its_rate() {
    let figures = measured(&["--rate", "200", "--clients", "2", "--work", "sleep:5ms"]);
    let calls = figures["calls"].as_u64().unwrap();
    assert!((190..=201).contains(&calls), "{figures}");
    assert!(figures["p50_us"].as_u64().unwrap() >= 5_000, "{figures}");
}

#[test]
fn a_running_broker_and_a_method_of_its_workers_are_measured() {
    let broker = Broker::start();
    let figures = measured(&["--frontend", &broker.frontend, "--backend", &broker.backend]);
    assert_eq!(processes(&figures), ["client0", "worker0"]);
    let figures = measured(&["--frontend", &broker.frontend, "--method", "callboard.status", "--window", "2"]);
    assert_eq!(processes(&figures), ["client0"]);
    let wrong = ["bench", "--seconds", "1", "--frontend", &broker.frontend, "--method", "callboard.nothing"];
    let shown = Finished::callboard(&wrong);
    assert_eq!(shown.code, 1, "{shown:?}");
    assert!(shown.stderr.contains("UNIMPLEMENTED"), "{shown:?}");
}

#[test]
fn a_measurement_is_compared_with_an_earlier_one_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let before = measured(&["--window", "8"]);
    fs::write(path("before.json"), before.to_string()).unwrap();
    let after = ["--window", "4", "--repeat", "2", "--baseline", &path("before.json"), "--plot", &path("plot.svg")];
    let after = measured(&after);
    assert_eq!(after["baseline"]["different_parameters"], serde_json::json!(["window"]), "{after}");
    assert!(after["baseline"]["changes_percent"]["calls_per_s"].is_number(), "{after}");
    assert_eq!(after["rounds"].as_array().unwrap().len(), 2, "{after}");
    assert_eq!(fs::read_to_string(path("plot.svg")).unwrap().matches("<polyline").count(), 2);
}

#[test]
fn csv_has_a_line_for_each_measurement() {
    let shown = Finished::callboard(&["bench", "--csv", "--seconds", "1", "--repeat", "2"]);
    let first: Vec<_> = shown.stdout.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(first, ["round", "1", "2", "median"], "{shown:?}");
}

#[test]
fn invalid_flags_of_a_bench_say_what_to_write() {
    for (words, hint) in [
        (&["--clients", "1001"][..], "write a whole number from 1 to 1000"),
        (&["--work", "nap:1s"], "such as spin:100us or sleep:10ms"),
        (&["--fill", "9", "--rate", "9"], "remove --rate"),
        (&["--method", "a.b"], "add --frontend or --config"),
        (&["--frontend", "tcp://127.0.0.1:1", "--method", "a"], "--method a"),
        (&["--baseline", "/nowhere.json"], "cannot read the baseline /nowhere.json"),
        (&["--baseline", "/dev/null"], "callboard bench --json > /dev/null"),
    ] {
        let shown = Finished::callboard(&[&["bench"], words].concat());
        assert_eq!(shown.code, 2, "{words:?}: {shown:?}");
        assert!(shown.stderr.contains(hint), "{words:?}: {shown:?}");
    }
}

#[test]
fn a_bench_without_a_broker_ends_with_an_error() {
    let shown = Finished::callboard(&["bench", "--frontend", "tcp://nowhere:x", "--method", "a.b"]);
    assert_eq!(shown.code, 2, "{shown:?}");
}
