//! Affinity keys: calls of one key run one at a time, on one worker, in order.

use super::harness::{FIRST_FENCE, Harness, calc, hello, millis, request, seconds};
use crate::{
    body,
    broker::{Endpoint, Event, Settings, WaitReason},
    wire::{
        Envelope,
        affinity::AffinityKey,
        envelope::{Cancel, Dispatch, KeyFreed, Request},
        handshake::{Offer, Register, Role},
        ids::ConnectionId,
        status::{Code, Executed},
    },
};

fn key(text: &str) -> AffinityKey {
    AffinityKey::parse(text.to_owned()).unwrap()
}

fn keyed(number: u64, method: &str, of: &str) -> Request {
    Request { key: Some(Box::new(key(of))), ..request(number, method) }
}

/// Two keys that share a bucket, and one of another bucket.
fn keys_by_bucket() -> (String, String, String) {
    let first = "a".to_owned();
    let shares_bucket = |name: &String| key(name).bucket() == key(&first).bucket();
    let same_bucket = (0..).map(|number: u32| number.to_string()).find(shares_bucket).unwrap();
    let other = (0..).map(|number: u32| number.to_string()).find(|name| !shares_bucket(name)).unwrap();
    (first, same_bucket, other)
}

impl Harness {
    fn call_keyed(&mut self, client: ConnectionId, number: u64, of: &str) {
        self.send(client, Envelope::Request(keyed(number, "calc.push", of)));
    }

    /// Takes the single dispatch that a worker received.
    fn only_dispatch(&mut self, worker: ConnectionId) -> Dispatch {
        let mut dispatches = self.dispatches(worker);
        assert_eq!(dispatches.len(), 1, "{dispatches:?}");
        dispatches.remove(0)
    }

    /// Takes the single dispatch at one of two workers. Returns that worker, the other worker, and the dispatch.
    fn locate_dispatch(&mut self, one: ConnectionId, two: ConnectionId) -> (ConnectionId, ConnectionId, Dispatch) {
        let at_one = self.sent.get(&one).is_some_and(|sent| sent.iter().any(|s| matches!(s, Envelope::Dispatch(_))));
        let (here, there) = if at_one { (one, two) } else { (two, one) };
        (here, there, self.only_dispatch(here))
    }

    fn reconnect_worker(&mut self, number: u8, connection_number: u64, offer: Offer) -> ConnectionId {
        let connection = self.handshake(Endpoint::Backend, &hello(Role::Worker, number, connection_number));
        self.register(connection, Register { offers: vec![offer], ..Register::default() });
        connection
    }
}

fn numbers(dispatches: &[Dispatch]) -> Vec<u64> {
    dispatches.iter().map(|dispatch| dispatch.call.number.0).collect()
}

#[test]
fn calls_of_one_key_run_one_at_a_time_and_in_order_on_one_worker() {
    let mut harness = Harness::new();
    let (one, two, client) = (harness.worker(1, calc(8)), harness.worker(2, calc(8)), harness.client(3));
    (1..=5).for_each(|number| harness.call_keyed(client, number, "views"));
    let (home, other, mut dispatch) = harness.locate_dispatch(one, two);
    for number in 1..=5 {
        assert_eq!((dispatch.call.number.0, &dispatch.affinity.as_ref().unwrap().key), (number, &key("views")));
        assert!(
            harness.dispatches(home).is_empty() && harness.dispatches(other).is_empty(),
            "calls of one key run one at a time"
        );
        harness.reply(home, &dispatch, b"\x00");
        if number < 5 {
            dispatch = harness.only_dispatch(home);
        }
    }
    assert_eq!(harness.replies(client).len(), 5);
    assert_eq!(harness.broker.status(harness.now).open, 0);
}

#[test]
fn calls_without_a_key_or_with_other_keys_run_concurrently() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(8)), harness.client(2));
    let (first, same_bucket, other) = keys_by_bucket();
    harness.call_keyed(client, 1, &first);
    harness.call_keyed(client, 2, &first);
    harness.call_keyed(client, 3, &same_bucket);
    harness.call_keyed(client, 4, &other);
    harness.call(client, 5, "calc.push");
    assert_eq!(numbers(&harness.dispatches(worker)), [1, 3, 4, 5], "a key is exclusive, a bucket is not");
}

#[test]
fn methods_of_one_service_share_keys_but_services_do_not() {
    let mut harness = Harness::new();
    let also = Offer { service: "also".to_owned(), ..calc(8) };
    let (worker, beside, client) = (harness.worker(1, calc(8)), harness.worker(2, also), harness.client(3));
    harness.send(client, Envelope::Request(keyed(1, "calc.push", "k")));
    harness.send(client, Envelope::Request(keyed(2, "calc.add", "k")));
    harness.send(client, Envelope::Request(keyed(3, "also.add", "k")));
    assert_eq!((numbers(&harness.dispatches(worker)), numbers(&harness.dispatches(beside))), (vec![1], vec![3]));
}

