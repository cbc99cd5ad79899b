//! The metrics of the broker: its counters, histograms and gauges, for the driver.
//!
//! The lists are bounded. What exceeds them is added up, so that sums over a list are complete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    super::{
        coordinator::state::Broker,
        interface::Counters,
        keys::ServiceKey,
        metrics::CallMetrics,
        registry::{Service, Worker},
    },
    gate::GateStatus,
    status::{ServiceStatus, service_overview},
};
use crate::{time::Time, wire::limits::METRICS_SERVICES_MAX};

/// The metrics of the broker at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Milliseconds since the broker started.
    pub uptime_ms: u64,
    /// Whether the broker shuts down: it accepts no new calls.
    pub draining: bool,
    /// Counters since the start.
    pub counters: Counters,
    /// The state of the driver's gate.
    pub gate: GateStatus,
    /// What the broker holds now.
    pub gauges: Gauges,
    /// Services with workers or calls, at most [`METRICS_SERVICES_MAX`]: first those with workers, by name.
    pub services: Vec<ServiceMetrics>,
    /// The number of services beyond that limit.
    pub services_omitted: usize,
    /// The calls of methods that have ended, by service and method, at most [`METRICS_METHODS_MAX`](crate::wire::limits::METRICS_METHODS_MAX).
    pub methods: Vec<MethodMetrics>,
    /// The calls of methods beyond that limit.
    pub other_methods: CallMetrics,
    /// The calls of methods that no worker has offered.
    pub unknown_methods: CallMetrics,
    /// The calls of the broker's own service.
    pub admin: CallMetrics,
}

/// What the broker holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// Clients that are connected, or may still reconnect.
    pub clients: usize,
    /// Those of them that are connected.
    pub clients_connected: usize,
    /// Calls that clients may send before they are granted more credit.
    pub client_credit_calls: u64,
    /// Bytes of bodies that clients may send before they are granted more credit.
    pub client_credit_bytes: u64,
    /// Workers that are connected.
    pub workers: usize,
    /// Those of them that drain.
    pub workers_draining: usize,
    /// Those of them that did not stop a call past its hard limit.
    pub workers_unresponsive: usize,
    /// Open calls: waiting, running, or in between. The subcalls of broadcasts count, too.
    pub calls_open: usize,
    /// Calls that wait, in a queue or for their affinity key.
    pub calls_waiting: usize,
    /// Bytes of the bodies of waiting calls.
    pub waiting_bytes: usize,
    /// Calls that are at workers.
    pub calls_running: usize,
    /// Calls with streams.
    pub streams: usize,
    /// Bytes of items that readers have not granted again.
    pub stream_bytes: u64,
    /// Affinity keys in use.
    pub affinity_keys: usize,
    /// Outcomes that are kept until their clients acknowledge them.
    pub cached_replies: usize,
    /// Bytes of these outcomes.
    pub cached_reply_bytes: usize,
    /// Dead letters that are kept.
    pub dead_letters: usize,
    /// Bytes of the arguments of dead letters.
    pub dead_letter_bytes: usize,
    /// Bytes that the registrations of all workers take.
    pub registered_bytes: usize,
}

/// The gauges of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceMetrics {
    /// Its state, without methods and contracts.
    pub status: ServiceStatus,
    /// Workers that can be given calls: they do not drain, and are neither paused nor unresponsive.
    pub available_workers: usize,
}

/// The calls of one method that have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodMetrics {
    /// The service.
    pub service: String,
    /// The method.
    pub method: String,
    /// Its calls.
    pub calls: CallMetrics,
}

/// Returns the metrics of the broker.
pub(crate) fn metrics(broker: &Broker, now: Time) -> Metrics {
    let shared = broker.registry.shared_metrics();
    let (services, services_omitted) = services(broker, now);
    Metrics {
        uptime_ms: u64::try_from(now.since(broker.lifecycle.started).as_millis()).unwrap_or(u64::MAX),
        draining: broker.lifecycle.is_shutting_down(),
        counters: broker.counters,
        gate: broker.gate.clone(),
        gauges: gauges(broker),
        services,
        services_omitted,
        methods: methods(broker),
        other_methods: shared.other.clone(),
        unknown_methods: shared.unknown.clone(),
        admin: broker.admin_metrics.clone(),
    }
}

