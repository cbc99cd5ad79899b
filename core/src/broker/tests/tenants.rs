//! Tenants: limits of their backlogs and of all reply caches, and how they share the workers.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::harness::{Harness, calc, hello, millis, request, seconds};
use crate::{
    broker::{Diagnostic, Endpoint, Event, Settings},
    wire::{
        Envelope,
        envelope::{Cancel, Dispatch, Priority, Request},
        handshake::Role,
        ids::ConnectionId,
        limits::TENANT_SHARE,
        status::{Code, Executed},
    },
};

/// A request with `wait_for_ready` and without a timeout.
fn wait_for_ready(number: u64, cast: bool, bytes: usize) -> Request {
    let mut request = Request { timeout: None, body: Bytes::from(vec![0x40; bytes]), ..request(number, "calc.add") };
    request.flags.wait_for_ready = true;
    request.flags.cast = cast;
    request
}

fn limited(calls: usize, bytes: usize) -> Harness {
    Harness::just_started(Settings { waiting_calls_max: calls, waiting_bytes_max: bytes, ..Settings::default() })
}

fn waiting(harness: &Harness) -> usize {
    harness.broker.status(harness.now).services.iter().map(|service| service.waiting).sum()
}

#[test]
fn casts_of_closed_connections_count_against_the_limit_of_their_tenant() {
    let mut harness = limited(10 * TENANT_SHARE, 1 << 30);
    for connection_number in 1..=4 {
        let connection = harness.reconnect_client(1, connection_number);
        let first = connection_number * 5;
        (first..first + 5)
            .for_each(|number| harness.send(connection, Envelope::Request(wait_for_ready(number, true, 1))));
        harness.handle(Event::Closed { connection });
        harness.advance(seconds(3));
    }
    assert_eq!(waiting(&harness), 10, "each connection of the client had new credit");
    assert_eq!(harness.broker.counters().casts_failed, 10);
    let failed = |diagnostic: &&Diagnostic| matches!(diagnostic, Diagnostic::CastFailed { failure, .. } if failure.code == Code::ResourceExhausted);
    assert_eq!(harness.diagnostics.iter().filter(failed).count(), 10, "each failed cast is logged");
}

#[test]
fn a_tenant_has_one_share_of_the_backlog_whatever_its_number_of_sessions() {
    let mut harness = limited(2 * TENANT_SHARE, 1 << 30);
    let (one, two) = (harness.client(1), harness.client(2));
    harness.rate_limit_key = "192.0.2.8";
    let other = harness.client(3);
    harness.send(one, Envelope::Request(wait_for_ready(1, false, 1)));
    harness.send(two, Envelope::Request(wait_for_ready(1, false, 1)));
    assert!(harness.replies(two).is_empty());
    harness.send(two, Envelope::Request(wait_for_ready(2, false, 1)));
    let failure = harness.failure(two);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
    assert!(failure.message.contains("2 calls with 2 bytes wait of 192.0.2.7"), "{failure}");
    assert!(failure.retry_after.is_some());
    harness.send(other, Envelope::Request(wait_for_ready(1, false, 1)));
    assert!(harness.replies(other).is_empty());
}

#[test]
fn waiting_bytes_are_bounded_per_tenant_and_in_total() {
    let mut harness = limited(1_000, 100 * TENANT_SHARE);
    let mut clients = Vec::new();
    for (number, tenant) in (1..).zip(["a", "b", "c", "d", "e"]) {
        harness.rate_limit_key = tenant;
        clients.push(harness.client(number));
    }
    harness.send(clients[0], Envelope::Request(wait_for_ready(1, false, 100)));
    harness.send(clients[0], Envelope::Request(wait_for_ready(2, false, 1)));
    assert!(harness.failure(clients[0]).message.contains("100 bytes wait of a"));
    clients[1..4]
        .iter()
        .for_each(|&connection| harness.send(connection, Envelope::Request(wait_for_ready(1, false, 100))));
    harness.send(clients[4], Envelope::Request(wait_for_ready(1, false, 1)));
    let failure = harness.failure(clients[4]);
    assert!(failure.message.contains("400 bytes wait at this broker"), "{failure}");
    harness.send(clients[0], Envelope::Cancel(crate::wire::envelope::Cancel { number: 1, done_below: None }));
    harness.send(clients[4], Envelope::Request(wait_for_ready(2, false, 1)));
    assert!(harness.replies(clients[4]).is_empty(), "a cancelled call frees its bytes");
}

