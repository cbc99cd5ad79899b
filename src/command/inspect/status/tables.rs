//! The text output of `callboard status`: lines and tables.

use std::time::Duration;

use callboard::core::{
    broker::{CallStatus, ClientStatus, ServiceStatus, Status, WorkerStatus},
    text::HumanDuration,
};

use super::snapshot::StatusSnapshot;
use crate::command::{
    control::report::{PoolReport, WorkerReport},
    output::table,
};

/// The text of an empty cell.
const NOTHING: &str = "-";

/// Formats the whole status, as JSON on one line or as text.
pub(super) fn format(status: &StatusSnapshot, is_json: bool) -> anyhow::Result<String> {
    Ok(if is_json { serde_json::to_string(status)? } else { text(status) })
}

fn text(overview: &StatusSnapshot) -> String {
    let StatusSnapshot { broker, pools, silent_pools } = overview;
    let mut parts = vec![head(broker)];
    let services = broker.services.iter().map(service_row);
    parts.push(table::render(
        ["SERVICE", "WORKERS", "SLOTS", "RUNNING", "WAITING", "OLDEST", "CALLS/s", "FAILED/s"],
        services,
    ));
    if !pools.is_empty() {
        let header = ["POOL", "SERVING", "WANTED", "MIN", "MAX", "GENERATION", "STATE"];
        parts.push(table::render(header, pools.iter().map(pool_row)));
    }
    parts.extend(silent_pools.iter().map(|name| format!("the pool {name} does not answer")));
    let header = ["WORKER", "PID", "STATE", "SLOTS", "RUNNING", "ANSWERED", "FAILED", "RUNS"];
    parts.push(table::render(header, worker_rows(broker, pools)));
    parts.push(table::render(["CLIENT", "CALLER", "STATE", "OPEN"], broker.callers.iter().map(client_row)));
    parts.extend(omitted(broker));
    parts.join("\n\n")
}

fn head(broker: &Status) -> String {
    let counters = &broker.counters;
    let up = span(broker.uptime_ms);
    format!(
        "broker {} up {up}, {} clients, {} calls open\n\
         since its start: {} succeeded, {} failed, {} cancelled, {} retried, {} dead-lettered; \
         {} rejected by a full queue, {} workers lost, {} peers disconnected",
        broker.broker,
        broker.clients,
        broker.open,
        counters.answered,
        counters.failed,
        counters.cancelled,
        counters.repeated,
        counters.buried,
        counters.queue_full,
        counters.workers_lost,
        counters.sent_away,
    )
}

fn service_row(service: &ServiceStatus) -> [String; 8] {
    let oldest = if service.waiting > 0 { span(service.oldest_wait_ms) } else { NOTHING.to_owned() };
    let rates = &service.rates;
    [
        service.name.clone(),
        service.workers.to_string(),
        service.slots.to_string(),
        service.running.to_string(),
        service.waiting.to_string(),
        oldest,
        format!("{:.1}", rates.answered + rates.failed),
        format!("{:.1}", rates.failed),
    ]
}

fn pool_row(pool: &PoolReport) -> [String; 7] {
    [
        pool.name.clone(),
        pool.registered().to_string(),
        pool.size.to_string(),
        pool.min.to_string(),
        pool.max.to_string(),
        pool.generation.to_string(),
        pool_state(pool),
    ]
}

/// Returns what a pool does now, and how its last rollout ended.
pub(in crate::command::inspect) fn pool_state(pool: &PoolReport) -> String {
    let state = match (&pool.verdict, &pool.rollout) {
        (Some(verdict), _) => return format!("gave up: {verdict}"),
        (None, Some(rollout)) if rollout.canary => "canary period of new workers",
        (None, Some(_)) => "starting new workers",
        (None, None) if pool.is_settled() => "steady",
        (None, None) => "changing",
    };
    let last = pool.last_rollout.as_ref().and_then(|ended| ended.rolled_back.as_ref());
    let last = last.map(|why| format!("; last rollout rolled back: {why}"));
    let scaling = if pool.autoscale { "; autoscaling" } else { "" };
    format!("{state}{scaling}{}", last.unwrap_or_default())
}

