//! The line of each diagnostic.

use callboard_core::{broker::Diagnostic, text::HumanDuration, wire::ids::ConnectionId};
use tracing::{debug, field::display, info, warn};

use super::target::TARGET;

/// Returns the reason by which the lines of a diagnostic are limited. Lines of different levels have different reasons, so that those
/// that are not written do not count for the others.
pub(super) fn reason(diagnostic: &Diagnostic) -> &'static str {
    match diagnostic {
        Diagnostic::SessionEnded { open: 0, .. } => "session-ended-without-calls",
        Diagnostic::WorkerRegistered { pool: Some(_), .. }
        | Diagnostic::WorkerDraining { pool: Some(_), .. }
        | Diagnostic::WorkerDeregistered { pool: Some(_), .. } => "worker-of-a-pool",
        other => other.name(),
    }
}

/// Writes the line of a diagnostic; `address_of` returns the address of a connection. Clients that connect and leave are logged at debug
/// level, and workers at info level; the workers of a pool at debug level, because the pool has a line for them. Losses and
/// unauthenticated peers are warnings.
///
/// Everything that a peer sends, such as its name, is a field and a text: subscribers quote texts, so that it cannot start a log line of
/// its own.
pub(super) fn write(
    diagnostic: &Diagnostic,
    suppressed: Option<u64>,
    address_of: impl Fn(ConnectionId) -> Option<String>,
) {
    match diagnostic {
        Diagnostic::ClientConnected { connection, name, again, key } => {
            debug!(target: TARGET, %connection, name, again, key, suppressed, "client joined");
        }
        Diagnostic::SessionEnded { name, open: 0 } => {
            debug!(target: TARGET, name, open = 0, suppressed, "client is gone")
        }
        Diagnostic::SessionEnded { name, open } => {
            info!(target: TARGET, name, open, suppressed, "client is gone, with calls open")
        }
        Diagnostic::WorkerRegistered { connection, name, pool: Some(pool), services, key } => {
            let (name, services) = (&**name, services.join(" "));
            debug!(target: TARGET, %connection, name, pool, services, key, suppressed, "worker joined");
        }
        Diagnostic::WorkerRegistered { connection, name, pool: None, services, key } => {
            info!(target: TARGET, %connection, name = &**name, services = services.join(" "), key, suppressed, "worker joined");
        }
        Diagnostic::Unauthenticated { connection, why } => {
            let address = address_of(*connection);
            warn!(target: TARGET, %connection, address, %why, suppressed, "unauthenticated peer rejected");
        }
        Diagnostic::NotPermitted { connection, key, role } => {
            let address = address_of(*connection);
            warn!(target: TARGET, %connection, address, key, %role, suppressed, "key does not permit the role");
        }
        Diagnostic::CallDenied { connection, why } => {
            warn!(target: TARGET, %connection, address = address_of(*connection), why = &**why, suppressed, "call denied");
        }
        Diagnostic::Operated { connection, key, what } => {
            let address = address_of(*connection);
            info!(target: TARGET, %connection, address, key, what = &**what, suppressed, "operator request");
        }
        Diagnostic::WorkerDraining { name, pool: Some(pool) } => {
            debug!(target: TARGET, name = &**name, pool = &**pool, suppressed, "worker drains");
        }
        Diagnostic::WorkerDraining { name, pool: None } => {
            info!(target: TARGET, name = &**name, suppressed, "worker drains")
        }
        Diagnostic::WorkerDeregistered { name, pool: Some(pool) } => {
            debug!(target: TARGET, name = &**name, pool = &**pool, suppressed, "worker left");
        }
        Diagnostic::WorkerDeregistered { name, pool: None } => {
            info!(target: TARGET, name = &**name, suppressed, "worker left")
        }
        Diagnostic::WorkerLost { name, why, running } => {
            warn!(target: TARGET, name = &**name, why, running, suppressed, "worker lost");
        }
        Diagnostic::SlowCall { call, method, worker } => {
            warn!(target: TARGET, %call, method, worker = &**worker, suppressed, "call runs past its soft limit");
        }
        Diagnostic::CallWasSlow { call, method, worker, attempts, timings, handler } => {
            let total = HumanDuration(timings.queued + timings.running);
            let (queue, at_worker) = (HumanDuration(timings.queued), HumanDuration(timings.running));
            // What is not the handler's: the way to the worker and back, and the wait there.
            let handler = handler.map(|handler| display(HumanDuration(handler)));
            let worker = &**worker;
            warn!(
                target: TARGET, %call, method, worker, attempts, %total, %queue, %at_worker, handler, suppressed,
                "call was slow"
            );
        }
        Diagnostic::WorkerUnresponsive { name, call, method } => {
            let text = "worker is unresponsive: it did not stop a call that ran past its hard limit";
            warn!(target: TARGET, name = &**name, %call, method, suppressed, "{text}");
        }
        Diagnostic::Retried { call, lost } => {
            info!(target: TARGET, %call, lost, suppressed, "call goes to another worker")
        }
        Diagnostic::StreamBroken { call, by_worker, how } => {
            debug!(target: TARGET, %call, by_worker, how = &**how, suppressed, "stream ended: a peer violated its rules");
        }
        Diagnostic::DeadLettered { call, method, lost } => {
            warn!(target: TARGET, %call, method, lost, suppressed, "call is kept as a dead letter: `callboard dead` shows it");
        }
        Diagnostic::CastFailed { call, method, failure } => {
            warn!(target: TARGET, %call, method, failure = failure.to_string(), suppressed, "cast failed");
        }
        Diagnostic::Disconnected { connection, code, message } => {
            warn!(target: TARGET, %connection, %code, reason = &**message, suppressed, "peer disconnected");
        }
        Diagnostic::UnreadableEnvelope { connection, refused } => {
            debug!(target: TARGET, %connection, refused = refused.to_string(), suppressed, "envelope refused");
        }
    }
}