#[test]
fn a_retried_call_is_queued_again_even_above_the_limit() {
    let mut harness = limited(TENANT_SHARE, 1 << 30);
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    harness.handle(Event::Closed { connection: worker });
    assert!(harness.replies(client).is_empty());
    assert_eq!(waiting(&harness), 2);
}

#[test]
fn all_reply_caches_together_are_bounded_and_disconnected_clients_are_evicted_first() {
    let mut harness = Harness::just_started(Settings { outcomes_bytes_max: 8 * 1_256, ..Settings::default() });
    let worker = harness.worker(1, calc(64));
    let (connected, disconnected) = (harness.client(2), harness.client(3));
    let call = |harness: &mut Harness, client: ConnectionId, number| {
        harness.call(client, number, "calc.add");
        let dispatch: Dispatch = harness.dispatches(worker).remove(0);
        harness.reply(worker, &dispatch, &[0x40; 1_000]);
    };
    (1..=4).for_each(|number| call(&mut harness, connected, number));
    (1..=4).for_each(|number| call(&mut harness, disconnected, number));
    assert_eq!(harness.broker.cached_replies(), 8);
    harness.handle(Event::Closed { connection: disconnected });
    call(&mut harness, connected, 5);
    assert_eq!(harness.broker.cached_replies(), 7);
    harness.received(connected);
    (1..=5).for_each(|number| harness.call(connected, number, "calc.add"));
    assert_eq!(
        harness.replies(connected).len(),
        5,
        "the connected client lost no reply, although its replies are the oldest"
    );
}

#[test]
fn a_tenant_with_an_old_backlog_is_rejected_with_a_retry_after_hint() {
    let mut harness = Harness::just_started(Settings { queue_age_max: Some(seconds(2)), ..Settings::default() });
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.rate_limit_key = "192.0.2.8";
    let other = harness.client(3);
    let connections = [worker, client, other];
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    harness.advance_with(seconds(2), &connections);
    harness.call(client, 4, "calc.add");
    assert!(harness.replies(client).is_empty(), "the age of the backlog equals the limit");
    harness.advance_with(millis(200), &connections);
    harness.call(client, 5, "calc.add");
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::No));
    assert!(failure.message.contains("your calls to calc have waited for 2.2s"), "{failure}");
    assert!(failure.retry_after.is_some() && failure.to_string().contains("try again in"), "{failure}");
    harness.call(other, 1, "calc.add");
    assert!(harness.replies(other).is_empty(), "a tenant without an old backlog is not rejected");
    for _ in 0..3 {
        let dispatch = harness.dispatches(worker).remove(0);
        harness.reply(worker, &dispatch, &[0]);
    }
    harness.received(client);
    harness.call(client, 6, "calc.add");
    assert!(harness.replies(client).is_empty(), "the old backlog is empty");
}

#[test]
fn calls_that_wait_for_a_first_worker_do_not_count_as_an_old_backlog() {
    let mut harness = Harness::just_started(Settings { queue_age_max: Some(seconds(2)), ..Settings::default() });
    let client = harness.client(2);
    harness.send(client, Envelope::Request(wait_for_ready(1, false, 1)));
    harness.advance_with(seconds(60), &[client]);
    harness.send(client, Envelope::Request(wait_for_ready(2, false, 1)));
    harness.send(client, Envelope::Request(wait_for_ready(3, false, 1)));
    harness.advance_with(seconds(60), &[client]);
    assert!(harness.replies(client).is_empty());
    harness.worker(3, calc(1));
    assert!(harness.replies(client).is_empty(), "calls accepted before the worker registered are not rejected");
    assert_eq!(waiting(&harness), 2);
}

#[test]
fn calls_that_wait_since_the_last_worker_left_do_not_count_as_an_old_backlog() {
    let mut harness = Harness::just_started(Settings { queue_age_max: Some(seconds(2)), ..Settings::default() });
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    (1..=2).for_each(|number| harness.send(client, Envelope::Request(wait_for_ready(number, false, 1))));
    harness.handle(Event::Closed { connection: worker });
    harness.advance_with(seconds(60), &[client]);
    harness.send(client, Envelope::Request(wait_for_ready(3, false, 1)));
    assert_eq!(harness.replies(client), []);
    assert_eq!(waiting(&harness), 3);
}