/// Returns the rows of the workers: those of the broker with their state in the pool, then the pools' processes that
/// are not registered at the broker.
fn worker_rows(broker: &Status, pools: &[PoolReport]) -> Vec<[String; 8]> {
    let replicas = || pools.iter().flat_map(|pool| &pool.workers);
    let mut rows: Vec<_> = broker
        .workers
        .iter()
        .map(|worker| worker_row(worker, replicas().find(|replica| replica.instance == worker.name)))
        .collect();
    let known = |replica: &&WorkerReport| !broker.workers.iter().any(|worker| worker.name == replica.instance);
    rows.extend(replicas().filter(known).map(replica_row));
    rows
}

fn worker_row(worker: &WorkerStatus, replica: Option<&WorkerReport>) -> [String; 8] {
    [
        worker.name.clone(),
        worker.pid.map_or_else(|| NOTHING.to_owned(), |pid| pid.to_string()),
        worker_state(worker, replica),
        worker.slots.to_string(),
        worker.running.to_string(),
        worker.answered.to_string(),
        worker.failed.to_string(),
        calls(worker.running, &worker.calls),
    ]
}

/// Returns the state of a worker that is connected to the broker; that of its process, if it has a pool.
pub(in crate::command::inspect) fn worker_state(worker: &WorkerStatus, replica: Option<&WorkerReport>) -> String {
    match replica {
        _ if worker.stuck => "stuck".to_owned(),
        Some(replica) => replica_state(replica),
        None if worker.draining => "draining".to_owned(),
        None => "connected".to_owned(),
    }
}

fn replica_row(replica: &WorkerReport) -> [String; 8] {
    let nothing = || NOTHING.to_owned();
    let pid = replica.pid.map_or_else(nothing, |pid| pid.to_string());
    let [slots, running, answered, failed, runs] = [(); 5].map(|()| nothing());
    [replica.instance.clone(), pid, replica_state(replica), slots, running, answered, failed, runs]
}

/// Returns the state of a process of a pool, and how its last process ended.
pub(in crate::command::inspect) fn replica_state(replica: &WorkerReport) -> String {
    let wait = replica.starts_in_ms.map(|millis| format!(" for {}", span(millis)));
    let exit = replica.last_exit.as_ref().map(|exit| format!(" (lost {}: {exit})", replica.restarts));
    format!("{}{}{}", replica.state, wait.unwrap_or_default(), exit.unwrap_or_default())
}

/// Formats the oldest call that a worker runs, and the number of the others.
pub(in crate::command::inspect) fn calls(running: usize, calls: &[CallStatus]) -> String {
    let Some(oldest) = calls.first() else { return NOTHING.to_owned() };
    let stop = if oldest.wanted { "" } else { ", asked to stop" };
    let more = if running > 1 { format!(" and {} more", running - 1) } else { String::new() };
    format!("{} {} for {}{stop}{more}", oldest.method, oldest.call, span(oldest.for_ms))
}

fn client_row(client: &ClientStatus) -> [String; 4] {
    let name = if client.name.is_empty() { NOTHING.to_owned() } else { client.name.clone() };
    let state = if client.connected { "connected" } else { "disconnected" };
    [name, client.caller.clone(), state.to_owned(), client.open.to_string()]
}

fn omitted(broker: &Status) -> Option<String> {
    let omitted = broker.omitted;
    let all = [(omitted.workers, "workers"), (omitted.clients, "clients"), (omitted.services, "services")];
    let some: Vec<_> = all.iter().filter(|(count, _)| *count > 0).map(|(count, of)| format!("{count} {of}")).collect();
    (!some.is_empty()).then(|| format!("and {} more", some.join(", ")))
}

/// Formats milliseconds.
fn span(millis: u64) -> String {
    HumanDuration(Duration::from_millis(millis)).to_string()
}
