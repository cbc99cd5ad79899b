//! Streams: items, credit, progress, and their loss.

use bytes::Bytes;

use super::harness::{Harness, calc, request, seconds};
use crate::wire::{
    Envelope,
    envelope::{Cancel, Dispatch, End, Items, Request, RequestFlags, StreamCredit},
    ids::ConnectionId,
    item_batch::ItemBatch,
    limits::{BATCH_ITEMS_MAX, STREAM_BYTES, STREAM_ITEMS},
    status::{Code, Executed},
    streams::{ItemCredit, Streams, Style},
};

const TO_CALLER: Streams = Streams { style: Style::Server, ..Streams::NONE };
const FROM_CALLER: Streams = Streams { style: Style::Client, ..Streams::NONE };

fn item(number: u64, sequence: u64, bytes: usize) -> Envelope {
    batch(number, sequence, 1, bytes)
}

fn batch(number: u64, sequence: u64, items: u32, bytes: usize) -> Envelope {
    let batch = ItemBatch::new(items, Bytes::from(vec![0x40; bytes]));
    Envelope::Items(Items { number, sequence, latest: None, batch })
}

fn credit(number: u64, credit: ItemCredit) -> Envelope {
    Envelope::StreamCredit(StreamCredit { number, credit })
}

fn items(credit: u32) -> ItemCredit {
    ItemCredit { items: credit, bytes: u64::from(credit) * 100 }
}

impl Harness {
    /// Calls `calc.count` from a client, and grants credit for items.
    fn count(&mut self, client: ConnectionId, number: u64) {
        self.send(client, Envelope::Request(Request { streams: TO_CALLER, ..request(number, "calc.count") }));
        self.send(client, credit(number, ItemCredit::WINDOW));
    }

    /// Calls `calc.sum` from a client.
    fn sum(&mut self, client: ConnectionId, number: u64) {
        self.send(client, Envelope::Request(Request { streams: FROM_CALLER, ..request(number, "calc.sum") }));
    }

    /// Takes the single dispatch that a worker received, and the envelopes behind it.
    fn dispatched(&mut self, worker: ConnectionId) -> (Dispatch, Vec<Envelope>) {
        let mut received = self.received(worker);
        assert!(!received.is_empty(), "nothing was dispatched");
        match received.remove(0) {
            Envelope::Dispatch(dispatch) => (dispatch, received),
            other => panic!("no dispatch: {other:?}"),
        }
    }
}

#[test]
fn stream_messages_sent_before_a_call_runs_follow_its_dispatch() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.call(client, 1, "calc.add");
    let first = harness.dispatches(worker).remove(0);
    harness.count(client, 2);
    harness.sum(client, 3);
    harness.send(client, Envelope::End(End { number: 3, items: 0 }));
    harness.reply(worker, &first, &[1]);
    let (count, behind) = harness.dispatched(worker);
    assert_eq!((count.streams, behind), (TO_CALLER, vec![credit(count.number.0, ItemCredit::WINDOW)]));
    harness.reply(worker, &count, &[0xf6]);
    let (sum, behind) = harness.dispatched(worker);
    assert_eq!(behind, [Envelope::End(End { number: sum.number.0, items: 0 })]);
}

#[test]
fn a_reader_that_does_not_read_stops_its_writer_at_the_window() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.count(client, 1);
    let (count, _) = harness.dispatched(worker);
    let bytes = STREAM_BYTES as usize / STREAM_ITEMS as usize;
    let window = u64::from(STREAM_ITEMS);
    for sequence in 0..window {
        harness.send(worker, item(count.number.0, sequence, bytes));
    }
    assert_eq!(harness.broker.stream_bytes(), STREAM_BYTES);
    assert_eq!(harness.received(client).len() as u64, window);
    // Then thousands of items pass, and the broker never buffers more than the window.
    for sequence in window..5_000 {
        harness.send(client, credit(1, ItemCredit::one(bytes as u64)));
        harness.send(worker, item(count.number.0, sequence, bytes));
        assert_eq!(harness.broker.stream_bytes(), STREAM_BYTES);
    }
    harness.reply(worker, &count, &[0xf6]);
    assert_eq!(harness.broker.stream_bytes(), 0, "an ended stream uses no bytes");
    assert_eq!(harness.broker.counters().streams_broken, 0);
}