#[test]
fn sessions_of_one_address_share_one_flow() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, calc(1));
    let sessions: Vec<_> = (10..40).map(|number| harness.client(number)).collect();
    harness.rate_limit_key = "192.0.2.8";
    let light = harness.handshake(Endpoint::Frontend, &hello(Role::Client, 2, 1));
    harness.call(light, 1, "calc.add");
    let mut dispatch = harness.dispatches(worker).remove(0);
    for number in 1..=4 {
        sessions.iter().for_each(|&connection| harness.call(connection, number, "calc.add"));
    }
    (2..=11).for_each(|number| harness.call(light, number, "calc.add"));
    let mut order = Vec::new();
    for _ in 0..50 {
        harness.reply(worker, &dispatch, &[0]);
        dispatch = harness.dispatches(worker).remove(0);
        order.push(dispatch.call.caller);
    }
    let last = order.iter().rposition(|&caller| caller == 0x0202_0202).unwrap();
    assert!(
        (19..=22).contains(&last),
        "the ten calls must run alternately with the others; the last ran at position {last}"
    );
    let others: BTreeSet<_> = order[..last].iter().collect();
    assert!(others.len() >= 6, "the sessions of the other tenant share its flow");
}

#[test]
fn a_high_priority_call_overtakes_only_calls_of_its_tenant() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call(client, 1, "calc.add");
    let mut dispatch = harness.dispatches(worker).remove(0);
    let with = |number, priority| Envelope::Request(Request { priority, ..request(number, "calc.add") });
    (2..30).for_each(|number| harness.send(client, with(number, Priority::Low)));
    (101..=103).for_each(|number| harness.send(client, with(number, Priority::High)));
    let mut order = Vec::new();
    for _ in 0..12 {
        harness.reply(worker, &dispatch, &[0]);
        dispatch = harness.dispatches(worker).remove(0);
        order.push(dispatch.call.number.0);
    }
    let last = order.iter().position(|&number| number == 103).unwrap();
    assert!(last <= 4, "{order:?}");
    assert!(order.iter().filter(|&&number| number < 30).count() >= 8, "low-priority calls still run: {order:?}");
}

#[test]
fn disconnected_sessions_are_bounded_and_those_without_calls_are_evicted_first() {
    let mut harness = Harness::just_started(Settings { disconnected_clients_max: 8, ..Settings::default() });
    let (worker, watcher) = (harness.worker(1, calc(16)), harness.client(2));
    let leave = |harness: &mut Harness, number: u8, calls: bool| {
        let connection = harness.client(number);
        if calls {
            harness.call(connection, 1, "calc.add");
        }
        harness.now = harness.now + millis(1);
        harness.handle(Event::Closed { connection });
    };
    // The limit of one tenant is two: the session with a call and the latest one stay.
    [(10, true), (11, false), (12, false), (13, false)]
        .into_iter()
        .for_each(|(number, calls)| leave(&mut harness, number, calls));
    let away = |harness: &Harness| harness.broker.status(harness.now).clients - 1;
    assert_eq!((away(&harness), harness.broker.status(harness.now).open), (2, 1));
    leave(&mut harness, 14, true);
    assert_eq!((away(&harness), harness.broker.status(harness.now).open), (2, 2));
    // If all sessions have calls, the one disconnected longest is evicted with its calls.
    let running = harness.dispatches(worker);
    leave(&mut harness, 15, true);
    let cancel = Envelope::Cancel(Cancel { number: running[0].number.0, done_below: None });
    assert!(away(&harness) == 2 && harness.received(worker).contains(&cancel));
    // The limit of all tenants is eight, and a reconnected session no longer counts.
    for (tenant, number) in ["a", "b", "c", "d"].into_iter().zip((20..).step_by(2)) {
        harness.rate_limit_key = tenant;
        [number, number + 1].into_iter().for_each(|number| leave(&mut harness, number, true));
    }
    assert_eq!(away(&harness), 8);
    harness.reconnect_client(27, 2);
    harness.reconnect_client(26, 2);
    assert_eq!(away(&harness), 8);
    leave(&mut harness, 28, true);
    assert_eq!(away(&harness), 9, "two of them are connected");
    assert!(harness.replies(watcher).is_empty());
}
