//! The service `callboard`: what the broker says of itself, and keeps for who operates it.

use serde::{Deserialize, Serialize};

use super::{
    Broker, ContractStatus, Counters,
    client::Outcome,
    overview::{CallStatus, ClientStatus, Omitted, Rates, WORKERS_MAX},
    service::near,
};
use crate::{
    auth::Principal,
    body::{self, ArgumentReader},
    time::Time,
    wire::{
        envelope::{Effect, Request},
        limits,
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::Style,
    },
};

/// The name of the broker's own service.
pub(super) const SERVICE: &str = "callboard";
/// What comes before a pool's name in the name of its service.
pub(super) const POOL_PREFIX: &str = "callboard.pool.";
/// What of a pool's service anybody may call; the rest changes the pool, and is for who operates it.
const OF_POOLS_FOR_ALL: &str = "status";
/// What only who operates the broker may know or do: who else is there and from where, and what others' calls carried.
const FOR_OPERATORS: [&str; 6] = ["dead", "dead_drop", "dead_resend", "dead_show", "gate", "peers"];
/// Its methods: name, arguments, and what there is to say of them.
pub(super) const METHODS: [(&str, &[&str], &str); 12] = [
    ("dead", &[], "The dead letters: calls that nobody may try again. For operators."),
    ("dead_drop", &["id"], "Forgets a dead letter. For operators."),
    ("dead_resend", &["id"], "Makes the call of a dead letter again: the result is that call's. For operators."),
    ("dead_show", &["id"], "A dead letter with its arguments. For operators."),
    ("describe", &["service"], "What a service is: its methods, their arguments, results and types."),
    ("gate", &[], "The connections, what is held for them, and why they ended. For operators."),
    ("load", &["pool"], "How busy the workers of one pool are."),
    ("peers", &["from"], "Who is connected, from the one with that number on. For operators."),
    ("ping", &[], "Null, at once."),
    ("services", &[], "The services that somebody serves now."),
    ("status", &[], "The broker as it stands."),
    ("why", &["call"], "What an open call waits for; of the oldest ones if none is named."),
];

/// A service as `callboard.services` tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Workers that serve it.
    pub workers: usize,
    /// Calls they can run at once.
    pub slots: u64,
    /// Calls they run now.
    pub running: u64,
    /// Calls that wait.
    pub waiting: usize,
    /// Bytes of their bodies.
    #[serde(default)]
    pub waiting_bytes: usize,
    /// How long the oldest of them has waited, in milliseconds.
    #[serde(default)]
    pub oldest_wait_ms: u64,
    /// How much of it is called.
    #[serde(default)]
    pub rates: Rates,
    /// Its methods; `callboard.status` leaves them out.
    pub methods: Vec<MethodStatus>,
    /// What its workers say that it is. More than one: they do not agree. `callboard.status` leaves them out.
    #[serde(default)]
    pub contracts: Vec<ContractStatus>,
}

/// A method as `callboard.services` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodStatus {
    /// Its name.
    pub name: String,
    /// The names of its arguments, in order.
    pub arguments: Vec<String>,
    /// What it may do to the world, by the strictest worker's word.
    pub effect: Effect,
    /// Which streams it has.
    #[serde(default, skip_serializing_if = "Style::is_unary")]
    pub style: Style,
    /// Calls of it that run at once at most, over all workers; absent: as many as there are slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Calls of it that run now.
    #[serde(default)]
    pub running: u32,
}

/// The broker as `callboard.status` tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The broker's id.
    pub broker: String,
    /// The id of this start.
    pub start: String,
    /// Clients that are connected, or may yet return.
    pub clients: usize,
    /// Those clients, the busiest first.
    #[serde(default)]
    pub callers: Vec<ClientStatus>,
    /// Workers that are connected.
    pub workers: Vec<WorkerStatus>,
    /// Services that somebody serves or waits for.
    #[serde(default)]
    pub services: Vec<ServiceStatus>,
    /// What there was no room for.
    #[serde(default)]
    pub omitted: Omitted,
    /// How long ago this start of the broker was, in milliseconds.
    #[serde(default)]
    pub uptime_ms: u64,
    /// Calls that are open: waiting or running.
    pub open: usize,
    /// What was counted since the start.
    pub counters: Counters,
}