#[test]
fn a_stream_violation_ends_only_its_call() {
    // The credit of the client, and per case the messages of the worker and the failure of the call.
    let window = ItemCredit { items: 2, bytes: 200 };
    let faults: [(&[Envelope], &str); 4] = [
        (&[item(0, 1, 1)], "received item 1, expected item 0"),
        (&[item(0, 0, 1), item(0, 1, 1), item(0, 2, 1)], "without credit"),
        (&[item(0, 0, 201)], "without credit"),
        (&[credit(0, items(1))], "no such stream"),
    ];
    for (messages, why) in faults {
        let mut harness = Harness::new();
        let (worker, client) = (harness.worker(1, calc(2)), harness.client(2));
        harness.call(client, 1, "calc.add");
        let other = harness.dispatches(worker).remove(0);
        harness.send(client, Envelope::Request(Request { streams: TO_CALLER, ..request(2, "calc.count") }));
        harness.send(client, credit(2, window));
        let (count, _) = harness.dispatched(worker);
        for envelope in messages {
            let number = count.number.0;
            harness.send(
                worker,
                match envelope.clone() {
                    Envelope::Items(item) => Envelope::Items(Items { number, ..item }),
                    Envelope::StreamCredit(credit) => Envelope::StreamCredit(StreamCredit { number, ..credit }),
                    other => other,
                },
            );
        }
        let failure = harness.failure(client);
        assert_eq!(failure.code, Code::Internal, "{failure}");
        assert!(
            failure.message.contains("the worker violated the rules of its stream") && failure.message.contains(why),
            "{failure}"
        );
        let cancel = Envelope::Cancel(Cancel { number: count.number.0, done_below: None });
        assert_eq!(harness.received(worker), [cancel]);
        assert_eq!(harness.broker.counters().streams_broken, 1);
        harness.reply(worker, &other, &[5]);
        assert_eq!(harness.replies(client).len(), 1, "the other call continues");
    }
}

#[test]
fn a_batch_takes_the_credit_and_the_numbers_of_its_items() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.count(client, 1);
    let (count, _) = harness.dispatched(worker);
    let window = u64::from(STREAM_ITEMS);
    harness.send(worker, batch(count.number.0, 0, BATCH_ITEMS_MAX, 1_000));
    harness.send(worker, batch(count.number.0, BATCH_ITEMS_MAX.into(), BATCH_ITEMS_MAX - 1, 1_000));
    harness.send(worker, item(count.number.0, window - 1, 1));
    let forwarded = harness.received(client);
    assert_eq!(forwarded.len(), 3);
    assert_eq!(forwarded[0], batch(1, 0, BATCH_ITEMS_MAX, 1_000), "it is forwarded unchanged");
    assert_eq!(harness.broker.counters().items, window);
    assert_eq!(harness.broker.stream_bytes(), 2_001);
    // The items of a batch that crosses the credit are refused together.
    harness.send(client, credit(1, ItemCredit { items: 2, bytes: 100 }));
    harness.send(worker, batch(count.number.0, window, 3, 3));
    let failure = harness.failure(client);
    assert!(failure.message.contains("without credit"), "{failure}");
}

#[test]
fn a_worker_that_is_lost_after_a_batch_ends_the_call() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(1)), harness.client(2));
    harness.count(client, 1);
    let (count, _) = harness.dispatched(worker);
    harness.send(worker, batch(count.number.0, 0, 10, 10));
    assert_eq!(harness.received(client), [batch(1, 0, 10, 10)]);
    harness.send(worker, Envelope::Goodbye(None));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Yes));
}

#[test]
fn an_item_without_credit_ends_only_its_call() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.sum(client, 1);
    let (sum, _) = harness.dispatched(worker);
    harness.send(client, item(1, 0, 1));
    assert_eq!(harness.failure(client).code, Code::ResourceExhausted);
    assert_eq!(harness.received(worker), [Envelope::Cancel(Cancel { number: sum.number.0, done_below: None })]);
    assert!(!harness.closed.contains(&client));
}

#[test]
fn credit_beyond_the_window_ends_the_call() {
    let mut harness = Harness::new();
    let (_worker, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.count(client, 1);
    harness.send(client, credit(1, items(1)));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::Maybe), "{failure}");
}

#[test]
fn a_streaming_call_without_items_is_retried_with_the_remaining_credit() {
    let mut harness = Harness::new();
    let (first, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.count(client, 1);
    harness.sum(client, 2);
    let (_count, behind) = harness.dispatched(first);
    let Some(Envelope::Dispatch(sum)) = behind.last() else { panic!("no second dispatch: {behind:?}") };
    harness.send(first, credit(sum.number.0, items(4)));
    assert_eq!(harness.received(client), [credit(2, items(4))]);
    let second = harness.worker(3, calc(2));
    harness.send(first, Envelope::Goodbye(None));
    let (count, mut behind) = harness.dispatched(second);
    assert_eq!((count.attempt, behind.remove(0)), (2, credit(count.number.0, ItemCredit::WINDOW)));
    let Some(Envelope::Dispatch(sum)) = behind.pop() else {
        panic!("no second dispatch to the other worker: {behind:?}")
    };
    // The client already has credit for four items.
    harness.send(second, credit(sum.number.0, items(6)));
    assert_eq!(harness.received(client), [credit(2, items(2))]);
    harness.send(client, item(2, 0, 1));
    assert_eq!(harness.received(second), [item(sum.number.0, 0, 1)]);
}

#[test]
fn an_item_in_flight_when_its_worker_is_lost_ends_the_call() {
    let mut harness = Harness::new();
    let (first, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.sum(client, 1);
    let (sum, _) = harness.dispatched(first);
    harness.send(first, credit(sum.number.0, items(4)));
    harness.received(client);
    let second = harness.worker(3, calc(2));
    harness.send(first, Envelope::Goodbye(None));
    let (again, _) = harness.dispatched(second);
    harness.send(client, item(1, 0, 1));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe), "{failure}");
    assert_eq!(harness.received(second), [Envelope::Cancel(Cancel { number: again.number.0, done_below: None })]);
}

