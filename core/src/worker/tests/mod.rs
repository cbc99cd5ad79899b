//! The rules of the worker machine, by topic, and the stage they are played on.

#![allow(clippy::unwrap_used)]

mod dispatches;
mod draining;
mod outcomes;
mod properties;
mod reconnecting;

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

/// A worker, its time, and what it said. The broker and the handlers are played by the test.
struct Stage {
    worker: Worker,
    now: Time,
    /// What it told its operator.
    notes: Vec<Diagnostic>,
}

impl Stage {
    /// A worker that serves `calculator` (add, sub) and `text` (reverse), each with so many slots and prefetch.
    fn new(slots: u32, prefetch: u32) -> Stage {
        let register = Register {
            offers: vec![
                offer("calculator", &["add", "sub"], slots, prefetch),
                offer("text", &["reverse"], slots, prefetch),
            ],
            exclusive: false,
        };
        Stage { worker: Worker::new(settings(), register), now: at(0), notes: Vec::new() }
    }

    /// One that start 1 of the broker let in.
    fn connected(slots: u32, prefetch: u32) -> Stage {
        let mut stage = Stage::new(slots, prefetch);
        stage.join(1);
        stage
    }

    /// Lets the worker in, takes what it registers, and returns that.
    fn join(&mut self, start: u8) -> Register {
        let (register, ping) = self.join_and_register(start);
        assert_eq!(self.hear(&[Envelope::Pong(ping)]), []);
        register
    }

    /// Lets the worker in; returns what it registers, and the ping behind that.
    fn join_and_register(&mut self, start: u8) -> (Register, u64) {
        while !self.event(Event::Timeout).contains(&Action::Connect) {
            self.now = self.worker.poll_timeout().unwrap();
        }
        assert!(matches!(
            self.event(Event::Connected { nonce: Nonce([9; 32]) })[..],
            [Action::Send(Envelope::Hello(_))]
        ));
        assert!(matches!(self.hear(&[Envelope::Challenge(Bytes::new())])[..], [Action::Send(Envelope::Proof(_))]));
        match &self.hear(&[welcome(start, 0, 0)])[..] {
            [Action::Send(Envelope::Register(register)), Action::Send(Envelope::Ping(ping))] => {
                (body::decode(register).unwrap(), ping.number)
            }
            other => panic!("a worker that is let in registers, and asks whether that was read: {other:?}"),
        }
    }

    fn lose_connection(&mut self) -> Vec<Action> {
        self.event(Event::Disconnected { chance: 0 })
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.worker.handle_event(self.now, event, &mut out);
        self.worker.assert_invariants();
        self.take_notes(out)
    }

    fn hear(&mut self, envelopes: &[Envelope]) -> Vec<Action> {
        let mut out = Vec::new();
        for frames in messages(envelopes) {
            self.worker.handle_message(self.now, &frames, &mut out);
            self.worker.assert_invariants();
        }
        self.take_notes(out)
    }

    /// Lets time pass, waking the worker when it wants; the broker answers its pings. Returns what else it does.
    fn pass(&mut self, span: Duration) -> Vec<Action> {
        let end = self.now + span;
        let mut done = Vec::new();
        while let Some(due) = self.worker.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            for action in self.event(Event::Timeout) {
                match action {
                    Action::Send(Envelope::Ping(Ping { number, .. })) => {
                        done.extend(self.hear(&[Envelope::Pong(number)]));
                    }
                    other => done.push(other),
                }
            }
            assert!(self.worker.poll_timeout().is_none_or(|next| next > self.now), "a wake does all that is due");
        }
        self.now = end;
        done
    }

    fn take_notes(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let mut others = Vec::new();
        for action in actions {
            match action {
                Action::Log(note) => self.notes.push(note),
                other => others.push(other),
            }
        }
        others
    }

    /// The broker sends a call of calculator.add.
    fn dispatch(&mut self, number: u64) -> Vec<Action> {
        self.hear(&[dispatch(number, "calculator.add", None)])
    }

    fn dispatch_within(&mut self, number: u64, span: Duration) -> Vec<Action> {
        self.hear(&[dispatch(number, "calculator.add", Some(span))])
    }

    /// The handler of a dispatch of this connection ends.
    fn finish(&mut self, number: u64) -> Vec<Action> {
        self.finish_job(self.worker.job_id(DispatchNumber(number)), five())
    }

    fn finish_job(&mut self, job: JobId, outcome: Outcome) -> Vec<Action> {
        self.event(Event::Finished { job, outcome })
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
        affinity: None,
        streams: Streams::NONE,
        extensions: Bytes::new(),
        body: Bytes::from_static(&[0x82, 2, 3]),
    })
}

fn call(number: u64) -> CallId {
    CallId { caller: 9, number: CallNumber(number + 100) }
}

/// A dispatch of the first connection.
fn first(number: u64) -> JobId {
    JobId { connection: ConnectionNumber(1), dispatch: DispatchNumber(number) }
}

fn five() -> Outcome {
    Ok(Bytes::from_static(&[5]))
}

fn replied(number: u64, outcome: Outcome) -> Action {
    Action::Send(Envelope::Reply(Reply { number, outcome, credit: None, extensions: Bytes::new() }))
}

fn cancel(number: u64) -> Envelope {
    Envelope::Cancel(Cancel { number, done_below: None })
}

fn handed_back(number: u64) -> Action {
    Action::Send(Envelope::Handback(DispatchNumber(number)))
}

/// The dispatch numbers of the jobs that are started.
fn runs(actions: &[Action]) -> Vec<u64> {
    let number = |action: &Action| match action {
        Action::Run(job) => Some(job.id.dispatch.0),
        _ => None,
    };
    actions.iter().filter_map(number).collect()
}

/// The failures among the replies, as (dispatch number, code, executed).
fn failed(actions: &[Action]) -> Vec<(u64, Code, Executed)> {
    let failure = |action: &Action| match action {
        Action::Send(Envelope::Reply(Reply { number, outcome: Err(failure), .. })) => {
            assert_eq!(
                (failure.attempt, &*failure.worker),
                (2, "calculator-3"),
                "a failure says which attempt and where"
            );
            Some((*number, failure.code, failure.executed))
        }
        _ => None,
    };
    actions.iter().filter_map(failure).collect()
}
