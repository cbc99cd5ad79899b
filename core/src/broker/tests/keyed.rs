//! Affinity keys: calls of one key run one at a time, on one worker, in order.

use super::stage::{FENCES_FROM, Stage, calc, hello, millis, request, seconds};
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
    Request { key: Some(key(of)), ..request(number, method) }
}

/// Two keys that share a bucket, and one of another bucket.
fn mates() -> (String, String, String) {
    let first = "a".to_owned();
    let is_mate = |name: &String| key(name).bucket() == key(&first).bucket();
    let mate = (0..).map(|number: u32| number.to_string()).find(is_mate).unwrap();
    let other = (0..).map(|number: u32| number.to_string()).find(|name| !is_mate(name)).unwrap();
    (first, mate, other)
}

impl Stage {
    fn call_keyed(&mut self, client: ConnectionId, number: u64, of: &str) {
        self.say(client, Envelope::Request(keyed(number, "calc.push", of)));
    }

    /// The one dispatch that a worker was sent.
    fn only_dispatch(&mut self, worker: ConnectionId) -> Dispatch {
        let mut dispatches = self.dispatches(worker);
        assert_eq!(dispatches.len(), 1, "{dispatches:?}");
        dispatches.remove(0)
    }

    /// Where of two workers the one dispatch is.
    fn found(&mut self, one: ConnectionId, two: ConnectionId) -> (ConnectionId, ConnectionId, Dispatch) {
        let at_one = self.said.get(&one).is_some_and(|said| said.iter().any(|s| matches!(s, Envelope::Dispatch(_))));
        let (here, there) = if at_one { (one, two) } else { (two, one) };
        (here, there, self.only_dispatch(here))
    }

    fn worker_again(&mut self, number: u8, connection_number: u64, offer: Offer) -> ConnectionId {
        let connection = self.greet(Endpoint::Backend, &hello(Role::Worker, number, connection_number));
        self.register(connection, Register { offers: vec![offer], exclusive: false });
        connection
    }
}

fn numbers(dispatches: &[Dispatch]) -> Vec<u64> {
    dispatches.iter().map(|dispatch| dispatch.call.number.0).collect()
}

#[test]
fn calls_of_one_key_run_one_at_a_time_and_in_order_on_one_worker() {
    let mut stage = Stage::new();
    let (one, two, client) = (stage.worker(1, calc(8)), stage.worker(2, calc(8)), stage.client(3));
    (1..=5).for_each(|number| stage.call_keyed(client, number, "views"));
    let (home, other, mut dispatch) = stage.found(one, two);
    for number in 1..=5 {
        assert_eq!((dispatch.call.number.0, &dispatch.affinity.as_ref().unwrap().key), (number, &key("views")));
        assert!(stage.dispatches(home).is_empty() && stage.dispatches(other).is_empty(), "one at a time");
        stage.answer(home, &dispatch, b"\x00");
        if number < 5 {
            dispatch = stage.only_dispatch(home);
        }
    }
    assert_eq!(stage.replies(client).len(), 5);
    assert_eq!(stage.broker.status(stage.now).open, 0);
}

#[test]
fn calls_without_a_key_and_of_other_keys_run_beside_them() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(8)), stage.client(2));
    let (first, mate, other) = mates();
    stage.call_keyed(client, 1, &first);
    stage.call_keyed(client, 2, &first);
    stage.call_keyed(client, 3, &mate);
    stage.call_keyed(client, 4, &other);
    stage.call(client, 5, "calc.push");
    assert_eq!(numbers(&stage.dispatches(worker)), [1, 3, 4, 5], "a key is exclusive, and a bucket is not");
}

#[test]
fn methods_of_a_service_share_its_keys_and_services_do_not() {
    let mut stage = Stage::new();
    let also = Offer { service: "also".to_owned(), ..calc(8) };
    let (worker, beside, client) = (stage.worker(1, calc(8)), stage.worker(2, also), stage.client(3));
    stage.say(client, Envelope::Request(keyed(1, "calc.push", "k")));
    stage.say(client, Envelope::Request(keyed(2, "calc.add", "k")));
    stage.say(client, Envelope::Request(keyed(3, "also.add", "k")));
    assert_eq!((numbers(&stage.dispatches(worker)), numbers(&stage.dispatches(beside))), (vec![1], vec![3]));
}