#[test]
fn a_call_with_items_ends_with_its_worker_whatever_its_effect() {
    let mut harness = Harness::new();
    let (first, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.count(client, 1);
    let (count, _) = harness.dispatched(first);
    harness.send(first, item(count.number.0, 0, 1));
    assert_eq!(harness.received(client), [item(1, 0, 1)]);
    let second = harness.worker(3, calc(2));
    harness.send(first, Envelope::Goodbye(None));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Yes), "{failure}");
    assert!(harness.dispatches(second).is_empty());
}

#[test]
fn a_call_with_items_ends_with_the_connection_of_its_client() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.count(client, 1);
    let (count, _) = harness.dispatched(worker);
    harness.send(worker, item(count.number.0, 0, 1));
    let client = harness.reconnect_client(2, 2);
    assert_eq!(harness.received(worker), [Envelope::Cancel(Cancel { number: count.number.0, done_below: None })]);
    let resend = RequestFlags { resend: true, ..RequestFlags::default() };
    harness.send(client, Envelope::Request(Request { streams: TO_CALLER, flags: resend, ..request(1, "calc.count") }));
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Yes), "{failure}");
}

#[test]
fn a_result_with_lost_items_is_replaced_by_a_failure() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.count(client, 1);
    let (count, _) = harness.dispatched(worker);
    harness.send(worker, item(count.number.0, 0, 1));
    harness.reply(worker, &count, &[0xf6]);
    assert_eq!(harness.received(client).len(), 2, "the item and the result are lost with the connection");
    let client = harness.reconnect_client(2, 2);
    let resend = RequestFlags { resend: true, ..RequestFlags::default() };
    harness.send(client, Envelope::Request(Request { streams: TO_CALLER, flags: resend, ..request(1, "calc.count") }));
    assert_eq!(harness.failure(client).code, Code::Unavailable);
}

#[test]
fn a_resent_call_without_items_resumes_with_new_credit() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.count(client, 1);
    let (count, _) = harness.dispatched(worker);
    let client_connection = harness.reconnect_client(2, 2);
    assert_ne!(client, client_connection);
    let resend = RequestFlags { resend: true, ..RequestFlags::default() };
    harness.send(
        client_connection,
        Envelope::Request(Request { streams: TO_CALLER, flags: resend, ..request(1, "calc.count") }),
    );
    harness.send(client_connection, credit(1, ItemCredit::WINDOW));
    assert!(harness.received(worker).is_empty(), "the worker already has that credit");
    harness.send(worker, item(count.number.0, 0, 1));
    assert_eq!(harness.received(client_connection), [item(1, 0, 1)]);
}

#[test]
fn stream_messages_after_the_outcome_are_dropped() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(2)), harness.client(2));
    harness.sum(client, 1);
    let (sum, _) = harness.dispatched(worker);
    harness.send(worker, credit(sum.number.0, items(4)));
    harness.reply(worker, &sum, &[5]);
    harness.received(client);
    harness.send(client, item(1, 0, 1));
    harness.send(client, Envelope::End(End { number: 1, items: 1 }));
    harness.send(worker, credit(sum.number.0, items(4)));
    assert!(harness.received(client).is_empty() && harness.received(worker).is_empty());
    assert!(harness.closed.is_empty(), "no connection is closed");
}

#[test]
fn progress_reaches_only_subscribed_calls_and_is_rate_limited() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(2)), harness.client(2));
    let streams = Streams { progress: true, ..Streams::NONE };
    harness.send(client, Envelope::Request(Request { streams, ..request(1, "calc.add") }));
    harness.call(client, 2, "calc.add");
    let dispatches = harness.dispatches(worker);
    let progress = Bytes::from_static(&[0x83, 1, 2, 0x60]);
    for dispatch in &dispatches {
        for _ in 0..100 {
            harness.send(worker, Envelope::Progress(dispatch.number.0, progress.clone()));
        }
    }
    let received = harness.received(client);
    assert!(!received.is_empty() && received.len() < 20, "{} messages", received.len());
    assert!(received.iter().all(|envelope| *envelope == Envelope::Progress(1, progress.clone())));
    harness.advance_with(seconds(1), &[worker, client]);
    harness.send(worker, Envelope::Progress(dispatches[0].number.0, progress.clone()));
    assert_eq!(harness.received(client), [Envelope::Progress(1, progress)]);
}
