//! Streams on their way through the broker.

use bytes::Bytes;

use super::stage::{Stage, calc, request, seconds};
use crate::wire::{
    Envelope,
    envelope::{Cancel, Dispatch, End, Item, Request, RequestFlags, StreamCredit},
    ids::ConnectionId,
    limits::{STREAM_BYTES, STREAM_ITEMS},
    status::{Code, Executed},
    streams::{ItemCredit, Streams},
};

const TO_CALLER: Streams = Streams { to_caller: true, ..Streams::NONE };
const FROM_CALLER: Streams = Streams { from_caller: true, ..Streams::NONE };

fn item(number: u64, sequence: u64, bytes: usize) -> Envelope {
    Envelope::Item(Item { number, sequence, latest: None, body: Bytes::from(vec![0x40; bytes]) })
}

fn credit(number: u64, credit: ItemCredit) -> Envelope {
    Envelope::StreamCredit(StreamCredit { number, credit })
}

fn items(credit: u32) -> ItemCredit {
    ItemCredit { items: credit, bytes: u64::from(credit) * 100 }
}

impl Stage {
    /// A client calls `calc.count`, and makes room for items.
    fn count(&mut self, client: ConnectionId, number: u64) {
        self.say(client, Envelope::Request(Request { streams: TO_CALLER, ..request(number, "calc.count") }));
        self.say(client, credit(number, ItemCredit::WINDOW));
    }

    /// A client calls `calc.sum`.
    fn sum(&mut self, client: ConnectionId, number: u64) {
        self.say(client, Envelope::Request(Request { streams: FROM_CALLER, ..request(number, "calc.sum") }));
    }

    /// The one dispatch that a worker was sent, and what came behind it.
    fn dispatched(&mut self, worker: ConnectionId) -> (Dispatch, Vec<Envelope>) {
        let mut heard = self.heard(worker);
        assert!(!heard.is_empty(), "nothing was dispatched");
        match heard.remove(0) {
            Envelope::Dispatch(dispatch) => (dispatch, heard),
            other => panic!("no dispatch: {other:?}"),
        }
    }
}

#[test]
fn what_a_caller_says_before_its_call_runs_goes_behind_the_dispatch() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.call(client, 1, "calc.add");
    let first = stage.dispatches(worker).remove(0);
    stage.count(client, 2);
    stage.sum(client, 3);
    stage.say(client, Envelope::End(End { number: 3, items: 0 }));
    stage.answer(worker, &first, &[1]);
    let (count, behind) = stage.dispatched(worker);
    assert_eq!((count.streams, behind), (TO_CALLER, vec![credit(count.number.0, ItemCredit::WINDOW)]));
    stage.answer(worker, &count, &[0xf6]);
    let (sum, behind) = stage.dispatched(worker);
    assert_eq!(behind, [Envelope::End(End { number: sum.number.0, items: 0 })]);
}

#[test]
fn a_reader_that_takes_nothing_stops_its_writer_at_the_window_and_no_more_is_held() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(1)), stage.client(2));
    stage.count(client, 1);
    let (count, _) = stage.dispatched(worker);
    let bytes = STREAM_BYTES as usize / STREAM_ITEMS as usize;
    let window = u64::from(STREAM_ITEMS);
    for sequence in 0..window {
        stage.say(worker, item(count.number.0, sequence, bytes));
    }
    assert_eq!(stage.broker.stream_bytes(), STREAM_BYTES);
    assert_eq!(stage.heard(client).len() as u64, window);
    // Then thousands pass, and never more than the window is held.
    for sequence in window..5_000 {
        stage.say(client, credit(1, ItemCredit::one(bytes as u64)));
        stage.say(worker, item(count.number.0, sequence, bytes));
        assert_eq!(stage.broker.stream_bytes(), STREAM_BYTES);
    }
    stage.answer(worker, &count, &[0xf6]);
    assert_eq!(stage.broker.stream_bytes(), 0, "a stream that has ended holds nothing");
    assert_eq!(stage.broker.counters().streams_broken, 0);
}

