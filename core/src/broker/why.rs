//! What a call waits for: `callboard.why`.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{
    Broker,
    call::{Call, CallKey, State},
    client::Outcome,
    service::{Method, Service},
    worker::WorkerKey,
};
use crate::{
    auth::Principal,
    body::{self, ArgumentReader},
    time::Time,
    wire::{
        envelope::Request,
        ids::CallId,
        limits::WHY_CALLS_MAX,
        status::{Code, Executed, Failure},
    },
};

/// Running calls that are named where all slots are busy.
const BUSY_NAMED_MAX: usize = 8;
/// Clients that are named of those with calls before another: there may be any number of them.
const BEHIND_NAMED_MAX: usize = 8;

/// An open call, and what it waits for, as `callboard.why` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The call.
    pub call: String,
    /// What was called.
    pub method: String,
    /// Who called, by its name for people.
    pub client: String,
    /// `waiting`, `running`, or `stopping`: nobody waits for it any more, and its worker has not said its last word.
    pub state: String,
    /// What it waits for, in a sentence.
    pub reason: String,
    /// Milliseconds in this state.
    pub since_ms: u64,
    /// Milliseconds that are left to it; absent: it has no time-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// The worker that runs it, is to have it as its part of a broadcast, or was lost with it last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub worker: String,
    /// Workers that were lost with it.
    #[serde(default)]
    pub lost: u32,
    /// Calls that will have their turn before it.
    #[serde(default)]
    pub ahead: usize,
    /// Whose these are, the most first; eight at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<Behind>,
    /// Further clients with calls among these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub behind_others: usize,
    /// What holds the slots that it waits for, the oldest first; eight at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<Busy>,
    /// Milliseconds until its turn, judging by how long its service's calls took lately; absent: nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_ms: Option<u64>,
}

/// Calls of one client that have their turn before another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The client, by its name for people.
    pub client: String,
    /// How many.
    pub calls: usize,
}

/// A call that holds a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// The call.
    pub call: String,
    /// What was called.
    pub method: String,
    /// Where it runs.
    pub worker: String,
    /// Milliseconds that it has run.
    pub for_ms: u64,
}

impl Why {
    /// The same, with nothing in it that is somebody else's.
    fn without_others(self) -> Why {
        Why { behind: Vec::new(), behind_others: 0, busy: Vec::new(), ..self }
    }
}

impl Broker {
    /// Answers `callboard.why`: of one call, or without arguments of the oldest open ones. Who is no operator has to know the call, and
    /// is not told whose others are before it.
    pub(super) fn why_call(&mut self, now: Time, caller: &Principal, request: &Request) -> Outcome {
        let asked = ArgumentReader::new(&["call"], &request.body).and_then(|mut given| given.next::<Option<String>>());
        let whys = match asked.map_err(|error| Box::new(Failure::from(error)))? {
            None if caller.operator => return self.own_answer(now, "why", |broker| told(&broker.open_calls(now))),
            None => {
                let text = "the list of all open calls is for operators: name one, or take a key with that role";
                return Err(Box::new(Failure::new(Code::PermissionDenied, Executed::No, text)));
            }
            Some(text) if caller.operator => vec![self.why_one(now, &text)?],
            Some(text) => vec![self.why_one(now, &text)?.without_others()],
        };
        told(&whys)
    }

    /// The open calls and what each waits for: the oldest, at most [`WHY_CALLS_MAX`].
    pub fn open_calls(&self, now: Time) -> Vec<Why> {
        let mut open: Vec<_> = self.calls.iter().map(|(key, call)| (call.since, key)).collect();
        open.sort_unstable();
        open.into_iter().take(WHY_CALLS_MAX).map(|(_, key)| self.why(now, CallKey(key))).collect()
    }

