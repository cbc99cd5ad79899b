//! Tests of how handlers end.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::Waker,
    time::Duration,
};

use bytes::Bytes;
use callboard_core::wire::{
    envelope::Effect,
    ids::{CallId, CallNumber, ConnectionNumber, DispatchNumber},
    streams::Style,
};

use super::*;
use crate::{
    handler::{DynamicMethod, Handler},
    outcome::JobEnd,
};

fn job(number: u64, method: usize) -> Job {
    let dispatch = DispatchNumber(number);
    Job {
        id: JobId { connection: ConnectionNumber(1), dispatch },
        offer: 0,
        method,
        call: CallId { caller: 0, number: CallNumber(number) },
        caller_name: None,
        attempt: 1,
        deadline: None,
        affinity: None,
        streams: callboard_core::wire::streams::Streams::NONE,
        extensions: Default::default(),
        body: Bytes::from_static(&[0x80]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_delays_neither_the_start_nor_the_end_of_others() {
    let (release, blocked) = mpsc::sync_channel::<()>(0);
    let blocked = Arc::new(Mutex::new(blocked));
    let block = move || {
        let blocked = Arc::clone(&blocked);
        // A bug of the handler: it blocks a thread of the runtime until the test releases it.
        async move {
            let _ = blocked.lock().unwrap().recv();
        }
    };
    let method = |name: &str, handler| (MethodName::parse(name).unwrap(), handler);
    let handlers = vec![vec![method("s.block", block.erase([])), method("s.quick", (|| async { 5 }).erase([]))]];
    let mut executor = Executor::new(&Handle::current(), Clock::new(), handlers);
    executor.prepare(job(1, 0));
    executor.flush();
    for number in 2..50 {
        executor.prepare(job(number, 1));
        executor.flush();
        let completions = loop {
            executor.notified().await;
            let completions = executor.take_completions();
            if !completions.is_empty() {
                break completions;
            }
        };
        assert_eq!(completions[0].job.dispatch, DispatchNumber(number));
    }
    drop(release);
}

/// Panics when it is dropped, unless the thread is already panicking.
struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a panic in drop");
    }
}

#[tokio::test]
async fn on_one_thread_a_handler_can_pause_panic_or_be_cancelled() {
    let pauses = || async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        5
    };
    let panics = || async {
        panic!("at once");
        #[allow(unreachable_code)]
        5
    };
    let panics_late = || async {
        tokio::task::yield_now().await;
        panic!("after a pause");
        #[allow(unreachable_code)]
        5
    };
    let panics_in_drop = || {
        let panic_on_drop = PanicOnDrop;
        async move {
            let _panic_on_drop = &panic_on_drop;
            5
        }
    };
    let never_ends = || async {
        std::future::pending::<()>().await;
        5
    };
    let handlers = [
        (|| async { 5 }).erase([]),
        pauses.erase([]),
        panics.erase([]),
        panics_late.erase([]),
        panics_in_drop.erase([]),
        never_ends.erase([]),
    ];
    let name = MethodName::parse("s.method").unwrap();
    let handlers = vec![handlers.into_iter().map(|handler| (name.clone(), handler)).collect::<Vec<_>>()];
    let mut executor = Executor::new(&Handle::current(), Clock::new(), handlers);
    (0..6).for_each(|method| executor.prepare(job(method as u64, method)));
    executor.flush();
    let mut ended = BTreeMap::new();
    while ended.len() < 6 {
        executor.notified().await;
        let completions = executor.take_completions().into_iter();
        ended.extend(completions.map(|completion| (completion.job.dispatch.0, completion.end)));
        if ended.len() == 5 {
            // The last of its batch. The dispatcher can have yielded before it.
            while !executor.has_started(job(5, 5).id) {
                tokio::task::yield_now().await;
            }
            executor.cancel(job(5, 5).id);
        }
    }
    let five = || Some(vec![5]);
    let result = |end: &JobEnd| match end {
        JobEnd::Finished(Ok(body)) => Some(body.to_vec()),
        _ => None,
    };
    let results: Vec<_> = ended.values().map(result).collect();
    assert_eq!(results[..2], [five(), five()]);
    assert_eq!(results[2..4], [None, None]);
    assert_eq!(ended[&5], JobEnd::Stopped { started: true });
    let JobEnd::Finished(Err(panic)) = &ended[&3] else { panic!("{:?}", ended[&3]) };
    assert!(panic.message.contains("after a pause"), "{}", panic.message);
    executor.prepare(job(7, 0));
    executor.flush();
    executor.notified().await;
    assert_eq!(executor.take_completions().len(), 1, "the executor still runs jobs");
}