impl Status {
    /// What who is no operator may know: how the broker is, and not who else calls what.
    fn without_peers(mut self) -> Status {
        self.omitted.clients = self.clients;
        self.callers.clear();
        self.workers.iter_mut().for_each(|worker| worker.calls.clear());
        self
    }
}

/// A worker as `callboard.status` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its instance name.
    pub name: String,
    /// Its pool, if it has one.
    pub pool: Option<String>,
    /// Its process on its machine.
    pub pid: Option<u32>,
    /// Its machine.
    pub host: String,
    /// Calls it runs.
    pub running: usize,
    /// Whether it takes no more calls.
    pub draining: bool,
    /// Whether it did not stop a call that ran past its hard limit.
    #[serde(default)]
    pub stuck: bool,
    /// What it serves.
    #[serde(default)]
    pub services: Vec<String>,
    /// Calls it can run at once.
    #[serde(default)]
    pub slots: u64,
    /// The oldest of the calls it runs.
    #[serde(default)]
    pub calls: Vec<CallStatus>,
    /// Calls that it has answered with a result.
    #[serde(default)]
    pub answered: u64,
    /// Calls that it has answered with a failure, other than that they were cancelled.
    #[serde(default)]
    pub failed: u64,
}

/// What a method of the broker's own does: but for two of them nothing.
pub(super) fn effect(method: &str) -> Effect {
    match method {
        "dead_drop" => Effect::Idempotent,
        "dead_resend" => Effect::Once,
        _ => Effect::Read,
    }
}

/// Whether a service's name is the broker's or a pool's.
pub(super) fn is_reserved(service: &str) -> bool {
    service == SERVICE || service.starts_with("callboard.")
}

/// Whether only an operator may call it, though a pool serves it: the broker knows its callers, and a pool does not.
pub(super) fn is_for_operators(method: &MethodName) -> bool {
    method.service().starts_with(POOL_PREFIX) && method.method() != OF_POOLS_FOR_ALL
}

/// There is one broker.
pub(super) fn no_broadcast(method: &MethodName) -> Failure {
    let text = format!("{method} is served by the broker alone: call it without broadcast");
    Failure::new(Code::InvalidArgument, Executed::No, text)
}

/// Nothing of the broker's own is a stream.
pub(super) fn wrong_style(method: &MethodName, style: Style) -> Failure {
    let text = format!("{method} is {}, and was called as {style}", Style::Unary);
    Failure::new(Code::InvalidArgument, Executed::No, text)
}