    fn why_one(&self, now: Time, text: &str) -> Result<Why, Box<Failure>> {
        let refuse = |code, text: String| Err(Box::new(Failure::new(code, Executed::No, text)));
        let id = match text.parse::<CallId>() {
            Ok(id) => id,
            Err(error) => return refuse(Code::InvalidArgument, format!("{text} is no call: {error}")),
        };
        if let Some((key, _)) = self.calls.iter().find(|(_, call)| call.id == id && call.part_of.is_none()) {
            return Ok(self.why(now, CallKey(key)));
        }
        let client = self.clients.values().find(|client| client.session.tag() == id.caller);
        let text = match client {
            None => format!("{id} is not open, and the client that made it is not here: it has left, or was lost"),
            Some(client) => match client.outcome(id.number) {
                Some(Ok(_)) => format!("{id} is not open: it was answered with a result"),
                Some(Err(failure)) => format!("{id} is not open: it failed with {failure}"),
                _ if id.number > client.highest => format!("{id} has not reached the broker: it waits in its client"),
                _ => format!("{id} is not open: it has ended, and its client knows how"),
            },
        };
        refuse(Code::FailedPrecondition, text)
    }

    fn why(&self, now: Time, key: CallKey) -> Why {
        let call = &self.calls[key.0];
        let service = &self.services[&call.service];
        let client = self.caller_of(call).and_then(|client| self.clients.get(&client));
        let told = Why {
            call: call.id.to_string(),
            method: call.method.to_string(),
            client: client.map(|client| client.name.clone()).unwrap_or_default(),
            state: String::new(),
            reason: String::new(),
            since_ms: millis(now.since(call.since)),
            left_ms: call.deadline.map(|deadline| millis(deadline.since(now))),
            worker: self.worker_of_part(call).unwrap_or(&call.worker).to_string(),
            lost: call.lost,
            ahead: 0,
            behind: Vec::new(),
            behind_others: 0,
            busy: Vec::new(),
            estimate_ms: None,
        };
        match call.state {
            State::Running { worker, started, .. } => self.why_running(now, call, worker, started, told),
            State::Gathering => Why { state: "running".to_owned(), reason: self.why_gathering(call), ..told },
            State::Blocked => Why { state: "waiting".to_owned(), reason: self.why_blocked(now, call), ..told },
            State::New | State::Waiting { .. } => self.why_waiting(now, call, service, told),
        }
    }

    fn why_running(&self, now: Time, call: &Call, worker: WorkerKey, started: bool, told: Why) -> Why {
        let worker = &self.workers[&worker];
        let (state, wanted) = match call.is_wanted() {
            true => ("running", ""),
            false => ("stopping", "; nobody waits for it any more, and the worker was told so"),
        };
        let begun = if started { ", and its handler has begun" } else { "" };
        let heard = millis(now.since(worker.presence.heard));
        let reason = format!("it is at worker {}{begun}{wanted}; that was heard {heard} ms ago", worker.name);
        Why { state: state.to_owned(), reason, ..told }
    }

    fn why_waiting(&self, now: Time, call: &Call, service: &Service, told: Why) -> Why {
        let told = Why { state: "waiting".to_owned(), ..told };
        let offered = call.method_number.is_some_and(|method| service.methods[method].is_offered());
        if !offered {
            return Why { reason: self.why_nobody(now, call), ..told };
        }
        let (behind, behind_others, ahead) = self.behind(call, service);
        let (slots, rests) = self.why_room(call);
        let reason = match slots {
            _ if let Some(full) = full_method(call, service) => {
                let (method, running) = (&call.method, full.running);
                format!("{running} calls of {method} run, and no more may at once; {ahead} calls are before it{rests}")
            }
            _ if let Some(reason) = self.why_worker(call).or_else(|| self.why_part(call)) => {
                format!("{reason}; {ahead} calls are before it{rests}")
            }
            0 => format!("every worker of {} drains: it waits for another", service.name),
            _ => format!("all {slots} slots of {} are busy, and {ahead} calls are before it{rests}", service.name),
        };
        // When one of all slots is free says nothing of one worker's.
        let turn = call.part_of.map_or_else(|| service.pace.turn_after(ahead, slots), |_| None);
        let estimate_ms = turn.map(millis);
        Why { reason, ahead, behind, behind_others, busy: self.busy(now, call), estimate_ms, ..told }
    }

