//! Logs the diagnostics of the machine.

use std::fmt;

use callboard_core::{broker::Diagnostic, wire::ids::ConnectionId};
use tracing::{debug, info, warn};

use crate::gate::LogLimiter;

/// Logs a diagnostic; `address_of` returns the address of a connection. Clients that connect and leave are logged at
/// debug level, and workers at info level. Losses and unauthenticated peers are warnings. Lines that any peer can cause
/// in large numbers are limited.
///
/// Everything that a peer sends, such as its name, is [`Quoted`] or a quoted value, so that it cannot start a log line of its own.
pub(crate) fn log(
    diagnostic: &Diagnostic,
    log_limiter: &mut LogLimiter,
    address_of: impl Fn(ConnectionId) -> Option<String>,
) {
    match diagnostic {
        Diagnostic::ClientConnected { connection, name, again, key } => {
            debug!(%connection, name, again, key, "client joined")
        }
        Diagnostic::SessionEnded { name, open } if *open > 0 => info!(name, open, "client is gone, with calls open"),
        Diagnostic::SessionEnded { name, open } => debug!(name, open, "client is gone"),
        Diagnostic::WorkerRegistered { connection, name, services, key } => {
            info!(%connection, name = %Quoted(name), services = services.join(" "), key, "worker joined")
        }
        Diagnostic::Unauthenticated { connection, why } => log_limiter.log("unauthenticated peer rejected", || {
            warn!(%connection, address = address_of(*connection), %why, "unauthenticated peer rejected");
        }),
        Diagnostic::NotPermitted { connection, key, role } => log_limiter.log("key does not permit the role", || {
            warn!(%connection, address = address_of(*connection), key, %role, "key does not permit the role");
        }),
        Diagnostic::CallDenied { connection, why } => log_limiter.log("call denied", || {
            warn!(%connection, address = address_of(*connection), why = %Quoted(why), "call denied");
        }),
        Diagnostic::WorkerDraining { name } => info!(name = %Quoted(name), "worker drains"),
        Diagnostic::WorkerDeregistered { name } => info!(name = %Quoted(name), "worker left"),
        Diagnostic::WorkerLost { name, why, running } => warn!(name = %Quoted(name), why, running, "worker lost"),
        Diagnostic::SlowCall { call, method, worker } => {
            warn!(%call, method, worker = %Quoted(worker), "call runs past its soft limit")
        }
        Diagnostic::WorkerUnresponsive { name, call, method } => {
            let name = Quoted(name);
            warn!(%name, %call, method, "worker is unresponsive: it did not stop a call that ran past its hard limit")
        }
        Diagnostic::Retried { call, lost } => info!(%call, lost, "call goes to another worker"),
        Diagnostic::DeadLettered { call, method, lost } => {
            warn!(%call, method, lost, "call is kept as a dead letter: `callboard dead` shows it")
        }
        Diagnostic::CastFailed { call, method, failure } => log_limiter.log("cast failed", || {
            warn!(%call, method, failure = %Quoted(&failure.to_string()), "cast failed");
        }),
        Diagnostic::Disconnected { connection, code, message } => log_limiter.log("peer disconnected", || {
            warn!(%connection, %code, reason = %Quoted(message), "peer disconnected");
        }),
        Diagnostic::UnreadableEnvelope { connection, refused } => {
            debug!(%connection, refused = %Quoted(&refused.to_string()), "envelope refused")
        }
        other => debug!(?other, "diagnostic"),
    }
}

/// Text from a peer: printed as it is if it is a plain word, otherwise in quotes and with escapes for everything that would begin
/// another line or control a terminal.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/@".contains(letter);
        if !self.0.is_empty() && self.0.chars().all(plain) { f.write_str(self.0) } else { write!(f, "{:?}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use callboard_core::{
        broker::AuthenticationFailure,
        wire::{handshake::Role, status::Code},
    };
    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;

    /// Counts lines.
    struct Counter(Arc<AtomicUsize>);

    impl Subscriber for Counter {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn thousands_of_rejections_do_not_fill_the_log() {
        const EACH: usize = 1_000;
        let lines = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Counter(Arc::clone(&lines)), || {
            let (mut log_limiter, connection) = (LogLimiter::default(), ConnectionId(1));
            for _ in 0..EACH {
                let why = AuthenticationFailure::NoProof;
                let (key, role) = (None, Role::Worker);
                let (code, message) = (Code::InvalidArgument, "no hello".into());
                for diagnostic in [
                    Diagnostic::Unauthenticated { connection, why },
                    Diagnostic::NotPermitted { connection, key, role },
                    Diagnostic::Disconnected { connection, code, message },
                ] {
                    log(&diagnostic, &mut log_limiter, |_| None);
                }
            }
        });
        let lines = lines.load(Ordering::Relaxed);
        assert!((3..EACH).contains(&lines), "{lines} lines");
    }

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
