//! `callboard.status` and `callboard.services`: the state of the broker.
//!
//! Each list is bounded, because a status must fit into a message however many peers there are. What was left out is counted.

use serde::{Deserialize, Serialize};

use super::{
    super::interface::Counters,
    super::{
        calls::{Call, CallState},
        coordinator::state::Broker,
        keys::ServiceKey,
        registry::{Service, Worker},
        sessions::Client,
    },
    contracts::{ContractStatus, contract_statuses},
    load::waiting,
};
use crate::{
    time::Time,
    wire::{envelope::Effect, streams::Style},
};

/// Workers that one status lists.
const WORKERS_MAX: usize = 1_000;
/// Clients that one status lists.
const CLIENTS_MAX: usize = 200;
/// Services that one status lists.
const SERVICES_MAX: usize = 256;
/// Calls that one status lists for each worker: the oldest, because those are the ones that operators search for.
const CALLS_MAX: usize = 4;

/// The result of `callboard.status`: the state of the broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The broker's id.
    pub broker: String,
    /// The id of this start.
    pub start: String,
    /// Clients that are connected, or may still reconnect.
    pub clients: usize,
    /// Those clients, the ones with the most open calls first.
    #[serde(default)]
    pub callers: Vec<ClientStatus>,
    /// Workers that are connected.
    pub workers: Vec<WorkerStatus>,
    /// Services with workers or calls.
    #[serde(default)]
    pub services: Vec<ServiceStatus>,
    /// What the lists omit.
    #[serde(default)]
    pub omitted: Omitted,
    /// Milliseconds since the broker started.
    #[serde(default)]
    pub uptime_ms: u64,
    /// Calls that are open: waiting or running.
    pub open: usize,
    /// Bytes that the registrations of all workers take: names, arguments and descriptions, with what belongs to each.
    #[serde(default)]
    pub registered_bytes: usize,
    /// Counters since the start.
    pub counters: Counters,
}

/// A worker in the result of `callboard.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its instance name.
    pub name: String,
    /// Its pool, if it has one.
    pub pool: Option<String>,
    /// Its process id on its host.
    pub pid: Option<u32>,
    /// Its host.
    pub host: String,
    /// Calls that it runs.
    pub running: usize,
    /// Whether it drains: it takes no more calls.
    pub draining: bool,
    /// Whether it is unresponsive: it did not stop a call that ran past its hard limit.
    #[serde(default)]
    pub stuck: bool,
    /// The services that it offers.
    #[serde(default)]
    pub services: Vec<String>,
    /// The number of calls that it can run at once.
    #[serde(default)]
    pub slots: u64,
    /// The oldest of its running calls.
    #[serde(default)]
    pub calls: Vec<CallStatus>,
    /// Calls that it has answered with a result.
    #[serde(default)]
    pub answered: u64,
    /// Calls that it has answered with a failure, other than that they were cancelled.
    #[serde(default)]
    pub failed: u64,
}

/// A service in the results of `callboard.services` and `callboard.status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Workers that offer it.
    pub workers: usize,
    /// The number of calls that they can run at once.
    pub slots: u64,
    /// Calls that they run now.
    pub running: u64,
    /// Waiting calls.
    pub waiting: usize,
    /// Whether an operator has paused it.
    #[serde(default)]
    pub paused: bool,
    /// Bytes of the waiting calls' bodies.
    #[serde(default)]
    pub waiting_bytes: usize,
    /// How long the oldest of them has waited, in milliseconds.
    #[serde(default)]
    pub oldest_wait_ms: u64,
    /// Calls per second.
    #[serde(default)]
    pub rates: Rates,
    /// Its methods. `callboard.status` omits them.
    pub methods: Vec<MethodStatus>,
    /// The contracts that its workers registered. More than one means that they differ. `callboard.status` omits them.
    #[serde(default)]
    pub contracts: Vec<ContractStatus>,
}

/// A method in the result of `callboard.services`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodStatus {
    /// Its name.
    pub name: String,
    /// The names of its arguments, in order.
    pub arguments: Vec<String>,
    /// Its effect: the strictest that a worker declares.
    pub effect: Effect,
    /// Its call style.
    #[serde(default, skip_serializing_if = "Style::is_unary")]
    pub style: Style,
    /// The limit of concurrent calls over all workers. Absent: as many as there are slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Calls of it that run now.
    #[serde(default)]
    pub running: u32,
}

/// The numbers of entries that a status leaves out because its lists are bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Omitted {
    /// Workers.
    pub workers: usize,
    /// Clients.
    pub clients: usize,
    /// Services.
    pub services: usize,
}

/// A client in the result of `callboard.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Its instance name, which may be empty.
    pub name: String,
    /// The first half of its calls' correlation ids.
    pub caller: String,
    /// Whether it is connected. Otherwise it may still reconnect.
    pub connected: bool,
    /// Its open calls.
    pub open: usize,
}

/// A running call in the result of `callboard.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStatus {
    /// The correlation id of the call.
    pub call: String,
    /// The called method, `SERVICE.METHOD`.
    pub method: String,
    /// Milliseconds since it was sent to the worker.
    pub for_ms: u64,
    /// Whether its outcome is wanted. A call that is not wanted was asked to stop.
    pub wanted: bool,
}

