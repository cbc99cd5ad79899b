//! Liveness, readiness, and the number that decides on the size of a service.

use rustix::process::Signal;

use super::endpoint;
use crate::harness::{Process, until};

#[test]
fn a_broker_is_live_and_ready_and_while_it_drains_only_live() {
    let (mut broker, endpoint) = endpoint::broker();
    endpoint.get("/live").assert(200, &["live"]);
    endpoint.get("/ready").assert(200, &["ready"]);
    let (_pool, pool_endpoint) = endpoint::pool(&broker, 1);
    pool_endpoint.get("/ready").assert(200, &["ready"]);
    let mut call = Process::start(broker.command_line(&["call", "jobs.pause", "4000"]));
    broker.wait_for_running_call();
    broker.process.signal(Signal::TERM);
    until("the broker drains", || (endpoint.get("/ready").status == 503).then_some(()));
    endpoint.get("/ready").assert(503, &["not ready: the broker is shutting down"]);
    endpoint.get("/ready/jobs").assert(503, &["shutting down"]);
    endpoint.get("/live").assert(200, &["live"]);
    assert_eq!(endpoint.scrape().value("draining"), 1.0);
    assert_eq!(call.exit_code(), 0);
    assert_eq!(broker.process.exit_code(), 0);
}

#[test]
fn a_pool_that_drains_is_not_ready() {
    let (broker, _) = endpoint::broker();
    let (mut pool, endpoint) = endpoint::pool(&broker, 1);
    let mut call = Process::start(broker.command_line(&["call", "jobs.pause", "3000"]));
    broker.wait_for_running_call();
    pool.process.signal(Signal::TERM);
    until("the pool drains", || (endpoint.get("/ready").status == 503).then_some(()));
    endpoint.get("/ready").assert(503, &["the pool jobs is stopping"]);
    endpoint.get("/live").assert(200, &["live"]);
    assert_eq!((call.exit_code(), pool.process.exit_code()), (0, 0));
}

#[test]
fn a_service_is_ready_while_a_worker_of_it_can_be_given_calls() {
    let (broker, endpoint) = endpoint::broker();
    endpoint.get("/ready/calculator").assert(404, &["unknown service calculator", "no service has workers"]);
    let mut worker = broker.worker("calculator-worker", "calculator");
    until("the worker is known", || (endpoint.get("/ready/calculator").status == 200).then_some(()));
    endpoint.get("/ready/calculator").assert(200, &["1 workers of calculator"]);
    endpoint.get("/ready/bogus").assert(404, &["unknown service bogus", "known services: calculator"]);
    broker.command(&["pause", "calculator"]).printed();
    until("the pause is known", || (endpoint.get("/ready/calculator").status == 503).then_some(()));
    endpoint.get("/ready/calculator").assert(503, &["an operator has paused calculator"]);
    assert!(endpoint.get("/metrics").body.contains("callboard_service_paused{service=\"calculator\"} 1"));
    broker.command(&["resume", "calculator"]).printed();
    until("the service is resumed", || (endpoint.get("/ready/calculator").status == 200).then_some(()));
    worker.kill();
    until("the worker is gone", || (endpoint.get("/ready/calculator").status == 503).then_some(()));
    endpoint.get("/ready/calculator").assert(503, &["no worker of calculator can be given calls"]);
}

#[test]
fn the_number_to_scale_on_is_what_waits_and_runs() {
    let (broker, endpoint) = endpoint::broker();
    let (_pool, pool_endpoint) = endpoint::pool(&broker, 1);
    let slots = until("the service is known", || {
        let response = endpoint.get("/scale/jobs");
        (response.status == 200).then(|| number(&response.body, "slots"))
    });
    let calls: Vec<_> = (0..slots + 3)
        .map(|_| Process::start(broker.command_line(&["call", "jobs.pause", "600000", "--timeout", "none"])))
        .collect();
    for endpoint in [&endpoint, &pool_endpoint] {
        let body = until("all calls have arrived", || {
            let body = endpoint.get("/scale/jobs").body;
            (number(&body, "value") == slots + 3).then_some(body)
        });
        assert_eq!(["running", "waiting", "slots"].map(|name| number(&body, name)), [slots, 3, slots], "{body}");
        assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["oldest_wait_seconds"].as_f64() > Some(0.0));
    }
    assert!(endpoint.get("/scale/jobs").head.contains("content-type: application/json"));
    endpoint.get("/scale/bogus").assert(404, &["known services: callboard.pool.jobs, jobs"]);
    drop(calls);
}

fn number(json: &str, name: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(json).unwrap()[name].as_u64().unwrap_or_else(|| panic!("{name}: {json}"))
}

#[test]
fn an_unknown_page_and_a_wrong_method_are_explained() {
    let (_broker, endpoint) = endpoint::broker();
    endpoint.get("/metric").assert(404, &["unknown page /metric", "/metrics"]);
    endpoint.get("/ready/").assert(404, &["/ready/"]);
    for path in ["/metrics", "/live", "/ready", "/ready/jobs", "/scale/jobs"] {
        let response = endpoint.request("POST", path, "Content-Length: 0\r\n");
        response.assert(405, &["POST is not allowed for", path, "use GET or HEAD"]);
        assert!(response.head.contains("\r\nallow: get,head"), "{}", response.head);
    }
    assert_eq!(endpoint.request("HEAD", "/ready", "").body, "");
}
