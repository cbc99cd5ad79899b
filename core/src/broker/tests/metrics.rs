//! The metrics of the broker: counters and histograms of calls, gauges, and the limits of their lists.

use std::time::Duration;

use bytes::Bytes;

use super::harness::{Harness, calc, millis, request, seconds};
use crate::{
    broker::{CallMetrics, Event, Metrics},
    wire::{
        Bundler, Envelope,
        affinity::AffinityKey,
        envelope::{Cancel, Dispatch, Effect, Reply},
        handshake::{MethodLimits, MethodOffer, Offer},
        ids::ConnectionId,
        limits::{METRICS_METHODS_MAX, METRICS_SERVICES_MAX, SERVICE_GRACE},
        status::{Code, Executed, Failure},
        streams::{Streams, Style},
    },
};

impl Harness {
    fn metrics(&self) -> Metrics {
        self.broker.metrics(self.now)
    }

    fn metrics_of(&self, method: &str) -> CallMetrics {
        let found = self.metrics().methods.into_iter().find(|metrics| metrics.method == method);
        found.map(|metrics| metrics.calls).unwrap_or_default()
    }

    fn fail_dispatch(&mut self, worker: ConnectionId, dispatch: &Dispatch, code: Code) {
        let outcome = Err(Box::new(Failure::new(code, Executed::Yes, "failed")));
        let number = dispatch.number.0;
        let reply = Reply { number, outcome, credit: None, handler_time: None, extensions: Default::default() };
        self.send(worker, Envelope::Reply(reply));
    }
}

fn completed(calls: &CallMetrics) -> Vec<(&'static str, u64)> {
    calls.completed().collect()
}

/// Returns the message with one envelope.
fn frames(envelope: &Envelope) -> Vec<Bytes> {
    let mut bundler = Bundler::new();
    bundler.push(envelope);
    bundler.take().flat_map(|frames| frames.to_vec()).collect()
}

/// A service with so many methods, `m0`, `m1` and so on.
fn offer(service: &str, methods: usize) -> Offer {
    let method = |number: usize| MethodOffer {
        name: format!("m{number}"),
        effect: Effect::Read,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    };
    Offer { service: service.to_owned(), methods: (0..methods).map(method).collect(), ..calc(4) }
}

#[test]
fn waiting_and_running_are_measured_apart() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    harness.now = harness.now + millis(30);
    let dispatch = harness.dispatches(worker).remove(0);
    harness.reply(worker, &dispatch, &[1]);
    harness.now = harness.now + millis(200);
    let dispatch = harness.dispatches(worker).remove(0);
    harness.fail_dispatch(worker, &dispatch, Code::NotFound);
    let calls = harness.metrics_of("add");
    assert_eq!(completed(&calls), [("OK", 1), ("NOT_FOUND", 1)]);
    let sums = [&calls.queue_time, &calls.run_time, &calls.total_time].map(|histogram| histogram.sum());
    assert_eq!(sums, [millis(30), millis(230), millis(260)]);
    let in_bucket = |bound| calls.run_time.buckets().find(|&(upper, _)| upper == Some(bound)).unwrap().1;
    assert_eq!([millis(50), millis(100), millis(250)].map(in_bucket), [1, 0, 1]);
}

#[test]
fn a_retried_call_counts_once_with_all_its_attempts() {
    let mut harness = Harness::new();
    let lost = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    harness.now = harness.now + millis(10);
    let worker = harness.worker(3, calc(1));
    harness.handle(Event::Closed { connection: lost });
    harness.now = harness.now + millis(20);
    let dispatch = harness.dispatches(worker).remove(0);
    harness.reply(worker, &dispatch, &[1]);
    let calls = harness.metrics_of("add");
    assert_eq!((completed(&calls), calls.run_time.sum()), (vec![("OK", 1)], millis(30)));
    assert_eq!(harness.metrics().counters.repeated, 1);
}

#[test]
fn a_call_that_reached_no_worker_has_no_run_time() {
    let mut harness = Harness::new();
    let _worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    let mut short = request(2, "calc.add");
    short.timeout = Some(millis(100));
    harness.send(client, Envelope::Request(short));
    harness.advance(millis(200));
    let calls = harness.metrics_of("add");
    assert_eq!(completed(&calls), [("DEADLINE_EXCEEDED", 1)]);
    assert_eq!([&calls.queue_time, &calls.run_time].map(|histogram| histogram.count()), [1, 0]);
}

#[test]
fn a_broadcast_counts_once_and_runs_until_its_last_reply() {
    let mut harness = Harness::new();
    let workers = [harness.worker(1, calc(1)), harness.worker(3, calc(1))];
    let client = harness.client(2);
    let mut broadcast = request(1, "calc.add");
    broadcast.flags.broadcast = true;
    harness.send(client, Envelope::Request(broadcast));
    for worker in workers {
        harness.now = harness.now + millis(10);
        let dispatch = harness.dispatches(worker).remove(0);
        harness.reply(worker, &dispatch, &[1]);
    }
    let calls = harness.metrics_of("add");
    assert_eq!(completed(&calls), [("OK", 1)]);
    assert_eq!((calls.queue_time.sum(), calls.run_time.sum()), (Duration::ZERO, millis(20)));
}

#[test]
fn names_that_callers_make_up_get_no_counters_of_their_own() {
    let mut harness = Harness::new();
    harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.bogus");
    harness.call(client, 2, "bogus.add");
    harness.call(client, 3, "callboard.ping");
    harness.call(client, 4, "callboard.bogus");
    let metrics = harness.metrics();
    assert_eq!(completed(&metrics.unknown_methods), [("UNIMPLEMENTED", 1), ("UNAVAILABLE", 1)]);
    assert_eq!(completed(&metrics.admin), [("OK", 1), ("UNIMPLEMENTED", 1)]);
    assert!(metrics.methods.is_empty());
}

