//! Random interleavings: each call has exactly one outcome.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use callboard_clients::{CallError, CallFuture, Client, Code, Executed};
use callboard_core::wire::{
    envelope::{Envelope, Request},
    status::Failure,
};
use futures::FutureExt;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{broker::Broker, builder, run};

const SEEDS: u64 = 8;
const CALLS: usize = 300;

/// The number of times that each call's callback ran.
#[derive(Clone)]
struct Tally(Arc<[AtomicUsize]>);

impl Tally {
    fn new() -> Tally {
        Tally((0..CALLS).map(|_| AtomicUsize::new(0)).collect())
    }

    fn callback(&self, index: usize) -> impl FnOnce(Result<u64, CallError>) + Send + 'static {
        let tally = self.clone();
        move |_result| {
            tally.0[index].fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Makes calls with every ending, cancels some, and closes or drops the client. Returns the callbacks that must have run once.
async fn program(client: Client, mut chance: SmallRng, tally: Tally) -> Vec<bool> {
    let mut expected = vec![false; CALLS];
    let mut awaited: Vec<CallFuture<u64>> = Vec::new();
    for (index, expected) in expected.iter_mut().enumerate() {
        let call = client.call::<u64>("a.b", (index,)).timeout(Duration::from_millis(chance.random_range(1..400)));
        match chance.random_range(0..8) {
            0 | 1 => *expected = call.on_complete(tally.callback(index)).await.is_ok(),
            2 | 3 => *expected = call.try_on_complete(tally.callback(index)).is_ok(),
            4 => drop(client.call("a.cast", (index,)).try_cast()),
            _ => {
                let mut call = call.into_future();
                match (&mut call).now_or_never() {
                    Some(result) => drop(result.unwrap_err()),
                    None => awaited.push(call),
                }
            }
        }
        match chance.random_range(0..20) {
            0 => drop(awaited.drain(..awaited.len() / 2)),
            1 => tokio::time::sleep(Duration::from_millis(chance.random_range(0..10))).await,
            _ => {}
        }
    }
    if chance.random_bool(0.5) {
        // No call hangs, whatever the broker does.
        futures::future::join_all(awaited.drain(..)).await;
    }
    let _ = client.close().await;
    for outcome in awaited {
        let _ = outcome.await;
    }
    expected
}

/// Answers, fails, ignores and repeats calls in random order, and stops and restarts the broker.
async fn script(mut broker: Broker, mut chance: SmallRng) {
    let mut requests: Vec<Request> = Vec::new();
    loop {
        match broker.next().await {
            Envelope::Hello(_) => broker.let_in().await,
            Envelope::Request(request) if !request.flags.cast => requests.push(request),
            Envelope::Goodbye(_) => broker.send(Envelope::Goodbye(None)).await,
            _ => {}
        }
        while chance.random_bool(0.6) && !requests.is_empty() {
            let request = requests.swap_remove(chance.random_range(0..requests.len()));
            match chance.random_range(0..10) {
                0 => broker.fail(&request, Failure::new(Code::Aborted, Executed::Yes, "no")).await,
                1 => {}
                2 => {
                    broker.answer_with_credit(&request, 1).await;
                    broker.answer(&request, 2).await;
                }
                _ => broker.answer_with_credit(&request, 1).await,
            }
        }
        if chance.random_bool(0.01) {
            requests.clear();
            let with_memory = chance.random_bool(0.5);
            broker = broker.restarted(with_memory).await;
        }
    }
}

#[test]
fn every_call_has_exactly_one_outcome() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        run(async {
            let mut broker = Broker::start().await;
            broker.credit_calls = 50;
            let settings =
                builder(&broker.address).heartbeat(Duration::from_millis(50)).queue_calls_max(40).callbacks_max(60);
            let client = settings.connect_lazily().unwrap();
            let tally = Tally::new();
            let (for_program, for_script) = (SmallRng::seed_from_u64(seed), SmallRng::seed_from_u64(seed + 1000));
            let expected = tokio::select! {
                expected = program(client.clone(), for_program, tally.clone()) => expected,
                () = script(broker, for_script) => unreachable!("the script never ends"),
            };
            let ran: Vec<bool> = tally.0.iter().map(|count| count.load(Ordering::SeqCst) == 1).collect();
            assert!(tally.0.iter().all(|count| count.load(Ordering::SeqCst) <= 1), "a callback ran twice");
            assert_eq!(ran, expected, "a callback must run if and only if it was accepted");
            let statistics = client.statistics();
            assert_eq!((statistics.open, statistics.waiting), (0, 0));
            assert_eq!(statistics.calls, statistics.answered + statistics.failed + statistics.cancelled);
        });
    }
}