fn gauges(broker: &Broker) -> Gauges {
    let clients = || broker.sessions.iter().map(|(_, client)| client);
    let workers = || broker.registry.workers().map(|(_, worker)| worker);
    let count = |is: fn(&Worker) -> bool| workers().filter(|worker| is(worker)).count();
    let connected = || clients().filter(|client| client.connection().is_some());
    let backlog = broker.tenants.backlog();
    let (dead_letters, dead_letter_bytes) = broker.dead_letters.held();
    Gauges {
        clients: broker.sessions.len(),
        clients_connected: connected().count(),
        client_credit_calls: connected().map(|client| u64::from(client.available_credit().calls)).sum(),
        client_credit_bytes: connected().map(|client| client.available_credit().bytes).sum(),
        workers: broker.registry.workers_len(),
        workers_draining: count(|worker| worker.draining),
        workers_unresponsive: count(|worker| worker.unresponsive_calls > 0),
        calls_open: broker.calls.len(),
        calls_waiting: backlog.calls,
        waiting_bytes: backlog.bytes,
        calls_running: workers().map(|worker| worker.running.len()).sum(),
        streams: broker.streams.open_len(),
        stream_bytes: broker.streams.held_bytes(),
        affinity_keys: broker.affinity.keys_len(),
        cached_replies: broker.cached_replies(),
        cached_reply_bytes: broker.sessions.cached_bytes(),
        dead_letters,
        dead_letter_bytes,
        registered_bytes: broker.registry.bytes(),
    }
}

/// Returns the services in use, those with workers first, and the number of those left out. Callers may name services that do not
/// exist: these must not displace those that do.
fn services(broker: &Broker, now: Time) -> (Vec<ServiceMetrics>, usize) {
    let in_use = || broker.registry.services_by_name().filter(|(_, service)| is_in_use(service));
    let offered = in_use().filter(|(_, service)| service.offers > 0);
    let others = in_use().filter(|(_, service)| service.offers == 0);
    let available = available_workers(broker);
    let listed = offered.chain(others).take(METRICS_SERVICES_MAX).map(|(key, _)| ServiceMetrics {
        status: service_overview(broker, now, key),
        available_workers: available.get(&key).copied().unwrap_or_default(),
    });
    (listed.collect(), in_use().count().saturating_sub(METRICS_SERVICES_MAX))
}

/// Returns whether a service has workers or calls, or had workers a moment ago.
fn is_in_use(service: &Service) -> bool {
    service.offers + service.calls > 0 || !service.methods().is_empty()
}

/// Returns how many workers of each service can be given calls.
fn available_workers(broker: &Broker) -> BTreeMap<ServiceKey, usize> {
    let mut counts = BTreeMap::new();
    for (_, worker) in broker.registry.workers().filter(|(_, worker)| worker.takes_calls()) {
        let mut services: Vec<_> = worker.offers().iter().map(|offer| offer.service).collect();
        services.sort_unstable();
        services.dedup();
        services.into_iter().for_each(|service| *counts.entry(service).or_default() += 1);
    }
    counts
}

fn methods(broker: &Broker) -> Vec<MethodMetrics> {
    let of_service = |(_, service): (ServiceKey, &Service)| {
        let measured = service.methods().iter().filter_map(|method| Some((method, method.metrics.as_ref()?)));
        let metrics = measured.map(|(method, calls)| MethodMetrics {
            service: service.name.clone(),
            method: method.name.clone(),
            calls: (**calls).clone(),
        });
        metrics.collect::<Vec<_>>()
    };
    let measured = broker.registry.services_by_name().filter(|(_, service)| service.measured_methods() > 0);
    measured.flat_map(of_service).collect()
}