/// The number of jobs of a flood. Each job queues the next one, so that the queue is never empty.
const FLOOD: u64 = 100_000;

#[tokio::test]
async fn on_one_thread_a_flood_of_jobs_does_not_starve_a_paused_handler() {
    let executor = Arc::new(Mutex::new(None::<Executor>));
    let ran = Arc::new(AtomicU64::new(0));
    let (resumed, mut resumption) = tokio::sync::mpsc::channel(1);
    let again = {
        let (executor, ran) = (Arc::clone(&executor), Arc::clone(&ran));
        move || {
            let number = ran.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(executor) = executor.lock().unwrap().as_mut().filter(|_| number < FLOOD) {
                executor.take_completions();
                executor.prepare(job(number + 1, 0));
                executor.flush();
            }
            async { 5 }
        }
    };
    let pauses = {
        let ran = Arc::clone(&ran);
        move || {
            let (ran, resumed) = (Arc::clone(&ran), resumed.clone());
            async move {
                tokio::task::yield_now().await;
                resumed.send(ran.load(Ordering::Relaxed)).await.unwrap();
            }
        }
    };
    let name = MethodName::parse("s.method").unwrap();
    let handlers = vec![vec![(name.clone(), again.erase([])), (name, pauses.erase([]))]];
    let mut new = Executor::new(&Handle::current(), Clock::new(), handlers);
    new.prepare(job(FLOOD + 1, 1));
    new.prepare(job(1, 0));
    new.flush();
    *executor.lock().unwrap() = Some(new);
    let before = resumption.recv().await.unwrap();
    assert!(before < FLOOD, "it resumed only after the flood");
    *executor.lock().unwrap() = None;
}

#[tokio::test]
async fn a_dynamic_method_finishes_its_calls_on_any_thread_or_drops_them() {
    let (calls, received) = mpsc::sync_channel(4);
    let hand_over = DynamicMethod::new("over", Effect::Read, Vec::new(), Style::Unary, move |call| {
        calls.send(call).unwrap();
    });
    let panics = DynamicMethod::new("panics", Effect::Read, Vec::new(), Style::Unary, |_call| panic!("at once"));
    let name = MethodName::parse("s.method").unwrap();
    let handlers = vec![vec![
        (name.clone(), ErasedHandler::Dynamic(hand_over.function)),
        (name, ErasedHandler::Dynamic(panics.function)),
    ]];
    let mut executor = Executor::new(&Handle::current(), Clock::new(), handlers);
    [(1, 0), (2, 0), (3, 0), (4, 1)].into_iter().for_each(|(number, method)| executor.prepare(job(number, method)));
    executor.flush();
    let mut ended = BTreeMap::new();
    while ended.len() < 4 {
        executor.notified().await;
        let completions = executor.take_completions().into_iter();
        ended.extend(completions.map(|completion| (completion.job.dispatch.0, completion.end)));
        if ended.len() == 1 {
            let cancelled = Arc::new(CountWakes::default());
            let take = || received.try_recv().unwrap();
            let (first, second, third) = (take(), take(), take());
            third.wake_on_cancel(&Waker::from(Arc::clone(&cancelled)));
            executor.cancel(job(3, 0).id);
            assert_eq!(cancelled.0.load(Ordering::Relaxed), 1);
            third.wake_on_cancel(&Waker::from(Arc::clone(&cancelled)));
            assert_eq!(cancelled.0.load(Ordering::Relaxed), 2, "the call is already cancelled");
            let arguments = first.arguments().clone();
            std::thread::spawn(move || first.finish(Ok(arguments))).join().unwrap();
            drop((second, third));
        }
    }
    assert_eq!(ended[&1], JobEnd::Finished(Ok(Bytes::from_static(&[0x80]))));
    assert_eq!(ended[&2], JobEnd::Stopped { started: true });
    assert_eq!(ended[&3], JobEnd::Stopped { started: true });
    let JobEnd::Finished(Err(panic)) = &ended[&4] else { panic!("{:?}", ended[&4]) };
    assert_eq!(&*panic.type_name, "Panic");
}

#[derive(Default)]
struct CountWakes(AtomicU64);

impl std::task::Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn handlers_are_dropped_with_their_worker() {
    let held = Arc::new(());
    let function = {
        let held = Arc::clone(&held);
        move || {
            let _ = &held;
            async { 5 }
        }
    };
    let handlers = vec![vec![(MethodName::parse("s.method").unwrap(), function.erase([]))]];
    let mut executor = Executor::new(&Handle::current(), Clock::new(), handlers);
    executor.prepare(job(1, 0));
    executor.flush();
    executor.notified().await;
    drop(executor);
    while Arc::strong_count(&held) > 1 {
        tokio::task::yield_now().await;
    }
}
