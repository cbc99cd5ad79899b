//! Tests of the worker machine by topic, and their harness.

#![allow(clippy::unwrap_used)]

mod dispatches;
mod draining;
mod outcomes;
mod prefetch;
mod properties;
mod reconnecting;
mod shared_slots;

use std::time::Duration;

use bytes::Bytes;

use super::{Action, Diagnostic, Event, Job, JobId, Worker};
use crate::{
    auth::Nonce,
    body,
    peer::simulated_broker::{at, messages, ms, settings, welcome},
    time::Time,
    wire::{
        Envelope,
        envelope::{Cancel, Dispatch, Effect, Ping, Reply},
        handshake::{MethodLimits, MethodOffer, Offer, Register},
        ids::{CallId, CallNumber, ConnectionNumber, DispatchNumber},
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::{Streams, Style},
    },
};

type Outcome = Result<Bytes, Box<Failure>>;

/// A worker, its time, and its diagnostics. The test acts as the broker and the handlers.
struct Harness {
    worker: Worker,
    now: Time,
    diagnostics: Vec<Diagnostic>,
}

impl Harness {
    /// Returns a worker that serves `calculator` (add, sub) and `text` (reverse), each with this number of slots and this
    /// prefetch.
    fn new(slots: u32, prefetch: u32) -> Harness {
        Harness::sharing(slots, prefetch, None, 0)
    }

    /// Returns such a worker whose services share these slots and this prefetch.
    fn sharing(slots: u32, prefetch: u32, shared: Option<u32>, shared_prefetch: u32) -> Harness {
        let register = Register {
            offers: vec![
                offer("calculator", &["add", "sub"], slots, prefetch),
                offer("text", &["reverse"], slots, prefetch),
            ],
            slots: shared,
            prefetch: shared_prefetch,
            ..Register::default()
        };
        Harness { worker: Worker::new(settings(), register), now: at(0), diagnostics: Vec::new() }
    }

    /// Returns such a worker that is connected to start 1 of the broker.
    fn connected(slots: u32, prefetch: u32) -> Harness {
        let mut harness = Harness::new(slots, prefetch);
        harness.connect(1);
        harness
    }

    /// Connects the worker and accepts its registration. Returns the registration.
    fn connect(&mut self, start: u8) -> Register {
        let (register, ping) = self.connect_and_register(start);
        assert_eq!(self.receive(&[Envelope::Pong(ping)]), []);
        register
    }

    /// Connects the worker. Returns its registration, and the ping behind it.
    fn connect_and_register(&mut self, start: u8) -> (Register, u64) {
        while !self.event(Event::Timeout).contains(&Action::Connect) {
            self.now = self.worker.poll_timeout().unwrap();
        }
        assert!(matches!(
            self.event(Event::Connected { nonce: Nonce([9; 32]), channel: None })[..],
            [Action::Send(Envelope::Hello(_))]
        ));
        assert!(matches!(self.receive(&[Envelope::Challenge(Bytes::new())])[..], [Action::Send(Envelope::Proof(_))]));
        match &self.receive(&[welcome(start, 0, 0)])[..] {
            [Action::Send(Envelope::Register(register)), Action::Send(Envelope::Ping(ping))] => {
                (body::decode(register).unwrap(), ping.number)
            }
            other => panic!("a connected worker sends its registration and a ping: {other:?}"),
        }
    }

    fn lose_connection(&mut self) -> Vec<Action> {
        self.event(Event::Disconnected { chance: 0 })
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.worker.handle_event(self.now, event, &mut out);
        self.worker.assert_invariants();
        self.take_diagnostics(out)
    }

    fn receive(&mut self, envelopes: &[Envelope]) -> Vec<Action> {
        let mut out = Vec::new();
        for frames in messages(envelopes) {
            self.worker.handle_message(self.now, &frames, &mut out);
            self.worker.assert_invariants();
        }
        self.take_diagnostics(out)
    }

