//! Calls through the worker machine: a dispatch in, a job out, an outcome in, a reply out.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    time::Time,
    wire::{Envelope, envelope::Ping},
    worker::{Action, Event, Worker},
};

use crate::samples::{self, START, STEP};

/// How long a handler runs.
const HANDLER_TIME: Duration = Duration::from_micros(20);

/// Runs dispatched calls, one after the other.
pub(crate) fn calls(runs: usize) -> Box<dyn FnMut()> {
    let (mut worker, mut now, mut out) = (connected(), START, Vec::new());
    let mut dispatches = samples::messages((1..=runs as u64).map(samples::dispatch));
    Box::new(move || {
        now = now + STEP;
        let dispatch = dispatches.next().expect("a run was prepared");
        worker.handle_message(now, &dispatch, &mut out);
        let Some(Action::Run(job)) = out.pop() else { panic!("the call did not run") };
        let finished = Event::Finished { job: job.id, outcome: Ok(job.body), handler_time: Some(HANDLER_TIME) };
        worker.handle_event(now, finished, &mut out);
        assert_eq!(out.len(), 1, "{out:?}");
        out.clear();
    })
}

/// Returns a worker whose registration the broker has accepted.
fn connected() -> Worker {
    let mut worker = Worker::new(samples::settings(), samples::register(64));
    let mut out = Vec::new();
    worker.handle_event(Time::ZERO, Event::Timeout, &mut out);
    worker.handle_event(START, Event::Connected { nonce: Nonce([9; 32]), channel: None }, &mut out);
    for envelope in [Envelope::Challenge(Bytes::new()), samples::welcome()] {
        worker.handle_message(START, &samples::frames(&[envelope]), &mut out);
    }
    let Some(Action::Send(Envelope::Ping(Ping { number, .. }))) = out.last() else { panic!("not connected: {out:?}") };
    worker.handle_message(START, &samples::frames(&[Envelope::Pong(*number)]), &mut Vec::new());
    worker
}