#[test]
fn buckets_are_spread_over_the_workers_and_stay_there() {
    let mut harness = Harness::new();
    let (one, two, client) = (harness.worker(1, calc(8)), harness.worker(2, calc(8)), harness.client(3));
    let mut homes = Vec::new();
    for number in 1..=100 {
        harness.call_keyed(client, number, &(number % 20).to_string());
        let (home, _, dispatch) = harness.locate_dispatch(one, two);
        harness.reply(home, &dispatch, b"\x00");
        homes.push(home);
    }
    let at_one = homes[..20].iter().filter(|&&home| home == one).count();
    assert!((8..=12).contains(&at_one), "one worker has {at_one} of 20 keys");
    assert!((20..100).all(|at| homes[at] == homes[at - 20]), "the worker of a key does not change");
}

#[test]
fn a_call_waits_for_the_worker_of_its_bucket_and_does_not_block_other_calls() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, calc(1)), harness.client(3));
    harness.call_keyed(client, 1, "k");
    let first = harness.only_dispatch(one);
    harness.reply(one, &first, b"\x00");
    harness.call(client, 2, "calc.push");
    let two = harness.worker(2, calc(1));
    harness.call_keyed(client, 3, "k");
    assert!(harness.dispatches(two).is_empty(), "the call waits for worker 1");
    harness.call(client, 4, "calc.push");
    assert_eq!(numbers(&harness.dispatches(two)), [4]);
    let wait = harness.why(client, 99, "03030303-3");
    assert!(wait.reason.contains("calls of key k run at worker peer-1, which is busy"), "{}", wait.reason);
    harness.call(client, 5, "calc.push");
    let second = harness.only_dispatch(one);
    harness.reply(one, &second, b"\x00");
    assert_eq!(numbers(&harness.dispatches(one)), [3], "the waiting call runs before the later call");
}

impl Harness {
    fn why(&mut self, client: ConnectionId, number: u64, call: &str) -> WaitReason {
        let body = body::encode(&(call,)).unwrap();
        self.send(client, Envelope::Request(Request { body, ..request(number, "callboard.why") }));
        let reply = self.replies(client).pop().unwrap().1.unwrap();
        body::decode::<Vec<WaitReason>>(&reply).unwrap().remove(0)
    }
}

#[test]
fn a_call_that_becomes_key_owner_is_ahead_of_no_other_call() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call_keyed(client, 1, "k");
    harness.call_keyed(client, 2, "k");
    harness.call(client, 3, "calc.push");
    let mut order = Vec::new();
    for _ in 0..3 {
        let dispatch = harness.only_dispatch(worker);
        order.push(dispatch.call.number.0);
        harness.reply(worker, &dispatch, b"\x00");
    }
    assert_eq!(order, [1, 3, 2]);
}

#[test]
fn clients_share_a_key_fairly() {
    let mut harness = Harness::new();
    let (worker, heavy, light) = (harness.worker(1, calc(4)), harness.client(2), harness.client(3));
    (1..=50).for_each(|number| harness.call_keyed(heavy, number, "k"));
    harness.call_keyed(light, 1, "k");
    let mut served = 0;
    while harness.replies(light).is_empty() {
        let dispatch = harness.only_dispatch(worker);
        harness.reply(worker, &dispatch, b"\x00");
        served += 1;
    }
    assert!(served <= 3, "the light client waited for {served} calls");
}

#[test]
fn a_retried_call_runs_before_later_calls_of_its_key_with_a_higher_fencing_token() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, calc(4)), harness.client(3));
    (1..=3).for_each(|number| harness.call_keyed(client, number, "k"));
    let first = harness.only_dispatch(one);
    let two = harness.worker(2, calc(4));
    harness.handle(Event::Closed { connection: one });
    for number in 1..=3 {
        let dispatch = harness.only_dispatch(two);
        assert_eq!((dispatch.call.number.0, dispatch.attempt), (number, if number == 1 { 2 } else { 1 }));
        let fences = [&first, &dispatch].map(|dispatch| dispatch.affinity.as_ref().unwrap().fence);
        assert!(fences[0] >= FIRST_FENCE && fences[1] > fences[0], "{fences:?}");
        harness.reply(two, &dispatch, b"\x00");
    }
}

