//! The rules of the client machine, by topic, and the stage they are played on.

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

/// A client, its time, and what it said. The broker is played by the test.
struct Stage {
    client: Client<u64>,
    now: Time,
    /// What it told its operator.
    notes: Vec<Diagnostic>,
    /// Whether the broker answers pings while time passes.
    broker_lives: bool,
}

impl Stage {
    fn new() -> Stage {
        Stage { client: Client::new(settings()), now: at(0), notes: Vec::new(), broker_lives: true }
    }

    /// A client that start 1 of the broker let in, with so much credit.
    fn connected(calls: u32, bytes: u64) -> Stage {
        let mut stage = Stage::new();
        stage.join(1, calls, bytes);
        stage
    }

    /// Lets the client in, and returns what it does thereupon.
    fn join(&mut self, start: u8, calls: u32, bytes: u64) -> Vec<Action<u64>> {
        self.join_with(welcome(start, calls, bytes))
    }

    fn join_with(&mut self, welcome: Envelope) -> Vec<Action<u64>> {
        while !self.event(Event::Timeout).contains(&Action::Connect) {
            self.now = self.client.poll_timeout().unwrap();
        }
        assert!(matches!(
            self.event(Event::Connected { nonce: Nonce([9; 32]) })[..],
            [Action::Send(Envelope::Hello(_))]
        ));
        assert!(matches!(self.hear(&[Envelope::Challenge(Bytes::new())])[..], [Action::Send(Envelope::Proof(_))]));
        self.hear(&[welcome])
    }

    fn lose_connection(&mut self) -> Vec<Action<u64>> {
        self.event(Event::Disconnected { chance: 0 })
    }

    fn event(&mut self, event: Event<u64>) -> Vec<Action<u64>> {
        let mut out = Vec::new();
        self.client.handle_event(self.now, event, &mut out);
        self.client.assert_invariants();
        self.take_notes(out)
    }

    fn hear(&mut self, envelopes: &[Envelope]) -> Vec<Action<u64>> {
        let mut out = Vec::new();
        for frames in messages(envelopes) {
            self.client.handle_message(self.now, &frames, &mut out);
            self.client.assert_invariants();
        }
        self.take_notes(out)
    }

    /// Lets time pass, waking the client when it wants. Returns what it does, pings left out.
    fn pass(&mut self, span: Duration) -> Vec<Action<u64>> {
        let end = self.now + span;
        let mut done = Vec::new();
        while let Some(due) = self.client.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            for action in self.event(Event::Timeout) {
                match action {
                    Action::Send(Envelope::Ping(Ping { number, .. })) => {
                        if self.broker_lives {
                            done.extend(self.hear(&[Envelope::Pong(number)]));
                        }
                    }
                    other => done.push(other),
                }
            }
            assert!(self.client.poll_timeout().is_none_or(|next| next > self.now), "a wake does all that is due");
        }
        self.now = end;
        done
    }

    fn take_notes(&mut self, actions: Vec<Action<u64>>) -> Vec<Action<u64>> {
        let mut others = Vec::new();
        for action in actions {
            match action {
                Action::Log(note) => self.notes.push(note),
                other => others.push(other),
            }
        }
        others
    }

    /// Makes a call; its ticket and its token are `name`.
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

/// A call without a time-out.
fn new(name: u64, made: Time) -> NewCall<u64> {
    NewCall {
        ticket: Ticket(name),
        token: name,
        method: MethodName::parse("calculator.add").unwrap(),
        body: Bytes::from_static(&[0x82, 2, 3]),
        extensions: Bytes::new(),
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

fn five() -> Outcome {
    Ok(Bytes::from_static(&[5]))
}

fn reply(number: u64, outcome: Outcome) -> Envelope {
    Envelope::Reply(Reply { number, outcome, credit: None, extensions: Bytes::new() })
}

fn done(token: u64) -> Action<u64> {
    Action::Release { token }
}

fn answered(token: u64) -> Action<u64> {
    Action::Complete { token, outcome: five() }
}

fn cancels(number: u64, done_below: Option<u64>) -> Action<u64> {
    Action::Send(Envelope::Cancel(Cancel { number, done_below: done_below.map(CallNumber) }))
}

/// The requests among the actions, as (number, resend, done_below).
fn requests(actions: &[Action<u64>]) -> Vec<(u64, bool, Option<u64>)> {
    let parts = |request: &Request| (request.number.0, request.flags.resend, request.done_below.map(|number| number.0));
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

/// How calls failed, as (token, code, executed).
fn failed(actions: &[Action<u64>]) -> Vec<(u64, Code, Executed)> {
    failures(actions).map(|(token, failure)| (token, failure.code, failure.executed)).collect()
}

fn failures(actions: &[Action<u64>]) -> impl Iterator<Item = (u64, &Failure)> {
    actions.iter().filter_map(|action| match action {
        Action::Complete { token, outcome: Err(failure) } => Some((*token, &**failure)),
        _ => None,
    })
}