#[test]
fn who_breaks_the_rules_of_a_stream_ends_that_call_and_nothing_else() {
    // The window of items; what the worker says; how the call ends for the client.
    let window = ItemCredit { items: 2, bytes: 200 };
    let faults: [(&[Envelope], &str); 4] = [
        (&[item(0, 1, 1)], "received item 1, expected item 0"),
        (&[item(0, 0, 1), item(0, 1, 1), item(0, 2, 1)], "without credit"),
        (&[item(0, 0, 201)], "without credit"),
        (&[credit(0, items(1))], "no such stream"),
    ];
    for (said, why) in faults {
        let mut stage = Stage::new();
        let (worker, client) = (stage.worker(1, calc(2)), stage.client(2));
        stage.call(client, 1, "calc.add");
        let other = stage.dispatches(worker).remove(0);
        stage.say(client, Envelope::Request(Request { streams: TO_CALLER, ..request(2, "calc.count") }));
        stage.say(client, credit(2, window));
        let (count, _) = stage.dispatched(worker);
        for envelope in said {
            let number = count.number.0;
            stage.say(
                worker,
                match envelope.clone() {
                    Envelope::Item(item) => Envelope::Item(Item { number, ..item }),
                    Envelope::StreamCredit(credit) => Envelope::StreamCredit(StreamCredit { number, ..credit }),
                    other => other,
                },
            );
        }
        let failure = stage.failure(client);
        assert_eq!(failure.code, Code::Internal, "{failure}");
        assert!(
            failure.message.contains("the worker broke the rules of its stream") && failure.message.contains(why),
            "{failure}"
        );
        let cancel = Envelope::Cancel(Cancel { number: count.number.0, done_below: None });
        assert_eq!(stage.heard(worker), [cancel]);
        assert_eq!(stage.broker.counters().streams_broken, 1);
        stage.answer(worker, &other, &[5]);
        assert_eq!(stage.replies(client).len(), 1, "the other call goes on");
    }
}

#[test]
fn a_client_that_sends_without_credit_loses_that_call_only() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.sum(client, 1);
    let (sum, _) = stage.dispatched(worker);
    stage.say(client, item(1, 0, 1));
    assert_eq!(stage.failure(client).code, Code::ResourceExhausted);
    assert_eq!(stage.heard(worker), [Envelope::Cancel(Cancel { number: sum.number.0, done_below: None })]);
    assert!(!stage.closed.contains(&client));
}

#[test]
fn credit_beyond_the_window_ends_the_call() {
    let mut stage = Stage::new();
    let (_worker, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.count(client, 1);
    stage.say(client, credit(1, items(1)));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::ResourceExhausted, Executed::Maybe), "{failure}");
}

#[test]
fn before_the_first_item_a_lost_workers_call_begins_again_with_the_credit_that_there_is() {
    let mut stage = Stage::new();
    let (first, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.count(client, 1);
    stage.sum(client, 2);
    let (_count, behind) = stage.dispatched(first);
    let Some(Envelope::Dispatch(sum)) = behind.last() else { panic!("two calls were made: {behind:?}") };
    stage.say(first, credit(sum.number.0, items(4)));
    assert_eq!(stage.heard(client), [credit(2, items(4))]);
    let second = stage.worker(3, calc(2));
    stage.say(first, Envelope::Goodbye(None));
    let (count, mut behind) = stage.dispatched(second);
    assert_eq!((count.attempt, behind.remove(0)), (2, credit(count.number.0, ItemCredit::WINDOW)));
    let Some(Envelope::Dispatch(sum)) = behind.pop() else { panic!("both go to the other worker: {behind:?}") };
    // The client has room for four already.
    stage.say(second, credit(sum.number.0, items(6)));
    assert_eq!(stage.heard(client), [credit(2, items(2))]);
    stage.say(client, item(2, 0, 1));
    assert_eq!(stage.heard(second), [item(sum.number.0, 0, 1)]);
}

#[test]
fn an_item_that_crosses_the_loss_of_its_worker_ends_the_call() {
    let mut stage = Stage::new();
    let (first, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.sum(client, 1);
    let (sum, _) = stage.dispatched(first);
    stage.say(first, credit(sum.number.0, items(4)));
    stage.heard(client);
    let second = stage.worker(3, calc(2));
    stage.say(first, Envelope::Goodbye(None));
    let (again, _) = stage.dispatched(second);
    stage.say(client, item(1, 0, 1));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe), "{failure}");
    assert_eq!(stage.heard(second), [Envelope::Cancel(Cancel { number: again.number.0, done_below: None })]);
}

