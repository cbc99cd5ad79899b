//! Prefetched calls, and long calls that block them.

use super::harness::{Harness, calc, request};
use crate::wire::{
    Envelope,
    envelope::{Dispatch, Items, Request, RequestFlags},
    handshake::Offer,
    ids::ConnectionId,
    item_batch::ItemBatch,
    streams::{Streams, Style},
};

/// No calls.
const NONE: [u64; 0] = [];

/// The service `calc` with a prefetch.
fn prefetching(slots: u32, prefetch: u32) -> Offer {
    Offer { prefetch, ..calc(slots) }
}

/// A worker with one slot and this prefetch, and a client.
fn harness(prefetch: u32) -> (Harness, ConnectionId, ConnectionId) {
    let mut harness = Harness::new();
    let worker = harness.worker(1, prefetching(1, prefetch));
    let client = harness.client(9);
    (harness, worker, client)
}

fn started(harness: &mut Harness, worker: ConnectionId, dispatch: &Dispatch) {
    harness.send(worker, Envelope::Started(dispatch.number));
}

fn hand_back(harness: &mut Harness, worker: ConnectionId, dispatch: &Dispatch) {
    harness.send(worker, Envelope::Handback(dispatch.number));
}

/// Returns the numbers of the calls that a worker received.
fn calls(harness: &mut Harness, worker: ConnectionId) -> Vec<u64> {
    harness.dispatches(worker).iter().map(|dispatch| dispatch.call.number.0).collect()
}

#[test]
fn nothing_is_prefetched_while_every_slot_has_a_started_call() {
    let mut harness = Harness::new();
    let worker = harness.worker(1, prefetching(2, 2));
    let client = harness.client(9);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let running = harness.dispatches(worker);
    started(&mut harness, worker, &running[0]);
    harness.call(client, 3, "calc.add");
    let held = harness.dispatches(worker).pop().expect("the other slot may be free soon");
    started(&mut harness, worker, &running[1]);
    harness.call(client, 4, "calc.add");
    assert_eq!(calls(&mut harness, worker), NONE);
    harness.reply(worker, &running[0], &[0]);
    assert_eq!(calls(&mut harness, worker), NONE, "the held call takes the slot");
    harness.reply(worker, &held, &[0]);
    assert_eq!(calls(&mut harness, worker), [4], "a slot is free again");
}

#[test]
fn after_a_long_call_nothing_is_prefetched_until_a_short_one_has_ended() {
    let (mut harness, worker, client) = harness(1);
    (1..=2).for_each(|number| harness.call(client, number, "calc.add"));
    let sent = harness.dispatches(worker);
    started(&mut harness, worker, &sent[0]);
    hand_back(&mut harness, worker, &sent[1]);
    harness.reply(worker, &sent[0], &[0]);
    let next = harness.dispatches(worker).pop().unwrap();
    harness.call(client, 3, "calc.add");
    assert_eq!(calls(&mut harness, worker), NONE, "the next call may be long, too");
    harness.reply(worker, &next, &[0]);
    harness.call(client, 4, "calc.add");
    assert_eq!(calls(&mut harness, worker), [3, 4]);
}

#[test]
fn a_call_that_was_handed_back_behind_a_long_call_goes_to_a_free_worker_at_once() {
    let (mut harness, one, client) = harness(4);
    (1..=2).for_each(|number| harness.call(client, number, "calc.pay"));
    let at_one = harness.dispatches(one);
    let two = harness.worker(2, prefetching(1, 4));
    started(&mut harness, one, &at_one[0]);
    hand_back(&mut harness, one, &at_one[1]);
    let again = harness.dispatches(two);
    assert_eq!((again[0].call.number.0, again[0].attempt), (2, 1), "a handback does not count as an attempt");
}

#[test]
fn a_handback_behind_a_long_call_causes_no_pause_and_the_call_keeps_its_place() {
    let (mut harness, worker, client) = harness(2);
    (1..=5).for_each(|number| harness.call(client, number, "calc.add"));
    let sent = harness.dispatches(worker);
    assert_eq!(sent.len(), 3);
    started(&mut harness, worker, &sent[0]);
    hand_back(&mut harness, worker, &sent[1]);
    hand_back(&mut harness, worker, &sent[2]);
    assert_eq!(calls(&mut harness, worker), NONE, "the broker does not send them back to the blocked worker");
    harness.reply(worker, &sent[0], &[0]);
    let second = harness.dispatches(worker).pop().unwrap();
    assert_eq!(second.call.number.0, 2);
    harness.reply(worker, &second, &[0]);
    assert_eq!(calls(&mut harness, worker), [3, 4, 5]);
}

#[test]
fn an_item_shows_that_its_call_has_started() {
    let (mut harness, worker, client) = harness(2);
    let streams = Streams { style: Style::Server, ..Streams::NONE };
    harness.send(client, Envelope::Request(Request { streams, ..request(1, "calc.count") }));
    let counting = harness.dispatches(worker).pop().unwrap();
    let batch = ItemBatch::one(vec![0].into());
    let item = Items { number: counting.number.0, sequence: 0, latest: None, batch };
    harness.send(worker, Envelope::Items(item));
    harness.call(client, 2, "calc.add");
    assert_eq!(calls(&mut harness, worker), NONE);
    started(&mut harness, worker, &counting);
    harness.reply(worker, &counting, &[0]);
    assert_eq!(calls(&mut harness, worker), [2], "a start is counted once");
}

#[test]
fn a_subcall_that_was_handed_back_behind_a_long_call_waits_for_its_worker() {
    let (mut harness, one, client) = harness(2);
    harness.call(client, 1, "calc.add");
    let long = harness.dispatches(one).pop().unwrap();
    let two = harness.worker(2, calc(1));
    let flags = RequestFlags { broadcast: true, ..RequestFlags::default() };
    harness.send(client, Envelope::Request(Request { flags, ..request(2, "calc.add") }));
    let held = harness.dispatches(one).pop().unwrap();
    let other = harness.dispatches(two).pop().unwrap();
    harness.reply(two, &other, &[0]);
    started(&mut harness, one, &long);
    hand_back(&mut harness, one, &held);
    assert!(harness.dispatches(two).is_empty(), "another worker does not get the subcall");
    harness.reply(one, &long, &[0]);
    let held = harness.dispatches(one).pop().expect("its worker gets it again");
    harness.reply(one, &held, &[0]);
    let replies = harness.replies(client);
    assert!(replies.iter().all(|(_, outcome)| outcome.is_ok()), "{replies:?}");
    assert_eq!(replies.len(), 2);
}