    /// Lets time pass, with a timeout event whenever one is due. The broker answers pings. Returns the other actions.
    fn pass(&mut self, span: Duration) -> Vec<Action> {
        let end = self.now + span;
        let mut actions = Vec::new();
        while let Some(due) = self.worker.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            for action in self.event(Event::Timeout) {
                match action {
                    Action::Send(Envelope::Ping(Ping { number, .. })) => {
                        actions.extend(self.receive(&[Envelope::Pong(number)]));
                    }
                    other => actions.push(other),
                }
            }
            assert!(
                self.worker.poll_timeout().is_none_or(|next| next > self.now),
                "a timeout handles everything that is due"
            );
        }
        self.now = end;
        actions
    }

    fn take_diagnostics(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let mut others = Vec::new();
        for action in actions {
            match action {
                Action::Log(diagnostic) => self.diagnostics.push(diagnostic),
                other => others.push(other),
            }
        }
        others
    }

    /// Dispatches a call of calculator.add.
    fn dispatch(&mut self, number: u64) -> Vec<Action> {
        self.receive(&[dispatch(number, "calculator.add", None)])
    }

    fn dispatch_within(&mut self, number: u64, span: Duration) -> Vec<Action> {
        self.receive(&[dispatch(number, "calculator.add", Some(span))])
    }

    /// Finishes the handler of a dispatch of this connection.
    fn finish(&mut self, number: u64) -> Vec<Action> {
        self.finish_job(self.worker.job_id(DispatchNumber(number)), result())
    }

    fn finish_job(&mut self, job: JobId, outcome: Outcome) -> Vec<Action> {
        self.event(Event::Finished { job, outcome, handler_time: None })
    }

    fn stopped(&mut self, number: u64) -> Vec<Action> {
        let job = self.worker.job_id(DispatchNumber(number));
        self.event(Event::Stopped { job, started: true })
    }

    fn shut_down_within(&mut self, span: Duration) -> Vec<Action> {
        self.event(Event::Shutdown { deadline: self.now + span })
    }
}

fn offer(service: &str, methods: &[&str], slots: u32, prefetch: u32) -> Offer {
    let method = |name: &&str| MethodOffer {
        name: (*name).into(),
        effect: Effect::Read,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    };
    let methods = methods.iter().map(method).collect();
    Offer { service: service.into(), slots, free: 0, prefetch, keys: Vec::new(), methods, contract: None }
}

fn dispatch(number: u64, method: &str, timeout: Option<Duration>) -> Envelope {
    Envelope::Dispatch(Dispatch {
        number: DispatchNumber(number),
        method: MethodName::parse(method).unwrap(),
        timeout,
        attempt: 2,
        call: call(number),
        caller_name: None,
        affinity: None,
        streams: Streams::NONE,
        extensions: Default::default(),
        body: Bytes::from_static(&[0x82, 2, 3]),
    })
}

fn call(number: u64) -> CallId {
    CallId { caller: 9, number: CallNumber(number + 100) }
}

/// Returns the id of a dispatch of the first connection.
fn first(number: u64) -> JobId {
    JobId { connection: ConnectionNumber(1), dispatch: DispatchNumber(number) }
}

fn result() -> Outcome {
    Ok(Bytes::from_static(&[5]))
}

fn replied(number: u64, outcome: Outcome) -> Action {
    Action::Send(Envelope::Reply(Reply {
        number,
        outcome,
        credit: None,
        handler_time: None,
        extensions: Default::default(),
    }))
}

fn cancel(number: u64) -> Envelope {
    Envelope::Cancel(Cancel { number, done_below: None })
}

fn handed_back(number: u64) -> Action {
    Action::Send(Envelope::Handback(DispatchNumber(number)))
}

/// Returns the dispatch numbers of the jobs that are started.
fn started(actions: &[Action]) -> Vec<u64> {
    let number = |action: &Action| match action {
        Action::Run(job) => Some(job.id.dispatch.0),
        _ => None,
    };
    actions.iter().filter_map(number).collect()
}

/// Returns the failures among the replies, as (dispatch number, code, executed).
fn failed(actions: &[Action]) -> Vec<(u64, Code, Executed)> {
    let failure = |action: &Action| match action {
        Action::Send(Envelope::Reply(Reply { number, outcome: Err(failure), .. })) => {
            assert_eq!(
                (failure.attempt, &*failure.worker),
                (2, "calculator-3"),
                "a failure names its attempt and its worker"
            );
            Some((*number, failure.code, failure.executed))
        }
        _ => None,
    };
    actions.iter().filter_map(failure).collect()
}