#[test]
fn a_handed_back_call_runs_first_again() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, calc(4)), harness.client(3));
    (1..=2).for_each(|number| harness.call_keyed(client, number, "k"));
    let first = harness.only_dispatch(one);
    let two = harness.worker(2, calc(4));
    harness.send(one, Envelope::Drain);
    assert!(harness.dispatches(two).is_empty(), "the call still runs on the draining worker");
    harness.send(one, Envelope::Handback(first.number));
    assert_eq!(numbers(&harness.dispatches(two)), [1]);
}

#[test]
fn a_bucket_leaves_a_draining_worker_and_a_key_moves_after_its_running_call() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, calc(4)), harness.client(3));
    let (first, same_bucket, _) = keys_by_bucket();
    harness.call_keyed(client, 1, &first);
    let running = harness.only_dispatch(one);
    let two = harness.worker(2, calc(4));
    harness.send(one, Envelope::Drain);
    harness.call_keyed(client, 2, &first);
    harness.call_keyed(client, 3, &same_bucket);
    assert_eq!(numbers(&harness.dispatches(two)), [3], "another key of the bucket does not wait");
    harness.reply(one, &running, b"\x00");
    assert_eq!(numbers(&harness.dispatches(two)), [2]);
}

#[test]
fn a_call_that_waits_for_a_draining_or_lost_worker_goes_to_another() {
    for lost in [false, true] {
        let mut harness = Harness::new();
        let (one, client) = (harness.worker(1, calc(1)), harness.client(3));
        harness.call_keyed(client, 1, "k");
        let first = harness.only_dispatch(one);
        harness.reply(one, &first, b"\x00");
        harness.call(client, 2, "calc.pay");
        let two = harness.worker(2, calc(1));
        harness.call_keyed(client, 3, "k");
        assert!(harness.dispatches(two).is_empty());
        if lost {
            harness.handle(Event::Closed { connection: one });
        } else {
            harness.send(one, Envelope::Drain);
        }
        assert_eq!(numbers(&harness.dispatches(two)), [3]);
    }
}

#[test]
fn an_expired_or_cancelled_running_call_keeps_its_key_until_the_worker_ends_it() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(4)), harness.client(2));
    let short = Request { timeout: Some(millis(500)), ..keyed(1, "calc.push", "k") };
    harness.send(client, Envelope::Request(short));
    harness.call_keyed(client, 2, "k");
    harness.call_keyed(client, 3, "k");
    let first = harness.only_dispatch(worker);
    harness.advance_with(seconds(1), &[worker, client]);
    assert_eq!(harness.failure(client).code, Code::DeadlineExceeded);
    assert!(harness.dispatches(worker).is_empty());
    harness.reply(worker, &first, b"\x00");
    let second = harness.only_dispatch(worker);
    harness.send(client, Envelope::Cancel(Cancel { number: 2, done_below: None }));
    assert!(harness.dispatches(worker).is_empty());
    harness.reply(worker, &second, b"\x00");
    assert_eq!(numbers(&harness.dispatches(worker)), [3]);
}

#[test]
fn a_call_that_waits_for_its_key_ends_at_its_deadline_or_when_cancelled() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(4)), harness.client(2));
    harness.call_keyed(client, 1, "k");
    harness.send(client, Envelope::Request(Request { timeout: Some(millis(500)), ..keyed(2, "calc.push", "k") }));
    harness.call_keyed(client, 3, "k");
    let wait = harness.why(client, 98, "02020202-3");
    assert!(wait.reason.contains("02020202-1 has key k"), "{}", wait.reason);
    harness.send(client, Envelope::Cancel(Cancel { number: 3, done_below: None }));
    harness.advance_with(seconds(1), &[worker, client]);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::No));
    assert!(failure.message.contains("other calls of its key"), "{failure}");
    let first = harness.only_dispatch(worker);
    harness.reply(worker, &first, b"\x00");
    assert!(harness.dispatches(worker).is_empty());
    assert_eq!(harness.broker.status(harness.now).open, 0);
}

#[test]
fn casts_with_a_key_run_one_at_a_time_like_other_calls() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(4)), harness.client(2));
    for number in 1..=2 {
        let mut cast = keyed(number, "calc.push", "k");
        cast.flags.cast = true;
        harness.send(client, Envelope::Request(cast));
    }
    let first = harness.only_dispatch(worker);
    harness.reply(worker, &first, b"\x00");
    assert_eq!(numbers(&harness.dispatches(worker)), [2]);
}

#[test]
fn calls_that_wait_for_their_key_count_against_the_queue_limit() {
    let mut harness = Harness::just_started(Settings { queue_calls_max: 2, ..Settings::default() });
    harness.advance(seconds(3));
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    (1..=4).for_each(|number| harness.call_keyed(client, number, "k"));
    assert_eq!(harness.failure(client).code, Code::ResourceExhausted);
    assert_eq!(harness.broker.service_statuses(harness.now)[0].waiting, 2);
    for _ in 1..=3 {
        let dispatch = harness.only_dispatch(worker);
        harness.reply(worker, &dispatch, b"\x00");
    }
    assert_eq!(harness.replies(client).len(), 3, "an accepted call is not rejected later");
}

