//! The values of metrics after known calls.

use super::endpoint;
use crate::harness::{signal, until};
use rustix::process::Signal;

#[test]
fn calls_are_counted_by_service_method_and_code() {
    let (broker, endpoint) = endpoint::broker();
    let _worker = broker.worker("calculator-worker", "calculator");
    for _ in 0..3 {
        broker.call(&["calculator.add", "2", "3"]).printed();
    }
    broker.call(&["calculator.div", "1", "0"]).failed(1);
    broker.call(&["calculator.power", "1"]).failed(1);
    broker.call(&["bogus.method"]).failed(1);
    let samples = until("all calls are counted", || {
        let samples = endpoint.scrape();
        (samples.get("call_duration_seconds_count{service=\"(unknown)\",method=\"(unknown)\"}") == Some(2.0))
            .then_some(samples)
    });
    let add = "service=\"calculator\",method=\"add\"";
    assert_eq!(samples.value(&format!("calls_completed_total{{{add},code=\"OK\"}}")), 3.0);
    for histogram in ["call_queue_seconds", "call_run_seconds", "call_duration_seconds"] {
        assert_eq!(samples.value(&format!("{histogram}_count{{{add}}}")), 3.0, "{histogram}");
        assert_eq!(samples.value(&format!("{histogram}_bucket{{le=\"+Inf\",{add}}}")), 3.0, "{histogram}");
    }
    let run_time = samples.value(&format!("call_run_seconds_sum{{{add}}}"));
    assert!(run_time > 0.0 && run_time <= samples.value(&format!("call_duration_seconds_sum{{{add}}}")));
    let div = samples.names_with("calls_completed_total{service=\"calculator\",method=\"div\"");
    assert!(div.len() == 1 && !div[0].contains("OK"), "{div:?}");
    assert_eq!(samples.value("service_workers{service=\"calculator\"}"), 1.0);
    assert_eq!(samples.value("workers"), 1.0);
    assert_eq!(samples.value("dispatches_total"), 4.0);
    assert!(samples.value("received_bytes_total") > 0.0 && samples.value("sent_bytes_total") > 0.0);
    assert!(samples.value("broker_resident_memory_bytes") > 1e6);
    assert_eq!(samples.value("component_up{component=\"broker\",pool=\"\"}"), 1.0);
}

#[test]
fn a_worker_that_has_left_leaves_no_series() {
    let (broker, endpoint) = endpoint::broker();
    let mut worker = broker.worker("calculator-worker", "calculator");
    broker.call(&["calculator.add", "2", "3"]).printed();
    let of_service = || endpoint.scrape().names_with("calculator").len();
    until("the call is counted", || (of_service() > 60).then_some(()));
    worker.kill();
    until("the worker is gone", || (endpoint.scrape().value("workers") == 0.0).then_some(()));
    until("the series of its service are gone", || (of_service() == 0).then_some(()));
    assert_eq!(endpoint.scrape().value("calls_received_total"), endpoint.scrape().value("calls_received_total"));
}

#[test]
fn a_pool_reports_its_processes_and_their_restarts() {
    let (broker, _) = endpoint::broker();
    let (pool, endpoint) = endpoint::pool(&broker, 2);
    let samples = endpoint.scrape();
    assert_eq!(samples.value("pool_size{pool=\"jobs\"}"), 2.0);
    assert_eq!(samples.value("pool_processes{pool=\"jobs\",state=\"registered\"}"), 2.0);
    assert_eq!(samples.value("pool_process_starts_total{pool=\"jobs\"}"), 2.0);
    assert_eq!(samples.names_with("pool_process_resident_memory_bytes").len(), 2);
    let killed = pool.pids(&broker)[0];
    signal(killed, Signal::KILL);
    let samples = until("the worker is restarted", || {
        let samples = endpoint.scrape();
        let registered = samples.value("pool_processes{pool=\"jobs\",state=\"registered\"}") == 2.0;
        (registered && samples.value("pool_process_starts_total{pool=\"jobs\"}") == 3.0).then_some(samples)
    });
    assert_eq!(samples.value("pool_process_restarts_total{pool=\"jobs\"}"), 1.0);
    assert_eq!(samples.names_with("pool_process_resident_memory_bytes").len(), 2, "a process that ended has no series");
    assert!(samples.get("workers").is_none(), "the endpoint of a pool has no metrics of the broker");
}

#[test]
fn the_text_is_openmetrics_and_on_request_the_older_format() {
    let (_broker, endpoint) = endpoint::broker();
    let openmetrics = endpoint.get("/metrics");
    assert!(
        openmetrics.head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        openmetrics.head
    );
    assert!(openmetrics.body.ends_with("# EOF\n"));
    let older = endpoint.request("GET", "/metrics", "Accept: text/plain\r\n");
    assert!(older.head.contains("content-type: text/plain; version=0.0.4"), "{}", older.head);
    assert!(older.body.contains("# TYPE callboard_dispatches_total counter\n") && !older.body.contains("# EOF"));
    let head = endpoint.request("HEAD", "/metrics", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
