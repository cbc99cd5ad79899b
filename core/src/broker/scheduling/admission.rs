//! Admission: which calls may wait, and for how long. The functions here decide, and the coordinator acts on the
//! decision.

use super::{
    super::{
        calls::{Call, Calls},
        interface::Settings,
        keys::CallKey,
        registry::Service,
    },
    tenants::{Backlog, Tenants},
};
use crate::{text::HumanDuration, time::Time};

/// How long a call may wait for a worker to register that serves its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitLimit {
    /// Until the call's deadline: its caller requested that.
    Deadline,
    /// Until this time: a worker served the method recently, or the broker has just started.
    Until(Time),
    /// Not at all: the call fails at once.
    None,
}

/// Returns how long a call may wait whose method no worker serves now.
pub(crate) fn wait_limit_of(now: Time, call: &Call, service: &Service) -> WaitLimit {
    let lately = |method: usize| service.method(method).awaited_until > now;
    let unknown = service.offers > 0 && !call.method_index().is_some_and(lately);
    if call.wait_for_ready && !unknown {
        return WaitLimit::Deadline;
    }
    let until = match call.method_index() {
        Some(method) => service.method(method).awaited_until,
        None if service.offers == 0 => service.awaited_until,
        None => now,
    };
    if until > now { WaitLimit::Until(until) } else { WaitLimit::None }
}

/// Returns why a call may not wait, if a limit is reached. A call that was at a worker, or has waited, was admitted before and is
/// not rejected. `keyed` is the number of calls of the service that wait for affinity keys, and the bytes of their bodies.
pub(crate) fn explain_no_room(
    now: Time,
    call: &Call,
    calls: &Calls,
    service: &mut Service,
    keyed: (usize, usize),
    tenants: &Tenants,
    settings: &Settings,
) -> Option<String> {
    if call.dispatched || call.affinity.as_ref().is_some_and(|affinity| affinity.admitted) {
        return None;
    }
    let (waiting, bytes) = (service.queue.len() + keyed.0, service.queue.bytes() + keyed.1);
    if waiting >= settings.queue_calls_max || bytes + call.body.len() > settings.queue_bytes_max {
        return Some(format!("{waiting} calls wait for {}, and its queue is full", service.name));
    }
    let max = Backlog { calls: settings.waiting_calls_max, bytes: settings.waiting_bytes_max };
    match tenants.check_room(call.tenant(), call.body.len(), max) {
        Err(full) => Some(full.to_string()),
        Ok(()) => explain_old_backlog(now, call, calls, service, settings),
    }
}

/// Returns why a new call is rejected for the age of the backlog: other calls of its tenant, whose methods have
/// workers, have waited longer than the limit in the settings. Without such a limit, nothing is searched.
fn explain_old_backlog(
    now: Time,
    call: &Call,
    calls: &Calls,
    service: &mut Service,
    settings: &Settings,
) -> Option<String> {
    let max = settings.queue_age_max?;
    let (queue, rule) = service.queue_and_rule();
    let since = |waiting: CallKey| {
        let waiting = &calls[waiting];
        let method = waiting.method_index();
        // A call that waits for a limit of its method or of an operator, and a subcall of a broadcast, do not indicate how long others wait.
        let counts = method.is_some_and(|method| rule.is_offered(method) && !rule.is_limited(method));
        (counts && waiting.subcall_of.is_none()).then_some(waiting.since)
    };
    // A call that waits already was admitted before.
    let is_new = call.since == now;
    let then = Time::ZERO + now.since(Time::ZERO).checked_sub(max).filter(|_| is_new)?;
    let oldest = queue.waiting_since(call.tenant().0, then, since)?;
    let (waited, max) = (HumanDuration(now.since(calls[oldest].since)), HumanDuration(max));
    let name = &service.name;
    Some(format!("your calls to {name} have waited for {waited}, and the limit of this broker is {max}"))
}