#[test]
fn a_method_that_the_worker_of_the_bucket_lacks_runs_on_another_worker_and_stays_exclusive() {
    let mut harness = Harness::new();
    let mut newer = calc(4);
    newer.methods[0].name = "mul".to_owned();
    let (one, two, client) = (harness.worker(1, calc(4)), harness.worker(2, newer), harness.client(3));
    for (number, method) in [(1, "calc.add"), (2, "calc.mul"), (3, "calc.add"), (4, "calc.mul")] {
        harness.send(client, Envelope::Request(keyed(number, method, "k")));
    }
    for (number, at) in [(1, one), (2, two), (3, one), (4, two)] {
        let dispatch = harness.only_dispatch(at);
        assert_eq!(dispatch.call.number.0, number);
        harness.reply(at, &dispatch, b"\x00");
    }
}

#[test]
fn after_a_restart_calls_with_keys_wait_for_workers_of_the_previous_start() {
    let mut harness = Harness::just_started(Settings::default());
    let (fresh, client) = (harness.worker(1, calc(4)), harness.client(2));
    (1..=2).for_each(|number| harness.call_keyed(client, number, "k"));
    harness.call_keyed(client, 3, "other");
    harness.call(client, 4, "calc.push");
    assert_eq!(numbers(&harness.dispatches(fresh)), [4]);
    let wait = harness.why(client, 98, "02020202-1");
    assert!(wait.reason.contains("the broker has just started"), "{}", wait.reason);
    let back = harness.reconnect_worker(5, 2, Offer { free: 3, keys: vec![key("k")], ..calc(4) });
    harness.advance_with(seconds(3), &[fresh, back, client]);
    let other = harness.only_dispatch(fresh);
    assert_eq!(other.call.number.0, 3, "no worker has reported its key as in use");
    assert!(harness.dispatches(back).is_empty());
    let wait = harness.why(client, 99, "02020202-1");
    assert!(wait.reason.contains("still runs an earlier call of key k"), "{}", wait.reason);
    harness.send(back, Envelope::KeyFreed(KeyFreed { offer: 0, key: key("k") }));
    assert_eq!(harness.only_dispatch(back).call.number.0, 1, "the bucket stays at its worker");
    assert!(harness.dispatches(fresh).is_empty());
}

#[test]
fn a_reconnected_worker_takes_its_key_from_a_call_that_waits_for_a_slot() {
    let mut harness = Harness::new();
    let (one, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call(client, 1, "calc.push");
    harness.call_keyed(client, 2, "k");
    harness.call_keyed(client, 3, "k");
    let back = harness.reconnect_worker(5, 2, Offer { free: 3, keys: vec![key("k")], ..calc(4) });
    assert!(harness.dispatches(back).is_empty(), "the worker runs a call of that key");
    harness.handle(Event::Closed { connection: back });
    let first = harness.only_dispatch(one);
    harness.reply(one, &first, b"\x00");
    assert_eq!(numbers(&harness.dispatches(one)), [2], "the worker that held the key is lost again");
}

#[test]
fn a_worker_cannot_hold_more_keys_than_used_slots() {
    let mut harness = Harness::new();
    let keys = vec![key("a"), key("b")];
    let worker = harness.worker(1, Offer { free: 3, keys, ..calc(4) });
    assert_eq!(harness.disconnect_reason(worker).code, Code::InvalidArgument);
}

#[test]
fn freeing_a_key_that_is_not_held_is_ignored() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(4)), harness.client(2));
    (1..=2).for_each(|number| harness.call_keyed(client, number, "k"));
    assert_eq!(numbers(&harness.dispatches(worker)), [1]);
    harness.send(worker, Envelope::KeyFreed(KeyFreed { offer: 0, key: key("k") }));
    harness.send(worker, Envelope::KeyFreed(KeyFreed { offer: 9, key: key("z") }));
    assert!(harness.dispatches(worker).is_empty());
}

#[test]
fn a_broker_shutdown_rejects_calls_that_wait_for_their_key() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(4)), harness.client(2));
    (1..=3).for_each(|number| harness.call_keyed(client, number, "k"));
    let first = harness.only_dispatch(worker);
    harness.handle(Event::Shutdown { deadline: harness.now + seconds(5) });
    assert_eq!(harness.replies(client).len(), 2);
    harness.reply(worker, &first, b"\x00");
    assert!(harness.stopped);
}
