//! `/live`, `/ready` and `/ready/SERVICE`: whether a process answers, accepts calls, and has workers of a service.

use super::{
    problem::{Problem, unavailable, unknown_service},
    snapshot::{Phase, PoolSnapshot, Snapshot},
};

/// Returns the text of `/live`: the broker, and a pool at its own endpoint, answers within a bound.
pub(super) fn live(snapshot: &Snapshot) -> Result<String, Problem> {
    match (&snapshot.broker, snapshot.pools.first()) {
        (Some(Err(why)), _) | (None, Some((_, Err(why)))) => Err(unavailable(format!("not live: {why}"))),
        _ => Ok("live".to_owned()),
    }
}

/// Returns the text of `/ready`: calls are accepted.
pub(super) fn ready(snapshot: &Snapshot) -> Result<String, Problem> {
    match why_not_ready(snapshot) {
        Some(why) => Err(unavailable(format!("not ready: {why}"))),
        None => Ok("ready".to_owned()),
    }
}

fn why_not_ready(snapshot: &Snapshot) -> Option<String> {
    match (&snapshot.broker, snapshot.phase) {
        (Some(Err(why)), _) => Some(why.clone()),
        (Some(Ok(broker)), _) if broker.metrics.draining => Some("the broker is shutting down".to_owned()),
        (Some(Ok(_)), Phase::Starting) => Some("the pools are starting".to_owned()),
        (Some(Ok(_)), Phase::Stopping) => Some("the pools and the broker are stopping".to_owned()),
        (Some(Ok(_)), Phase::Running) => None,
        (None, _) => snapshot.pools.iter().find_map(|(name, pool)| why_pool_not_ready(name, pool)),
    }
}

fn why_pool_not_ready(name: &str, pool: &Result<PoolSnapshot, String>) -> Option<String> {
    match pool {
        Err(why) => Some(why.clone()),
        Ok(pool) if pool.stopping => Some(format!("the pool {name} is stopping")),
        Ok(pool) if !pool.was_ready => Some(format!("workers of the pool {name} are not registered yet")),
        Ok(pool) if pool.report.registered() == 0 => Some(format!("the pool {name} has no registered worker")),
        Ok(_) => None,
    }
}

/// Returns the text of `/ready/SERVICE`: a worker of the service can be given calls.
pub(super) fn ready_service(snapshot: &Snapshot, service: &str) -> Result<String, Problem> {
    if let Some(why) = why_not_ready(snapshot) {
        return Err(unavailable(format!("not ready: {why}")));
    }
    if is_paused(snapshot, service) {
        return Err(unavailable(format!("not ready: an operator has paused {service}")));
    }
    match available_workers(snapshot, service)? {
        0 => Err(unavailable(format!("not ready: no worker of {service} can be given calls"))),
        workers => Ok(format!("ready: {workers} workers of {service} can be given calls")),
    }
}

fn is_paused(snapshot: &Snapshot, service: &str) -> bool {
    let Some(Ok(broker)) = &snapshot.broker else { return false };
    broker.metrics.services.iter().any(|known| known.status.name == service && known.status.paused)
}

/// Returns the workers of a service that can be given calls. The endpoint of a pool knows the services of its own workers.
fn available_workers(snapshot: &Snapshot, service: &str) -> Result<usize, Problem> {
    if let Some(Ok(broker)) = &snapshot.broker {
        let found = broker.metrics.services.iter().find(|known| known.status.name == service);
        return found.map(|known| known.available_workers).ok_or_else(|| unknown_service(snapshot, service));
    }
    let loads = || snapshot.pools.iter().filter_map(|(_, pool)| pool.as_ref().ok()?.load.as_ref());
    if !loads().any(|load| load.offers.iter().any(|offer| offer.service == service)) {
        return Err(unknown_service(snapshot, service));
    }
    let workers = loads().flat_map(|load| &load.workers);
    Ok(workers.filter(|worker| !worker.draining && !worker.stuck).count())
}