/// Calls per second, over the last seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Calls that arrived.
    pub arrived: f64,
    /// Calls that ended with a result.
    pub answered: f64,
    /// Calls that ended with a failure.
    pub failed: f64,
}

impl Status {
    /// Returns the status for a client without the role operator: without other clients and their calls.
    pub(super) fn without_peers(mut self) -> Status {
        self.omitted.clients = self.clients;
        self.callers.clear();
        self.workers.iter_mut().for_each(|worker| worker.calls.clear());
        self
    }
}

/// Returns the state of the broker.
pub(crate) fn status(broker: &Broker, now: Time) -> Status {
    let (callers, clients_omitted) = client_statuses(broker);
    let (services, services_omitted) = service_overviews(broker, now);
    let workers = broker.registry.workers().take(WORKERS_MAX).map(|(_, worker)| worker_status(broker, now, worker));
    Status {
        broker: broker.identity.broker.to_string(),
        start: broker.identity.start.to_string(),
        uptime_ms: millis(now.since(broker.lifecycle.started)),
        clients: broker.sessions.len(),
        callers,
        workers: workers.collect(),
        services,
        omitted: Omitted {
            workers: broker.registry.workers_len().saturating_sub(WORKERS_MAX),
            clients: clients_omitted,
            services: services_omitted,
        },
        open: broker.calls.len(),
        registered_bytes: broker.registry.bytes(),
        counters: broker.counters,
    }
}

/// Returns the services that have workers, with their methods.
pub(crate) fn service_statuses(broker: &Broker, now: Time) -> Vec<ServiceStatus> {
    broker.registry.active().map(|(_, key)| service_status(broker, now, key, true)).collect()
}

fn service_status(broker: &Broker, now: Time, key: ServiceKey, methods: bool) -> ServiceStatus {
    let service = broker.registry.service(key);
    let offered = service.methods().iter().filter(|method| methods && method.is_offered());
    let contracts = if methods { contract_statuses(broker, key) } else { Vec::new() };
    let methods = offered.map(|method| MethodStatus {
        name: method.name.clone(),
        arguments: method.arguments.clone(),
        effect: method.effect(),
        style: method.style,
        concurrency: method.concurrency,
        running: method.running,
    });
    let (keyed_calls, keyed_bytes) = broker.affinity.waiting(key);
    let [arrived, answered, failed] = service.rates(now);
    ServiceStatus {
        name: service.name.clone(),
        workers: service.workers,
        slots: service.slots,
        running: service.running,
        waiting: service.queue.len() + keyed_calls,
        paused: service.operator_limits.get(None).paused,
        waiting_bytes: service.queue.bytes() + keyed_bytes,
        oldest_wait_ms: millis(waiting(broker, now, service, |_, _| true).1),
        rates: Rates { arrived, answered, failed },
        methods: methods.collect(),
        contracts,
    }
}

/// Returns the state of a service without its methods and contracts.
pub(super) fn service_overview(broker: &Broker, now: Time, key: ServiceKey) -> ServiceStatus {
    service_status(broker, now, key, false)
}

/// Returns services without their methods, and the number of those left out.
fn service_overviews(broker: &Broker, now: Time) -> (Vec<ServiceStatus>, usize) {
    let in_use = |(_, service): &(ServiceKey, &Service)| service.offers + service.calls > 0;
    let known = || broker.registry.services_by_name().filter(in_use);
    let listed = known().take(SERVICES_MAX).map(|(key, _)| service_overview(broker, now, key));
    (listed.collect(), known().count().saturating_sub(SERVICES_MAX))
}

/// Returns clients, those with the most open calls first, and the number of those left out.
fn client_statuses(broker: &Broker) -> (Vec<ClientStatus>, usize) {
    let mut all: Vec<_> = broker.sessions.iter().map(|(_, client)| client_status(client)).collect();
    all.sort_by_key(|client| std::cmp::Reverse(client.open));
    let omitted = all.len().saturating_sub(CLIENTS_MAX);
    all.truncate(CLIENTS_MAX);
    (all, omitted)
}

fn client_status(client: &Client) -> ClientStatus {
    let caller = format!("{:08x}", client.session().prefix());
    let connected = client.connection().is_some();
    ClientStatus { name: client.name().to_owned(), caller, connected, open: client.open_len() }
}

fn worker_status(broker: &Broker, now: Time, worker: &Worker) -> WorkerStatus {
    let calls = worker.running.values().take(CALLS_MAX).map(|&key| call_status(now, &broker.calls[key]));
    let name = |service| broker.registry.service(service).name.clone();
    let mut services: Vec<_> = worker.offers().iter().map(|offer| name(offer.service)).collect();
    services.dedup();
    WorkerStatus {
        name: worker.name.to_string(),
        pool: worker.pool.clone(),
        pid: worker.pid,
        host: worker.host.clone(),
        running: worker.running.len(),
        draining: worker.draining,
        stuck: worker.unresponsive_calls > 0,
        services,
        slots: worker.slots(),
        calls: calls.collect(),
        answered: worker.answered,
        failed: worker.failed,
    }
}

fn call_status(now: Time, call: &Call) -> CallStatus {
    debug_assert!(matches!(call.state, CallState::Running { .. }), "only a running call is at a worker");
    CallStatus {
        call: call.id().to_string(),
        method: call.method.to_string(),
        for_ms: millis(now.since(call.since)),
        wanted: call.is_wanted(),
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
