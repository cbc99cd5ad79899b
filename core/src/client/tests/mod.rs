//! Tests of the client machine by topic, and their harness.

#![allow(clippy::unwrap_used)]

mod calls;
mod closing;
mod deadlines;
mod properties;
mod reconnecting;

use std::time::Duration;

use bytes::Bytes;

use super::{Action, Client, Diagnostic, Event, NewCall, Ticket, Timeout, TimeoutSource};
use crate::{
    auth::Nonce,
    peer::simulated_broker::{at, messages, ms, settings, welcome},
    time::Time,
    wire::{
        Envelope,
        envelope::{Cancel, Ping, Reply, Request},
        ids::CallNumber,
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::Streams,
    },
};

type Outcome = Result<Bytes, Box<Failure>>;

/// A client, its time, and its diagnostics. The test acts as the broker.
struct Harness {
    client: Client<u64>,
    now: Time,
    diagnostics: Vec<Diagnostic>,
    /// Whether the broker answers pings while time passes.
    broker_answers_pings: bool,
}

impl Harness {
    fn new() -> Harness {
        Harness { client: Client::new(settings()), now: at(0), diagnostics: Vec::new(), broker_answers_pings: true }
    }

    /// Returns a client that is connected to start 1 of the broker, with this credit.
    fn connected(calls: u32, bytes: u64) -> Harness {
        let mut harness = Harness::new();
        harness.connect(1, calls, bytes);
        harness
    }

    /// Connects the client. Returns the actions after the welcome.
    fn connect(&mut self, start: u8, calls: u32, bytes: u64) -> Vec<Action<u64>> {
        self.connect_with(welcome(start, calls, bytes))
    }

    fn connect_with(&mut self, welcome: Envelope) -> Vec<Action<u64>> {
        while !self.event(Event::Timeout).contains(&Action::Connect) {
            self.now = self.client.poll_timeout().unwrap();
        }
        assert!(matches!(
            self.event(Event::Connected { nonce: Nonce([9; 32]), channel: None })[..],
            [Action::Send(Envelope::Hello(_))]
        ));
        assert!(matches!(self.receive(&[Envelope::Challenge(Bytes::new())])[..], [Action::Send(Envelope::Proof(_))]));
        self.receive(&[welcome])
    }

    fn lose_connection(&mut self) -> Vec<Action<u64>> {
        self.event(Event::Disconnected { chance: 0 })
    }

    fn event(&mut self, event: Event<u64>) -> Vec<Action<u64>> {
        let mut out = Vec::new();
        self.client.handle_event(self.now, event, &mut out);
        self.client.assert_invariants();
        self.take_diagnostics(out)
    }

    fn receive(&mut self, envelopes: &[Envelope]) -> Vec<Action<u64>> {
        let mut out = Vec::new();
        for frames in messages(envelopes) {
            self.client.handle_message(self.now, &frames, &mut out);
            self.client.assert_invariants();
        }
        self.take_diagnostics(out)
    }

    /// Lets time pass, with a timeout event whenever one is due. Returns the actions without pings.
    fn pass(&mut self, span: Duration) -> Vec<Action<u64>> {
        let end = self.now + span;
        let mut actions = Vec::new();
        while let Some(due) = self.client.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            for action in self.event(Event::Timeout) {
                match action {
                    Action::Send(Envelope::Ping(Ping { number, .. })) => {
                        if self.broker_answers_pings {
                            actions.extend(self.receive(&[Envelope::Pong(number)]));
                        }
                    }
                    other => actions.push(other),
                }
            }
            assert!(
                self.client.poll_timeout().is_none_or(|next| next > self.now),
                "a timeout handles everything that is due"
            );
        }
        self.now = end;
        actions
    }

    fn take_diagnostics(&mut self, actions: Vec<Action<u64>>) -> Vec<Action<u64>> {
        let mut others = Vec::new();
        for action in actions {
            match action {
                Action::Log(diagnostic) => self.diagnostics.push(diagnostic),
                other => others.push(other),
            }
        }
        others
    }

    /// Makes a call with `name` as ticket and token.
    fn call(&mut self, name: u64) -> Vec<Action<u64>> {
        self.event(Event::Call(new(name, self.now)))
    }

    fn cast(&mut self, name: u64) -> Vec<Action<u64>> {
        self.event(Event::Call(NewCall { cast: true, ..new(name, self.now) }))
    }

    fn call_within(&mut self, name: u64, span: Duration) -> Vec<Action<u64>> {
        let timeout = Some(Timeout { span, source: TimeoutSource::Call });
        self.event(Event::Call(NewCall { timeout, ..new(name, self.now) }))
    }

    fn call_of_size(&mut self, name: u64, bytes: usize) -> Vec<Action<u64>> {
        self.event(Event::Call(NewCall { body: vec![0; bytes].into(), ..new(name, self.now) }))
    }

    fn cancel(&mut self, name: u64) -> Vec<Action<u64>> {
        self.event(Event::Cancel(Ticket(name)))
    }

    fn close_within(&mut self, span: Duration) -> Vec<Action<u64>> {
        self.event(Event::Close { deadline: self.now + span })
    }
}

/// Returns a call without a timeout.
fn new(name: u64, made: Time) -> NewCall<u64> {
    NewCall {
        ticket: Ticket(name),
        token: name,
        method: MethodName::parse("calculator.add").unwrap(),
        body: Bytes::from_static(&[0x82, 2, 3]),
        extensions: Default::default(),
        made,
        timeout: None,
        effect: None,
        priority: Default::default(),
        wait_for_ready: false,
        broadcast: false,
        cast: false,
        key: None,
        streams: Streams::NONE,
    }
}

fn result() -> Outcome {
    Ok(Bytes::from_static(&[5]))
}

fn reply(number: u64, outcome: Outcome) -> Envelope {
    Envelope::Reply(Reply { number, outcome, credit: None, handler_time: None, extensions: Default::default() })
}

fn released(token: u64) -> Action<u64> {
    Action::Release { token }
}

fn completed(token: u64) -> Action<u64> {
    Action::Complete { token, outcome: result() }
}

fn cancels(number: u64, done_below: Option<u64>) -> Action<u64> {
    Action::Send(Envelope::Cancel(Cancel { number, done_below: done_below.map(CallNumber) }))
}

/// Returns the requests among the actions, as (number, resend, done_below).
fn requests(actions: &[Action<u64>]) -> Vec<(u64, bool, Option<u64>)> {
    let parts = |request: &Request| {
        (request.number.0, request.flags.resend, (request.done_below.0 > 0).then_some(request.done_below.0))
    };
    sent(actions).map(parts).collect()
}

fn numbers(actions: &[Action<u64>]) -> Vec<u64> {
    sent(actions).map(|request| request.number.0).collect()
}

fn sent(actions: &[Action<u64>]) -> impl Iterator<Item = &Request> {
    actions.iter().filter_map(|action| match action {
        Action::Send(Envelope::Request(request)) => Some(request),
        _ => None,
    })
}

/// Returns the failed calls, as (token, code, executed).
fn failed(actions: &[Action<u64>]) -> Vec<(u64, Code, Executed)> {
    failures(actions).map(|(token, failure)| (token, failure.code, failure.executed)).collect()
}

fn failures(actions: &[Action<u64>]) -> impl Iterator<Item = (u64, &Failure)> {
    actions.iter().filter_map(|action| match action {
        Action::Complete { token, outcome: Err(failure) } => Some((*token, &**failure)),
        _ => None,
    })
}