#[test]
fn after_the_first_item_a_call_ends_with_its_worker_whatever_its_effect() {
    let mut stage = Stage::new();
    let (first, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.count(client, 1);
    let (count, _) = stage.dispatched(first);
    stage.say(first, item(count.number.0, 0, 1));
    assert_eq!(stage.heard(client), [item(1, 0, 1)]);
    let second = stage.worker(3, calc(2));
    stage.say(first, Envelope::Goodbye(None));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Yes), "{failure}");
    assert!(stage.dispatches(second).is_empty());
}

#[test]
fn a_call_with_items_on_the_way_does_not_survive_its_clients_connection() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.count(client, 1);
    let (count, _) = stage.dispatched(worker);
    stage.say(worker, item(count.number.0, 0, 1));
    let client = stage.client_again(2, 2);
    assert_eq!(stage.heard(worker), [Envelope::Cancel(Cancel { number: count.number.0, done_below: None })]);
    let resend = RequestFlags { resend: true, ..RequestFlags::default() };
    stage.say(client, Envelope::Request(Request { streams: TO_CALLER, flags: resend, ..request(1, "calc.count") }));
    let failure = stage.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Yes), "{failure}");
}

#[test]
fn a_result_whose_items_were_lost_is_not_told_as_one() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.count(client, 1);
    let (count, _) = stage.dispatched(worker);
    stage.say(worker, item(count.number.0, 0, 1));
    stage.answer(worker, &count, &[0xf6]);
    assert_eq!(stage.heard(client).len(), 2, "all of it is lost with the connection");
    let client = stage.client_again(2, 2);
    let resend = RequestFlags { resend: true, ..RequestFlags::default() };
    stage.say(client, Envelope::Request(Request { streams: TO_CALLER, flags: resend, ..request(1, "calc.count") }));
    assert_eq!(stage.failure(client).code, Code::Unavailable);
}

#[test]
fn a_call_without_items_yet_is_resumed_with_fresh_credit() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.count(client, 1);
    let (count, _) = stage.dispatched(worker);
    let client_connection = stage.client_again(2, 2);
    assert_ne!(client, client_connection);
    let resend = RequestFlags { resend: true, ..RequestFlags::default() };
    stage.say(
        client_connection,
        Envelope::Request(Request { streams: TO_CALLER, flags: resend, ..request(1, "calc.count") }),
    );
    stage.say(client_connection, credit(1, ItemCredit::WINDOW));
    assert!(stage.heard(worker).is_empty(), "the worker has that room already");
    stage.say(worker, item(count.number.0, 0, 1));
    assert_eq!(stage.heard(client_connection), [item(1, 0, 1)]);
}

#[test]
fn what_crosses_a_calls_outcome_is_dropped() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(2)), stage.client(2));
    stage.sum(client, 1);
    let (sum, _) = stage.dispatched(worker);
    stage.say(worker, credit(sum.number.0, items(4)));
    stage.answer(worker, &sum, &[5]);
    stage.heard(client);
    stage.say(client, item(1, 0, 1));
    stage.say(client, Envelope::End(End { number: 1, items: 1 }));
    stage.say(worker, credit(sum.number.0, items(4)));
    assert!(stage.heard(client).is_empty() && stage.heard(worker).is_empty());
    assert!(stage.closed.is_empty(), "nobody is sent away for it");
}

#[test]
fn progress_reaches_who_asked_for_it_and_not_too_often() {
    let mut stage = Stage::new();
    let (worker, client) = (stage.worker(1, calc(2)), stage.client(2));
    let streams = Streams { progress: true, ..Streams::NONE };
    stage.say(client, Envelope::Request(Request { streams, ..request(1, "calc.add") }));
    stage.call(client, 2, "calc.add");
    let dispatches = stage.dispatches(worker);
    let word = Bytes::from_static(&[0x83, 1, 2, 0x60]);
    for dispatch in &dispatches {
        for _ in 0..100 {
            stage.say(worker, Envelope::Progress(dispatch.number.0, word.clone()));
        }
    }
    let heard = stage.heard(client);
    assert!(!heard.is_empty() && heard.len() < 20, "{} words", heard.len());
    assert!(heard.iter().all(|envelope| *envelope == Envelope::Progress(1, word.clone())));
    stage.pass_with(seconds(1), &[worker, client]);
    stage.say(worker, Envelope::Progress(dispatches[0].number.0, word.clone()));
    assert_eq!(stage.heard(client), [Envelope::Progress(1, word)]);
}