#[test]
fn buckets_are_shared_out_among_the_workers_and_stay_where_they_are() {
    let mut stage = Stage::new();
    let (one, two, client) = (stage.worker(1, calc(8)), stage.worker(2, calc(8)), stage.client(3));
    let mut homes = Vec::new();
    for number in 1..=100 {
        stage.call_keyed(client, number, &(number % 20).to_string());
        let (home, _, dispatch) = stage.found(one, two);
        stage.answer(home, &dispatch, b"\x00");
        homes.push(home);
    }
    let at_one = homes[..20].iter().filter(|&&home| home == one).count();
    assert!((8..=12).contains(&at_one), "one worker has {at_one} of 20 keys");
    assert!((20..100).all(|at| homes[at] == homes[at - 20]), "a key's worker does not change");
}

#[test]
fn a_call_waits_for_its_buckets_worker_though_others_are_free_and_hides_nobody() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, calc(1)), stage.client(3));
    stage.call_keyed(client, 1, "k");
    let first = stage.only_dispatch(one);
    stage.answer(one, &first, b"\x00");
    stage.call(client, 2, "calc.push");
    let two = stage.worker(2, calc(1));
    stage.call_keyed(client, 3, "k");
    assert!(stage.dispatches(two).is_empty(), "it waits for worker 1");
    stage.call(client, 4, "calc.push");
    assert_eq!(numbers(&stage.dispatches(two)), [4]);
    let told = stage.why(client, 99, "03030303-3");
    assert!(told.reason.contains("calls of key k run at worker peer-1, which is busy"), "{}", told.reason);
    stage.call(client, 5, "calc.push");
    let second = stage.only_dispatch(one);
    stage.answer(one, &second, b"\x00");
    assert_eq!(numbers(&stage.dispatches(one)), [3], "its turn is before that of the later one");
}

impl Stage {
    fn why(&mut self, client: ConnectionId, number: u64, call: &str) -> WaitReason {
        let body = body::encode(&(call,)).unwrap();
        self.say(client, Envelope::Request(Request { body, ..request(number, "callboard.why") }));
        let told = self.replies(client).pop().unwrap().1.unwrap();
        body::decode::<Vec<WaitReason>>(&told).unwrap().remove(0)
    }
}

#[test]
fn a_call_that_gets_its_turn_is_ahead_of_nobody() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call_keyed(client, 1, "k");
    stage.call_keyed(client, 2, "k");
    stage.call(client, 3, "calc.push");
    let mut order = Vec::new();
    for _ in 0..3 {
        let dispatch = stage.only_dispatch(worker);
        order.push(dispatch.call.number.0);
        stage.answer(worker, &dispatch, b"\x00");
    }
    assert_eq!(order, [1, 3, 2]);
}

#[test]
fn clients_have_the_turns_of_a_key_one_after_the_other() {
    let mut stage = Stage::new();
    let (worker, flooder, polite) = (stage.worker(1, calc(4)), stage.client(2), stage.client(3));
    (1..=50).for_each(|number| stage.call_keyed(flooder, number, "k"));
    stage.call_keyed(polite, 1, "k");
    let mut served = 0;
    while stage.replies(polite).is_empty() {
        let dispatch = stage.only_dispatch(worker);
        stage.answer(worker, &dispatch, b"\x00");
        served += 1;
    }
    assert!(served <= 3, "the polite client waited for {served} calls");
}

#[test]
fn a_lost_workers_call_goes_to_the_buckets_next_worker_before_later_ones_and_with_a_higher_fence() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, calc(4)), stage.client(3));
    (1..=3).for_each(|number| stage.call_keyed(client, number, "k"));
    let first = stage.only_dispatch(one);
    let two = stage.worker(2, calc(4));
    stage.handle(Event::Closed { connection: one });
    for number in 1..=3 {
        let dispatch = stage.only_dispatch(two);
        assert_eq!((dispatch.call.number.0, dispatch.attempt), (number, if number == 1 { 2 } else { 1 }));
        let fences = [&first, &dispatch].map(|dispatch| dispatch.affinity.as_ref().unwrap().fence);
        assert!(fences[0] >= FENCES_FROM && fences[1] > fences[0], "{fences:?}");
        stage.answer(two, &dispatch, b"\x00");
    }
}

#[test]
fn a_call_that_is_handed_back_goes_first_again() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, calc(4)), stage.client(3));
    (1..=2).for_each(|number| stage.call_keyed(client, number, "k"));
    let first = stage.only_dispatch(one);
    let two = stage.worker(2, calc(4));
    stage.say(one, Envelope::Drain);
    assert!(stage.dispatches(two).is_empty(), "it runs still");
    stage.say(one, Envelope::Handback(first.number));
    assert_eq!(numbers(&stage.dispatches(two)), [1]);
}