    /// The slots of a call's service, and what keeps its workers from filling them.
    fn why_room(&self, call: &Call) -> (u32, String) {
        let offers = self.workers.values().flat_map(|worker| worker.offers.iter().map(move |offer| (worker, offer)));
        let (mut slots, mut resting, mut reading) = (0, 0, 0);
        for (worker, offer) in offers.filter(|(_, offer)| offer.service == call.service) {
            slots += offer.slots;
            resting += u32::from(offer.resting.is_some());
            reading += u32::from(worker.unread.is_much);
        }
        let told = |workers, what: &str| match workers {
            0 => String::new(),
            _ => format!("; {workers} of its workers {what}"),
        };
        let resting = told(resting, "gave calls back and rest for a moment");
        (slots, resting + &told(reading, "are to read what they were sent before they are sent more"))
    }

    fn why_nobody(&self, now: Time, call: &Call) -> String {
        let (_, nobody) = self.nobody(call);
        match call.state {
            State::Waiting { give_up: Some(until), .. } => {
                format!("{nobody}: it waits for a worker for {} ms more", millis(until.since(now)))
            }
            _ => format!("{nobody}: it waits for a worker as long as its time-out allows"),
        }
    }

    /// Who has their turn before a waiting call, how many others have, and how many calls these are in all.
    fn behind(&self, call: &Call, service: &Service) -> (Vec<Behind>, usize, usize) {
        let State::Waiting { place, .. } = call.state else { return (Vec::new(), 0, 0) };
        let mut lanes: Vec<_> = service.queue.ahead(place).into_iter().collect();
        let ahead = lanes.iter().map(|&(_, calls)| calls).sum();
        lanes.sort_by_key(|&(_, calls)| Reverse(calls));
        let others = lanes.len().saturating_sub(BEHIND_NAMED_MAX);
        lanes.truncate(BEHIND_NAMED_MAX);
        let name = |lane| self.clients.get(&super::ClientKey(lane)).map(|client| client.name.clone());
        let told = |(lane, calls)| Behind { client: name(lane).unwrap_or_default(), calls };
        (lanes.into_iter().map(told).collect(), others, ahead)
    }

    /// The calls that hold what a call waits for: slots of its service, of its worker if only one may have it, or the room of its method.
    fn busy(&self, now: Time, call: &Call) -> Vec<Busy> {
        let full = full_method(call, &self.services[&call.service]);
        let bound = call.bound_to().filter(|_| full.is_none());
        let workers = self.workers.iter().filter(|(at, _)| bound.is_none_or(|bound| bound == **at));
        let running = workers.flat_map(|(_, worker)| worker.running.values().map(move |key| (worker, key)));
        let mut busy: Vec<_> = running
            .map(|(worker, key)| (worker, &self.calls[key.0]))
            .filter(|(_, other)| other.service == call.service)
            .filter(|(_, other)| full.is_none() || other.method_number == call.method_number)
            .collect();
        busy.sort_by_key(|(_, other)| other.since);
        let told = busy.into_iter().take(BUSY_NAMED_MAX).map(|(worker, other)| Busy {
            call: other.id.to_string(),
            method: other.method.to_string(),
            worker: worker.name.to_string(),
            for_ms: millis(now.since(other.since)),
        });
        told.collect()
    }
}

/// A waiting call's method, if as many calls of it run as may.
fn full_method<'a>(call: &Call, service: &'a Service) -> Option<&'a Method> {
    call.method_number.map(|method| &service.methods[method]).filter(|method| method.is_full())
}

fn told(whys: &[Why]) -> Outcome {
    body::encode(whys).map_err(|error| Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string())))
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
