//! Prefetched calls behind a long one. The workers run in the test's process, the broker does not.

use std::{
    thread,
    time::{Duration, Instant},
};

use callboard::{Service, Worker};

use crate::harness::{Broker, DEADLINE};

/// Runs for so many milliseconds, on a thread of its own.
fn work(ms: u64) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    ms
}

#[tokio::test(flavor = "multi_thread")]
async fn short_calls_do_not_wait_behind_a_long_one_while_another_worker_is_free() {
    let broker = Broker::start();
    let service = || Service::new("jobs").once("work", ["ms"], work).slots(1).prefetch(16);
    let workers = [(); 2].map(|()| Worker::new().backend(&broker.backend).serve(service()).start().unwrap());
    for mut worker in workers {
        worker.registered().await.unwrap();
    }
    let client = broker.client().await;
    let call = |ms: u64| tokio::spawn(client.call::<u64>("jobs.work", (ms,)).timeout(DEADLINE).into_future());
    let long = call(4_000);
    let begin = Instant::now();
    let short: Vec<_> = (0..20).map(|_| call(1)).collect();
    for call in short {
        assert_eq!(call.await.unwrap().unwrap(), 1);
    }
    assert!(!long.is_finished(), "all short calls ended after {:?}, before the long one", begin.elapsed());
    assert_eq!(long.await.unwrap().unwrap(), 4_000);
}
