//! Streams between real processes.

use std::time::{Duration, Instant};

use callboard::{CallError, Client, Code, Executed, Progress, SendError};
use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::harness::{Broker, DEADLINE, Process};

/// Starts a broker and the example worker, and connects a client.
async fn scene() -> (Broker, Process, Client) {
    let broker = Broker::start();
    let worker = broker.worker("streams-worker", "numbers");
    let client = broker.client().await;
    (broker, worker, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_items_come_in_order_and_then_the_end() {
    let (_broker, _worker, client) = scene().await;
    let mut items = client.call::<()>("numbers.count", (200_000,)).timeout(DEADLINE).stream::<u64>();
    let mut next = 1;
    while let Some(item) = items.next().await {
        assert_eq!(item.unwrap(), next);
        next += 1;
    }
    assert_eq!(next, 200_001);
    assert!(items.next().await.is_none(), "a stream that has ended stays ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_the_caller_reach_the_handler_and_the_reply_comes_after_the_end() {
    let (_broker, _worker, client) = scene().await;
    let (mut numbers, sum) = client.call::<i64>("numbers.sum", ()).timeout(DEADLINE).upload::<i64>();
    for number in 1..=10_000 {
        numbers.send(&number).await.unwrap();
    }
    numbers.end();
    assert_eq!(sum.await.unwrap(), 50_005_000);
    let (numbers, sum) = client.call::<i64>("numbers.sum", ()).upload::<i64>();
    numbers.end();
    assert_eq!(sum.await.unwrap(), 0, "a stream may be empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_go_both_ways_on_one_call() {
    let (_broker, _worker, client) = scene().await;
    let (mut numbers, mut sums) = client.call::<()>("numbers.sums", (100,)).timeout(DEADLINE).duplex::<i64, i64>();
    let mut sum = 100;
    for number in 0..1_000 {
        numbers.send(&number).await.unwrap();
        sum += number;
        assert_eq!(sums.next().await.unwrap().unwrap(), sum);
    }
    numbers.end();
    assert!(sums.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_delays_no_other_call_and_gets_everything_later() {
    let (_broker, _worker, client) = scene().await;
    let mut slow = client.call::<()>("numbers.count", (1_000,)).timeout(DEADLINE).stream::<u64>();
    for _ in 0..100 {
        let quick = client.call::<()>("numbers.count", (100,)).timeout(DEADLINE).stream::<u64>();
        assert_eq!(futures::StreamExt::count(quick).await, 100);
    }
    let mut count = 0;
    while let Some(item) = slow.next().await {
        count += 1;
        assert_eq!(item.unwrap(), count);
    }
    assert_eq!(count, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflated_reader_gets_the_last_item_and_the_number_of_missed_ones() {
    let (_broker, _worker, client) = scene().await;
    let mut newest = client.call::<()>("numbers.newest", (100_000,)).timeout(DEADLINE).stream::<u64>();
    let (mut last, mut taken) = (0, 0);
    while let Some(item) = newest.next().await {
        let item = item.unwrap();
        assert!(item > last, "the numbers increase");
        (last, taken) = (item, taken + 1);
    }
    assert_eq!(last, 100_000);
    assert_eq!(taken + newest.dropped(), 100_000, "each item was read or is counted as dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_stops_its_handler() {
    let (_broker, worker, client) = scene().await;
    let mut ticks = client.call::<()>("numbers.ticks", ()).no_timeout().stream::<u64>();
    assert_eq!(ticks.next().await.unwrap().unwrap(), 0);
    drop(ticks);
    assert_eq!(worker.line(), "the caller of ticks is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_dropped_without_its_end_cancels_the_call() {
    let (_broker, _worker, client) = scene().await;
    let (mut numbers, sum) = client.call::<i64>("numbers.sum", ()).timeout(DEADLINE).upload::<i64>();
    numbers.send(&1).await.unwrap();
    drop(numbers);
    let error = sum.await.unwrap_err();
    assert_eq!(error.code(), Code::Cancelled, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_a_stream_ends_it_and_it_is_not_run_again() {
    let (broker, worker, client) = scene().await;
    let mut ticks = client.call::<()>("numbers.ticks", ()).timeout(DEADLINE).stream::<u64>();
    for tick in 0..10 {
        assert_eq!(ticks.next().await.unwrap().unwrap(), tick);
    }
    let _other = broker.worker("streams-worker", "numbers");
    worker.signal(Signal::KILL);
    let error = loop {
        match ticks.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), error.executed()), (Code::Unavailable, Executed::Yes), "{error}");
    assert!(ticks.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_in_the_middle_of_a_stream_ends_it() {
    let (mut broker, _worker, client) = scene().await;
    let mut ticks = client.call::<()>("numbers.ticks", ()).timeout(DEADLINE).stream::<u64>();
    let (mut numbers, sum) = client.call::<i64>("numbers.sum", ()).timeout(DEADLINE).upload::<i64>();
    ticks.next().await.unwrap().unwrap();
    numbers.send(&1).await.unwrap();
    broker.kill_and_start_again();
    let error = loop {
        match ticks.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert_eq!(sum.await.unwrap_err().code(), Code::Unavailable);
    let over = async {
        while numbers.send(&1).await.is_ok() {}
        numbers.send(&1).await
    };
    assert_eq!(over.await, Err(SendError::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_item_ends_only_its_own_call_with_a_reason() {
    let (_broker, _worker, client) = scene().await;
    let invalid = |error: CallError, expected: &str| {
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains(expected), "{error}");
    };
    let unary: CallError = client.call::<u64>("numbers.count", (3,)).await.unwrap_err();
    assert_eq!(unary.executed(), Executed::No, "{unary}");
    invalid(unary, "numbers.count is a server stream");
    let mut stream = client.call::<()>("numbers.walk", (3,)).stream::<u64>();
    invalid(stream.next().await.unwrap().unwrap_err(), "numbers.walk is a method of one request and one reply");
    let (mut numbers, sum) = client.call::<i64>("numbers.sum", ()).upload::<String>();
    numbers.send(&"three".to_owned()).await.unwrap();
    invalid(sum.await.unwrap_err(), "item 0 of the stream is invalid");
    let mut words = client.call::<()>("numbers.count", (3,)).stream::<String>();
    let error = words.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Internal, "{error}");
    assert!(error.message().contains("an item of the stream is no"), "{error}");
    assert!(words.next().await.is_none());
    assert_eq!(client.call::<u64>("numbers.walk", (3,)).await.unwrap(), 3, "other calls continue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_the_deadline_of_its_call() {
    let (_broker, _worker, client) = scene().await;
    let started = Instant::now();
    let mut ticks = client.call::<()>("numbers.ticks", ()).timeout(Duration::from_millis(300)).stream::<u64>();
    let error = loop {
        match ticks.next().await.unwrap() {
            Ok(_) => assert!(started.elapsed() < DEADLINE),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_increases_and_arrives_before_the_outcome() {
    let (_broker, _worker, client) = scene().await;
    let (sender, mut receiver) = mpsc::channel(1_000);
    let walk = client.call::<u64>("numbers.walk", (500,)).timeout(DEADLINE);
    let steps = walk.on_progress(move |progress: Progress| sender.try_send(progress).unwrap()).await.unwrap();
    assert_eq!(steps, 500);
    let mut done = 0;
    while let Some(progress) = receiver.recv().await {
        assert!(progress.done > done, "the numbers increase");
        assert_eq!((progress.total, &*progress.message), (Some(500), "walking"));
        done = progress.done;
    }
    assert_eq!(done, 500, "the last progress report arrives before the outcome");
}
