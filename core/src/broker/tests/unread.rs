//! Workers are sent no more at once than they read.

use bytes::Bytes;

use super::stage::{Stage, calc, request, seconds};
use crate::{
    broker::Settings,
    wire::{Envelope, envelope::Request, ids::ConnectionId},
};

fn call(stage: &mut Stage, client: ConnectionId, number: u64, bytes: usize) {
    let body = Bytes::from([&[0x59, (bytes >> 8) as u8, bytes as u8][..], &vec![0; bytes]].concat());
    stage.say(client, Envelope::Request(Request { body, ..request(number, "calc.add") }));
}

/// A broker whose workers may have 1,000 bytes to read.
fn stage() -> Stage {
    let mut stage = Stage::young(Settings { worker_bytes_max: 1_000, ..Settings::default() });
    stage.pass(seconds(3));
    stage
}

#[test]
fn a_worker_is_sent_no_more_than_it_reads_however_many_slots_it_has() {
    let mut stage = stage();
    let (worker, client) = (stage.worker(1, calc(100)), stage.client(2));
    (1..=10).for_each(|number| call(&mut stage, client, number, 400));
    let sent = stage.dispatches(worker);
    assert_eq!(sent.len(), 3, "the one that crosses the limit goes, and no other");
    stage.answer(worker, &sent[0], &[0]);
    assert_eq!(stage.dispatches(worker).len(), 1, "it has read one");
    // It has read all up to the last one that it speaks of.
    stage.say(worker, Envelope::Started(sent[2].number));
    assert_eq!(stage.dispatches(worker).len(), 2);
}

#[test]
fn while_one_worker_reads_another_is_given_the_calls() {
    let mut stage = stage();
    let (one, client) = (stage.worker(1, calc(100)), stage.client(9));
    (1..=3).for_each(|number| call(&mut stage, client, number, 400));
    assert_eq!(stage.dispatches(one).len(), 3);
    let two = stage.worker(2, calc(100));
    call(&mut stage, client, 4, 400);
    assert_eq!((stage.dispatches(one).len(), stage.dispatches(two).len()), (0, 1));
}

#[test]
fn a_call_larger_than_the_limit_is_sent_to_who_has_nothing_to_read() {
    let mut stage = stage();
    let (worker, client) = (stage.worker(1, calc(100)), stage.client(2));
    call(&mut stage, client, 1, 5_000);
    let sent = stage.dispatches(worker);
    assert_eq!(sent.len(), 1);
    call(&mut stage, client, 2, 1);
    assert!(stage.dispatches(worker).is_empty());
    stage.answer(worker, &sent[0], &[0]);
    assert_eq!(stage.dispatches(worker).len(), 1);
}
