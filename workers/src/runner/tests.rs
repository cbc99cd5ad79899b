//! How handlers end, whatever they do.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use callboard_core::wire::ids::{CallId, CallNumber, ConnectionNumber, DispatchNumber};

use super::*;
use crate::handler::Handler;

fn job(number: u64, method: usize) -> Job {
    let dispatch = DispatchNumber(number);
    Job {
        id: JobId { connection: ConnectionNumber(1), dispatch },
        offer: 0,
        method,
        call: CallId { caller: 0, number: CallNumber(number) },
        attempt: 1,
        deadline: None,
        affinity: None,
        streams: callboard_core::wire::streams::Streams::NONE,
        extensions: Bytes::new(),
        body: Bytes::from_static(&[0x80]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_holds_up_neither_the_next_ones_beginning_nor_its_end() {
    let (let_go, held) = mpsc::sync_channel::<()>(0);
    let held = Arc::new(Mutex::new(held));
    let stuck = move || {
        let held = Arc::clone(&held);
        // Wrong of its author: it blocks a thread of the runtime until the test lets it go.
        async move {
            let _ = held.lock().unwrap().recv();
        }
    };
    let method = |name: &str, handler| (MethodName::parse(name).unwrap(), handler);
    let handlers = vec![vec![method("s.stuck", stuck.prepare([])), method("s.quick", (|| async { 5 }).prepare([]))]];
    let mut runner = Runner::new(&Handle::current(), Clock::new(), handlers);
    runner.run(job(1, 0));
    runner.flush();
    for number in 2..50 {
        runner.run(job(number, 1));
        runner.flush();
        let ended = loop {
            runner.news().await;
            let ended = runner.take_ended();
            if !ended.is_empty() {
                break ended;
            }
        };
        assert_eq!(ended[0].0.dispatch, DispatchNumber(number));
    }
    drop(let_go);
}

/// Panics when it is dropped, unless a panic is on its way already.
struct Grudge;

impl Drop for Grudge {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a panic of a drop");
    }
}

#[tokio::test]
async fn on_one_thread_a_handler_ends_the_same_whether_it_pauses_panics_or_is_stopped() {
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
    let drops_badly = || {
        let grudge = Grudge;
        async move {
            let _grudge = &grudge;
            5
        }
    };
    let never_ends = || async {
        std::future::pending::<()>().await;
        5
    };
    let handlers = [
        (|| async { 5 }).prepare([]),
        pauses.prepare([]),
        panics.prepare([]),
        panics_late.prepare([]),
        drops_badly.prepare([]),
        never_ends.prepare([]),
    ];
    let name = MethodName::parse("s.method").unwrap();
    let handlers = vec![handlers.into_iter().map(|handler| (name.clone(), handler)).collect::<Vec<_>>()];
    let mut runner = Runner::new(&Handle::current(), Clock::new(), handlers);
    (0..6).for_each(|method| runner.run(job(method as u64, method)));
    runner.flush();
    let mut ended = BTreeMap::new();
    while ended.len() < 6 {
        runner.news().await;
        ended.extend(runner.take_ended().into_iter().map(|(id, end)| (id.dispatch.0, end)));
        if ended.len() == 5 {
            // The last of its batch, which may have been long enough for others to have their turn meanwhile.
            while !runner.has_begun(job(5, 5).id) {
                tokio::task::yield_now().await;
            }
            runner.stop(job(5, 5).id);
        }
    }
    let five = || Some(vec![5]);
    let results = ended.values().map(|end| end.as_ref().ok().and_then(|outcome| outcome.as_ref().ok()));
    let results: Vec<_> = results.map(|body| body.map(|body| body.to_vec())).collect();
    assert_eq!(results[..2], [five(), five()]);
    assert_eq!(results[2..4], [None, None]);
    assert_eq!(ended[&5], Err(true), "it had begun, and was stopped");
    let panic = ended[&3].clone().unwrap().unwrap_err();
    assert!(panic.message.contains("after a pause"), "{}", panic.message);
    runner.run(job(7, 0));
    runner.flush();
    runner.news().await;
    assert_eq!(runner.take_ended().len(), 1, "the next one runs");
}

/// Jobs that find the mailbox full whenever they have run: each puts the next one, up to this many.
const FLOOD: u64 = 100_000;

#[tokio::test]
async fn on_one_thread_a_flood_of_jobs_keeps_no_paused_handler_from_going_on() {
    let runner = Arc::new(Mutex::new(None::<Runner>));
    let ran = Arc::new(AtomicU64::new(0));
    let (tell, mut went_on) = tokio::sync::mpsc::channel(1);
    let again = {
        let (runner, ran) = (Arc::clone(&runner), Arc::clone(&ran));
        move || {
            let number = ran.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(runner) = runner.lock().unwrap().as_mut().filter(|_| number < FLOOD) {
                runner.take_ended();
                runner.run(job(number + 1, 0));
                runner.flush();
            }
            async { 5 }
        }
    };
    let pauses = {
        let ran = Arc::clone(&ran);
        move || {
            let (ran, tell) = (Arc::clone(&ran), tell.clone());
            async move {
                tokio::task::yield_now().await;
                tell.send(ran.load(Ordering::Relaxed)).await.unwrap();
            }
        }
    };
    let name = MethodName::parse("s.method").unwrap();
    let handlers = vec![vec![(name.clone(), again.prepare([])), (name, pauses.prepare([]))]];
    let mut new = Runner::new(&Handle::current(), Clock::new(), handlers);
    new.run(job(FLOOD + 1, 1));
    new.run(job(1, 0));
    new.flush();
    *runner.lock().unwrap() = Some(new);
    let before = went_on.recv().await.unwrap();
    assert!(before < FLOOD, "it went on when the flood was over");
    *runner.lock().unwrap() = None;
}

#[tokio::test]
async fn handlers_go_with_their_worker() {
    let held = Arc::new(());
    let function = {
        let held = Arc::clone(&held);
        move || {
            let _ = &held;
            async { 5 }
        }
    };
    let handlers = vec![vec![(MethodName::parse("s.method").unwrap(), function.prepare([]))]];
    let mut runner = Runner::new(&Handle::current(), Clock::new(), handlers);
    runner.run(job(1, 0));
    runner.flush();
    runner.news().await;
    drop(runner);
    while Arc::strong_count(&held) > 1 {
        tokio::task::yield_now().await;
    }
}