#[test]
fn a_bucket_moves_from_a_worker_that_drains_and_a_key_when_its_running_call_has_ended() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, calc(4)), stage.client(3));
    let (first, mate, _) = mates();
    stage.call_keyed(client, 1, &first);
    let running = stage.only_dispatch(one);
    let two = stage.worker(2, calc(4));
    stage.say(one, Envelope::Drain);
    stage.call_keyed(client, 2, &first);
    stage.call_keyed(client, 3, &mate);
    assert_eq!(numbers(&stage.dispatches(two)), [3], "another key of the bucket need not wait");
    stage.answer(one, &running, b"\x00");
    assert_eq!(numbers(&stage.dispatches(two)), [2]);
}

#[test]
fn a_call_that_waits_for_a_worker_that_drains_or_is_lost_goes_to_another() {
    for lost in [false, true] {
        let mut stage = Stage::new();
        let (one, client) = (stage.worker(1, calc(1)), stage.client(3));
        stage.call_keyed(client, 1, "k");
        let first = stage.only_dispatch(one);
        stage.answer(one, &first, b"\x00");
        stage.call(client, 2, "calc.pay");
        let two = stage.worker(2, calc(1));
        stage.call_keyed(client, 3, "k");
        assert!(stage.dispatches(two).is_empty());
        if lost {
            stage.handle(Event::Closed { connection: one });
        } else {
            stage.say(one, Envelope::Drain);
        }
        assert_eq!(numbers(&stage.dispatches(two)), [3]);
    }
}

#[test]
fn a_running_call_whose_time_is_up_or_that_is_cancelled_keeps_its_key_until_the_workers_last_word() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(4)), stage.client(2));
    let short = Request { timeout: Some(millis(500)), ..keyed(1, "calc.push", "k") };
    stage.say(client, Envelope::Request(short));
    stage.call_keyed(client, 2, "k");
    stage.call_keyed(client, 3, "k");
    let first = stage.only_dispatch(worker);
    stage.pass_with(seconds(1), &[worker, client]);
    assert_eq!(stage.failure(client).code, Code::DeadlineExceeded);
    assert!(stage.dispatches(worker).is_empty());
    stage.answer(worker, &first, b"\x00");
    let second = stage.only_dispatch(worker);
    stage.say(client, Envelope::Cancel(Cancel { number: 2, done_below: None }));
    assert!(stage.dispatches(worker).is_empty());
    stage.answer(worker, &second, b"\x00");
    assert_eq!(numbers(&stage.dispatches(worker)), [3]);
}

#[test]
fn a_call_that_waits_for_its_turn_ends_at_its_deadline_and_when_it_is_cancelled() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(4)), stage.client(2));
    stage.call_keyed(client, 1, "k");
    stage.say(client, Envelope::Request(Request { timeout: Some(millis(500)), ..keyed(2, "calc.push", "k") }));
    stage.call_keyed(client, 3, "k");
    let told = stage.why(client, 98, "02020202-3");
    assert!(told.reason.contains("02020202-1 has key k"), "{}", told.reason);
    stage.say(client, Envelope::Cancel(Cancel { number: 3, done_below: None }));
    stage.pass_with(seconds(1), &[worker, client]);
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::No));
    assert!(failure.message.contains("other calls of its key"), "{failure}");
    let first = stage.only_dispatch(worker);
    stage.answer(worker, &first, b"\x00");
    assert!(stage.dispatches(worker).is_empty());
    assert_eq!(stage.broker.status(stage.now).open, 0);
}

#[test]
fn casts_have_their_turn_like_others() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(4)), stage.client(2));
    for number in 1..=2 {
        let mut cast = keyed(number, "calc.push", "k");
        cast.flags.cast = true;
        stage.say(client, Envelope::Request(cast));
    }
    let first = stage.only_dispatch(worker);
    stage.answer(worker, &first, b"\x00");
    assert_eq!(numbers(&stage.dispatches(worker)), [2]);
}

#[test]
fn calls_that_wait_for_their_turn_count_against_the_queue() {
    let mut stage = Stage::young(Settings { queue_calls_max: 2, ..Settings::default() });
    stage.pass(seconds(3));
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    (1..=4).for_each(|number| stage.call_keyed(client, number, "k"));
    assert_eq!(stage.failure(client).code, Code::ResourceExhausted);
    assert_eq!(stage.broker.service_statuses(stage.now)[0].waiting, 2);
    for _ in 1..=3 {
        let dispatch = stage.only_dispatch(worker);
        stage.answer(worker, &dispatch, b"\x00");
    }
    assert_eq!(stage.replies(client).len(), 3, "what was let in is not refused later");
}