#[test]
fn methods_beyond_the_limit_are_counted_together() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, offer("many", METRICS_METHODS_MAX + 5));
    let client = harness.client(2);
    let call = |harness: &mut Harness, number: usize, method: usize| {
        harness.call(client, number as u64, &format!("many.m{method}"));
        let dispatch = harness.dispatches(worker).remove(0);
        harness.reply(worker, &dispatch, &[1]);
        harness.received(client);
    };
    for method in 0..METRICS_METHODS_MAX + 5 {
        call(&mut harness, method + 1, method);
    }
    call(&mut harness, 5_000, METRICS_METHODS_MAX + 1);
    call(&mut harness, 5_001, 3);
    let metrics = harness.metrics();
    assert_eq!(metrics.methods.len(), METRICS_METHODS_MAX);
    assert_eq!(completed(&metrics.other_methods), [("OK", 6)]);
    assert_eq!(completed(&harness.metrics_of("m3")), [("OK", 2)]);
    let all: u64 = metrics.methods.iter().flat_map(|method| completed(&method.calls)).map(|(_, count)| count).sum();
    assert_eq!(all + 6, metrics.counters.answered, "every call is counted");
}

#[test]
fn a_service_without_workers_is_listed_until_its_grace_period_ends() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let client = harness.client(2);
    harness.call(client, 1, "calc.add");
    let dispatch = harness.dispatches(worker).remove(0);
    harness.reply(worker, &dispatch, &[1]);
    harness.handle(Event::Closed { connection: worker });
    let services = harness.metrics().services;
    assert_eq!((services.len(), services[0].status.workers, services[0].available_workers), (1, 0, 0));
    assert_eq!(completed(&harness.metrics_of("add")), [("OK", 1)]);
    harness.advance_with(SERVICE_GRACE + seconds(1), &[client]);
    let metrics = harness.metrics();
    assert!(metrics.services.is_empty() && metrics.methods.is_empty(), "{metrics:?}");
    assert_eq!(metrics.counters.answered, 1, "the counters of the broker stay");
}

#[test]
fn methods_that_are_forgotten_make_room_for_others() {
    let mut harness = Harness::new();
    let client = harness.client(2);
    for generation in 0..3 {
        let worker = harness.worker(10 + generation, offer(&format!("v{generation}"), METRICS_METHODS_MAX / 2));
        for method in 0..METRICS_METHODS_MAX / 2 {
            let number = usize::from(generation) * 10_000 + method + 1;
            harness.call(client, number as u64, &format!("v{generation}.m{method}"));
            let dispatch = harness.dispatches(worker).remove(0);
            harness.reply(worker, &dispatch, &[1]);
            harness.received(client);
        }
        harness.handle(Event::Closed { connection: worker });
        harness.advance_with(SERVICE_GRACE + seconds(1), &[client]);
    }
    let metrics = harness.metrics();
    assert!(metrics.methods.is_empty() && completed(&metrics.other_methods).is_empty());
}

#[test]
fn services_with_workers_are_listed_before_names_that_callers_made_up() {
    let mut harness = Harness::new();
    let client = harness.client(2);
    for number in 1..=(METRICS_SERVICES_MAX as u64 + 10) {
        let mut made_up = request(number, &format!("a{number}.add"));
        made_up.flags.wait_for_ready = true;
        let (frames, mut out) = (frames(&Envelope::Request(made_up)), Vec::new());
        // Not through the harness, whose check of all invariants takes time for each of so many services.
        harness.broker.handle_message(harness.now, client, &frames, &mut out);
    }
    harness.worker(1, calc(1));
    let metrics = harness.metrics();
    assert_eq!(metrics.services[0].status.name, "calc");
    assert_eq!((metrics.services.len(), metrics.services_omitted), (METRICS_SERVICES_MAX, 11));
    assert_eq!(metrics.gauges.calls_waiting, METRICS_SERVICES_MAX + 10);
}

#[test]
fn gauges_count_what_the_broker_holds() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(2));
    let client = harness.client(2);
    let mut stream = request(1, "calc.count");
    stream.streams = Streams { style: Style::Server, ..Streams::NONE };
    harness.send(client, Envelope::Request(stream));
    let mut keyed = request(2, "calc.add");
    keyed.key = Some(Box::new(AffinityKey::parse("k".to_owned()).unwrap()));
    harness.send(client, Envelope::Request(keyed));
    harness.call(client, 3, "calc.add");
    let gauges = harness.metrics().gauges;
    assert_eq!((gauges.clients, gauges.clients_connected, gauges.workers), (1, 1, 1));
    assert_eq!((gauges.calls_open, gauges.calls_running, gauges.calls_waiting), (3, 2, 1));
    assert_eq!((gauges.streams, gauges.affinity_keys), (1, 1));
    for dispatch in harness.dispatches(worker) {
        harness.reply(worker, &dispatch, &[1]);
    }
    harness.send(client, Envelope::Cancel(Cancel { number: 3, done_below: None }));
    let gauges = harness.metrics().gauges;
    assert_eq!((gauges.streams, gauges.affinity_keys, gauges.cached_replies), (0, 0, 2));
    harness.send(worker, Envelope::Drain);
    let metrics = harness.metrics();
    assert_eq!((metrics.gauges.workers_draining, metrics.services[0].available_workers), (1, 0));
    harness.handle(Event::Shutdown { deadline: harness.now + seconds(5) });
    assert!(harness.metrics().draining);
}
