//! Bytes in flight: the broker sends a worker no more than it reads.

use bytes::Bytes;

use super::harness::{Harness, calc, request, seconds};
use crate::{
    broker::Settings,
    wire::{Envelope, envelope::Request, ids::ConnectionId},
};

fn call(harness: &mut Harness, client: ConnectionId, number: u64, bytes: usize) {
    let body = Bytes::from([&[0x59, (bytes >> 8) as u8, bytes as u8][..], &vec![0; bytes]].concat());
    harness.send(client, Envelope::Request(Request { body, ..request(number, "calc.add") }));
}

/// A broker with a limit of 1,000 bytes in flight for each worker.
fn harness() -> Harness {
    let mut harness = Harness::just_started(Settings { worker_bytes_max: 1_000, ..Settings::default() });
    harness.advance(seconds(3));
    harness
}

#[test]
fn the_bytes_in_flight_to_a_worker_are_bounded_whatever_its_slots() {
    let mut harness = harness();
    let (worker, client) = (harness.worker(1, calc(100)), harness.client(2));
    (1..=10).for_each(|number| call(&mut harness, client, number, 400));
    let sent = harness.dispatches(worker);
    assert_eq!(sent.len(), 3, "the call that crosses the limit is sent, and no other");
    harness.reply(worker, &sent[0], &[0]);
    assert_eq!(harness.dispatches(worker).len(), 1, "a reply shows that the worker has read one call");
    // A message about a call shows that the worker has read all calls up to it.
    harness.send(worker, Envelope::Started(sent[2].number));
    assert_eq!(harness.dispatches(worker).len(), 2);
}

#[test]
fn calls_go_to_another_worker_while_one_is_at_its_byte_limit() {
    let mut harness = harness();
    let (one, client) = (harness.worker(1, calc(100)), harness.client(9));
    (1..=3).for_each(|number| call(&mut harness, client, number, 400));
    assert_eq!(harness.dispatches(one).len(), 3);
    let two = harness.worker(2, calc(100));
    call(&mut harness, client, 4, 400);
    assert_eq!((harness.dispatches(one).len(), harness.dispatches(two).len()), (0, 1));
}

#[test]
fn a_call_above_the_byte_limit_goes_to_a_worker_with_nothing_in_flight() {
    let mut harness = harness();
    let (worker, client) = (harness.worker(1, calc(100)), harness.client(2));
    call(&mut harness, client, 1, 5_000);
    let sent = harness.dispatches(worker);
    assert_eq!(sent.len(), 1);
    call(&mut harness, client, 2, 1);
    assert!(harness.dispatches(worker).is_empty());
    harness.reply(worker, &sent[0], &[0]);
    assert_eq!(harness.dispatches(worker).len(), 1);
}