#[test]
fn a_method_that_the_buckets_worker_does_not_have_runs_elsewhere_and_in_turn_all_the_same() {
    let mut stage = Stage::new();
    let mut newer = calc(4);
    newer.methods[0].name = "mul".to_owned();
    let (one, two, client) = (stage.worker(1, calc(4)), stage.worker(2, newer), stage.client(3));
    for (number, method) in [(1, "calc.add"), (2, "calc.mul"), (3, "calc.add"), (4, "calc.mul")] {
        stage.say(client, Envelope::Request(keyed(number, method, "k")));
    }
    for (number, at) in [(1, one), (2, two), (3, one), (4, two)] {
        let dispatch = stage.only_dispatch(at);
        assert_eq!(dispatch.call.number.0, number);
        stage.answer(at, &dispatch, b"\x00");
    }
}

#[test]
fn a_young_broker_lets_calls_with_keys_wait_until_the_workers_of_its_earlier_life_are_back() {
    let mut stage = Stage::young(Settings::default());
    let (fresh, client) = (stage.worker(1, calc(4)), stage.client(2));
    (1..=2).for_each(|number| stage.call_keyed(client, number, "k"));
    stage.call_keyed(client, 3, "other");
    stage.call(client, 4, "calc.push");
    assert_eq!(numbers(&stage.dispatches(fresh)), [4]);
    let told = stage.why(client, 98, "02020202-1");
    assert!(told.reason.contains("the broker has just started"), "{}", told.reason);
    let back = stage.worker_again(5, 2, Offer { free: 3, keys: vec![key("k")], ..calc(4) });
    stage.pass_with(seconds(3), &[fresh, back, client]);
    let other = stage.only_dispatch(fresh);
    assert_eq!(other.call.number.0, 3, "whose key nobody has said to be in use");
    assert!(stage.dispatches(back).is_empty());
    let told = stage.why(client, 99, "02020202-1");
    assert!(told.reason.contains("still runs an earlier call of key k"), "{}", told.reason);
    stage.say(back, Envelope::KeyFreed(KeyFreed { offer: 0, key: key("k") }));
    assert_eq!(stage.only_dispatch(back).call.number.0, 1, "its bucket is where it was");
    assert!(stage.dispatches(fresh).is_empty());
}

#[test]
fn a_key_that_a_returning_worker_holds_is_taken_from_the_call_that_waits_for_a_slot() {
    let mut stage = Stage::new();
    let (one, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call(client, 1, "calc.push");
    stage.call_keyed(client, 2, "k");
    stage.call_keyed(client, 3, "k");
    let back = stage.worker_again(5, 2, Offer { free: 3, keys: vec![key("k")], ..calc(4) });
    assert!(stage.dispatches(back).is_empty(), "it runs a call of that key");
    stage.handle(Event::Closed { connection: back });
    let first = stage.only_dispatch(one);
    stage.answer(one, &first, b"\x00");
    assert_eq!(numbers(&stage.dispatches(one)), [2], "who held it is lost once more");
}

#[test]
fn a_worker_cannot_hold_more_keys_than_it_has_slots_in_use() {
    let mut stage = Stage::new();
    let keys = vec![key("a"), key("b")];
    let worker = stage.worker(1, Offer { free: 3, keys, ..calc(4) });
    assert_eq!(stage.sent_away(worker).code, Code::InvalidArgument);
}

#[test]
fn keys_that_are_not_held_are_not_freed() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(4)), stage.client(2));
    (1..=2).for_each(|number| stage.call_keyed(client, number, "k"));
    assert_eq!(numbers(&stage.dispatches(worker)), [1]);
    stage.say(worker, Envelope::KeyFreed(KeyFreed { offer: 0, key: key("k") }));
    stage.say(worker, Envelope::KeyFreed(KeyFreed { offer: 9, key: key("z") }));
    assert!(stage.dispatches(worker).is_empty());
}

#[test]
fn a_broker_that_ends_tells_those_who_wait_for_their_turn() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(4)), stage.client(2));
    (1..=3).for_each(|number| stage.call_keyed(client, number, "k"));
    let first = stage.only_dispatch(worker);
    stage.handle(Event::Shutdown { deadline: stage.now + seconds(5) });
    assert_eq!(stage.replies(client).len(), 2);
    stage.answer(worker, &first, b"\x00");
    assert!(stage.stopped);
}
