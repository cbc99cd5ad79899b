//! The line of each diagnostic.

use std::fmt;

use callboard_core::{broker::Diagnostic, wire::ids::ConnectionId};
use tracing::{debug, info, warn};

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
/// Everything that a peer sends, such as its name, is [`Quoted`] or a quoted value, so that it cannot start a log line of its own.
pub(super) fn write(
    diagnostic: &Diagnostic,
    suppressed: Option<u64>,
    address_of: impl Fn(ConnectionId) -> Option<String>,
) {
    match diagnostic {
        Diagnostic::ClientConnected { connection, name, again, key } => {
            debug!(%connection, name, again, key, suppressed, "client joined");
        }
        Diagnostic::SessionEnded { name, open: 0 } => debug!(name, open = 0, suppressed, "client is gone"),
        Diagnostic::SessionEnded { name, open } => info!(name, open, suppressed, "client is gone, with calls open"),
        Diagnostic::WorkerRegistered { connection, name, pool: Some(pool), services, key } => {
            let (name, pool, services) = (Quoted(name), Quoted(pool), services.join(" "));
            debug!(%connection, %name, %pool, services, key, suppressed, "worker joined");
        }
        Diagnostic::WorkerRegistered { connection, name, pool: None, services, key } => {
            info!(%connection, name = %Quoted(name), services = services.join(" "), key, suppressed, "worker joined");
        }
        Diagnostic::Unauthenticated { connection, why } => {
            let address = address_of(*connection);
            warn!(%connection, address, %why, suppressed, "unauthenticated peer rejected");
        }
        Diagnostic::NotPermitted { connection, key, role } => {
            let address = address_of(*connection);
            warn!(%connection, address, key, %role, suppressed, "key does not permit the role");
        }
        Diagnostic::CallDenied { connection, why } => {
            warn!(%connection, address = address_of(*connection), why = %Quoted(why), suppressed, "call denied");
        }
        Diagnostic::WorkerDraining { name, pool: Some(pool) } => {
            debug!(name = %Quoted(name), pool = %Quoted(pool), suppressed, "worker drains");
        }
        Diagnostic::WorkerDraining { name, pool: None } => info!(name = %Quoted(name), suppressed, "worker drains"),
        Diagnostic::WorkerDeregistered { name, pool: Some(pool) } => {
            debug!(name = %Quoted(name), pool = %Quoted(pool), suppressed, "worker left");
        }
        Diagnostic::WorkerDeregistered { name, pool: None } => info!(name = %Quoted(name), suppressed, "worker left"),
        Diagnostic::WorkerLost { name, why, running } => {
            warn!(name = %Quoted(name), why, running, suppressed, "worker lost");
        }
        Diagnostic::SlowCall { call, method, worker } => {
            warn!(%call, method, worker = %Quoted(worker), suppressed, "call runs past its soft limit");
        }
        Diagnostic::WorkerUnresponsive { name, call, method } => {
            let (name, text) =
                (Quoted(name), "worker is unresponsive: it did not stop a call that ran past its hard limit");
            warn!(%name, %call, method, suppressed, "{text}");
        }
        Diagnostic::Retried { call, lost } => info!(%call, lost, suppressed, "call goes to another worker"),
        Diagnostic::StreamBroken { call, by_worker, how } => {
            debug!(%call, by_worker, how = %Quoted(how), suppressed, "stream ended: a peer violated its rules");
        }
        Diagnostic::DeadLettered { call, method, lost } => {
            warn!(%call, method, lost, suppressed, "call is kept as a dead letter: `callboard dead` shows it");
        }
        Diagnostic::CastFailed { call, method, failure } => {
            warn!(%call, method, failure = %Quoted(&failure.to_string()), suppressed, "cast failed");
        }
        Diagnostic::Disconnected { connection, code, message } => {
            warn!(%connection, %code, reason = %Quoted(message), suppressed, "peer disconnected");
        }
        Diagnostic::UnreadableEnvelope { connection, refused } => {
            debug!(%connection, refused = %Quoted(&refused.to_string()), suppressed, "envelope refused");
        }
    }
}

/// Text from a peer: printed as it is if it is a plain word, otherwise in quotes and with escapes for everything that would begin
/// another line or control a terminal.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/@".contains(letter);
        if !self.0.is_empty() && self.0.chars().all(plain) { f.write_str(self.0) } else { write!(f, "{:?}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_peer_stays_on_one_line() {
        for (text, shown) in [
            ("calculator-3.1", "calculator-3.1"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a\n2026 WARN worker lost", "\"a\\n2026 WARN worker lost\""),
            ("\u{1b}[2J", "\"\\u{1b}[2J\""),
            ("\u{202e}", "\"\\u{202e}\""),
        ] {
            assert_eq!(Quoted(text).to_string(), shown);
        }
    }
}