impl Broker {
    /// Answers a call of the broker's own service.
    pub(super) fn own_call(&mut self, now: Time, caller: &Principal, request: &Request) -> Outcome {
        let (method, arguments) = (request.method.method(), &request.body);
        if FOR_OPERATORS.contains(&method) && !caller.operator {
            return Err(Box::new(not_an_operator(&format!("{SERVICE}.{method}"))));
        }
        let answer = match method {
            "dead" | "dead_drop" | "dead_resend" | "dead_show" => self.dead_call(now, request),
            "describe" => encoded(&self.describe(arguments)?),
            "gate" => encoded(&self.gate),
            "load" => encoded(&self.load(now, &pool_named(arguments)?)),
            "peers" => encoded(&self.peers(now, first_peer(arguments)?)),
            "ping" => encoded(&()),
            "services" => self.own_answer(now, "services", |broker| encoded(&broker.service_statuses(now))),
            "status" if caller.operator => self.own_answer(now, "status", |broker| encoded(&broker.status(now))),
            "status" => {
                self.own_answer(now, "status without peers", |broker| encoded(&broker.status(now).without_peers()))
            }
            "why" => self.why_call(now, caller, request),
            _ => return Err(no_method(method)),
        }?;
        let (bytes, max) = (answer.len(), self.settings.message_bytes_max.saturating_sub(limits::HEADER_BYTES_MAX));
        if bytes > max {
            let message = format!("the answer has {bytes} bytes, and a message of this broker {max}");
            return Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Yes, message)));
        }
        Ok(answer)
    }

    /// An answer that costs something to find: the last one, if it is young and nobody has come to serve or left since.
    pub(super) fn own_answer(
        &mut self,
        now: Time,
        name: &'static str,
        find: impl FnOnce(&Broker) -> Outcome,
    ) -> Outcome {
        match self.own_answers.get(name) {
            Some((at, answer)) if now.since(*at) < limits::OWN_ANSWER_AGE_MAX => Ok(answer.clone()),
            _ => {
                let answer = find(self)?;
                self.own_answers.insert(name, (now, answer.clone()));
                Ok(answer)
            }
        }
    }

    /// The broker as it stands.
    pub fn status(&self, now: Time) -> Status {
        let (callers, clients_omitted) = self.client_statuses();
        let (services, services_omitted) = self.service_overviews(now);
        let workers = self.workers.values().take(WORKERS_MAX).map(|worker| self.worker_status(now, worker));
        Status {
            broker: self.identity.broker.to_string(),
            start: self.identity.start.to_string(),
            uptime_ms: u64::try_from(now.since(self.started).as_millis()).unwrap_or(u64::MAX),
            clients: self.clients.len(),
            callers,
            workers: workers.collect(),
            services,
            omitted: Omitted {
                workers: self.workers.len().saturating_sub(WORKERS_MAX),
                clients: clients_omitted,
                services: services_omitted,
            },
            open: self.calls.len(),
            counters: self.counters,
        }
    }

    /// The services that somebody serves now.
    pub fn service_statuses(&self, now: Time) -> Vec<ServiceStatus> {
        self.served.values().map(|key| self.service_status(now, *key, true)).collect()
    }

    pub(super) fn service_status(&self, now: Time, key: super::ServiceKey, methods: bool) -> ServiceStatus {
        let service = &self.services[&key];
        let offered = service.methods.iter().filter(|method| methods && method.is_offered());
        let contracts = if methods { self.contract_statuses(key) } else { Vec::new() };
        let methods = offered.map(|method| MethodStatus {
            name: method.name.clone(),
            arguments: method.arguments.clone(),
            effect: method.effect(),
            style: method.style,
            concurrency: method.concurrency,
            running: method.running,
        });
        let (waiting, waiting_bytes) = service.waiting();
        ServiceStatus {
            name: service.name.clone(),
            workers: service.workers,
            slots: service.slots,
            running: service.running,
            waiting,
            waiting_bytes,
            oldest_wait_ms: self.oldest_wait_ms(now, service),
            rates: service.rates(now),
            methods: methods.collect(),
            contracts,
        }
    }
}

fn encoded(answer: &impl Serialize) -> Outcome {
    body::encode(answer).map_err(|error| Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string())))
}

/// What somebody else is told who calls what is for operators.
pub(super) fn not_an_operator(method: &str) -> Failure {
    let message = format!("{method} is for operators: your key must have that role");
    Failure::new(Code::PermissionDenied, Executed::No, message)
}

fn no_method(method: &str) -> Box<Failure> {
    let names = METHODS.map(|(name, ..)| name);
    let meant = near(method, names.into_iter()).join(" or ");
    let message = match meant.as_str() {
        "" => format!("{SERVICE} has no method {method}; it has {}", names.join(", ")),
        _ => format!("{SERVICE} has no method {method}; did you mean {meant}?"),
    };
    Box::new(Failure::new(Code::Unimplemented, Executed::No, message))
}

/// The one argument of `peers`, which may be left out.
fn first_peer(arguments: &[u8]) -> Result<u64, Box<Failure>> {
    let read = ArgumentReader::new(&["from"], arguments).and_then(|mut reader| reader.next::<Option<u64>>());
    let from = read.map_err(|error| Failure::new(Code::InvalidArgument, Executed::No, error.to_string()));
    Ok(from?.unwrap_or(0))
}

/// The one argument of `load`.
fn pool_named(arguments: &[u8]) -> Result<String, Box<Failure>> {
    let read = ArgumentReader::new(&["pool"], arguments).and_then(|mut reader| reader.next());
    read.map_err(|error| Box::new(Failure::new(Code::InvalidArgument, Executed::No, error.to_string())))
}
