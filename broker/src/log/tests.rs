//! Floods of each diagnostic.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use callboard_core::{
    broker::{AuthenticationFailure, Diagnostic},
    wire::{
        bundle::{EnvelopeError, EnvelopeErrorReason},
        handshake::Role,
        ids::{CallId, CallNumber, ConnectionId},
        status::{Code, Executed, Failure, Timings},
    },
};
use tracing::{Event, Metadata, Subscriber, span};

use super::DiagnosticLog;

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

/// Returns the number of lines that `log` writes.
fn lines(log: impl FnOnce(&mut DiagnosticLog)) -> usize {
    let lines = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::with_default(Counter(Arc::clone(&lines)), || log(&mut DiagnosticLog::default()));
    lines.load(Ordering::Relaxed)
}

/// Returns an example of the variant after that of `last`. The compiler rejects a variant without a successor.
fn next(last: &Diagnostic) -> Option<Diagnostic> {
    let (connection, name, call) = (ConnectionId(1), "worker", CallId { caller: 1, number: CallNumber(1) });
    let (method, pool, failure) = (String::new(), None, Failure::new(Code::Unavailable, Executed::No, "no worker"));
    Some(match last {
        Diagnostic::ClientConnected { .. } => Diagnostic::SessionEnded { name: String::new(), open: 1 },
        Diagnostic::SessionEnded { .. } => {
            let (name, services, key) = (name.into(), Vec::new(), None);
            Diagnostic::WorkerRegistered { connection, name, pool, services, key }
        }
        Diagnostic::WorkerRegistered { .. } => {
            Diagnostic::Unauthenticated { connection, why: AuthenticationFailure::NoProof }
        }
        Diagnostic::Unauthenticated { .. } => Diagnostic::NotPermitted { connection, key: None, role: Role::Worker },
        Diagnostic::NotPermitted { .. } => Diagnostic::CallDenied { connection, why: "may not call".into() },
        Diagnostic::CallDenied { .. } => Diagnostic::Operated { connection, key: None, what: "pause test".to_owned() },
        Diagnostic::Operated { .. } => Diagnostic::WorkerDraining { name: name.into(), pool },
        Diagnostic::WorkerDraining { .. } => Diagnostic::WorkerDeregistered { name: name.into(), pool },
        Diagnostic::WorkerDeregistered { .. } => Diagnostic::WorkerLost { name: name.into(), why: "test", running: 1 },
        Diagnostic::WorkerLost { .. } => Diagnostic::SlowCall { call, method, worker: name.into() },
        Diagnostic::SlowCall { .. } => {
            let (worker, timings, handler) = (name.into(), Timings::default(), None);
            Diagnostic::CallWasSlow { call, method, worker, attempts: 1, timings, handler }
        }
        Diagnostic::CallWasSlow { .. } => Diagnostic::WorkerUnresponsive { name: name.into(), call, method },
        Diagnostic::WorkerUnresponsive { .. } => Diagnostic::Retried { call, lost: 1 },
        Diagnostic::Retried { .. } => Diagnostic::StreamBroken { call, by_worker: true, how: String::new() },
        Diagnostic::StreamBroken { .. } => Diagnostic::DeadLettered { call, method, lost: 1 },
        Diagnostic::DeadLettered { .. } => Diagnostic::CastFailed { call, method, failure: Box::new(failure) },
        Diagnostic::CastFailed { .. } => {
            Diagnostic::Disconnected { connection, code: Code::InvalidArgument, message: "no hello".into() }
        }
        Diagnostic::Disconnected { .. } => {
            let refused = EnvelopeError::from(EnvelopeErrorReason::Malformed("test"));
            Diagnostic::UnreadableEnvelope { connection, refused }
        }
        Diagnostic::UnreadableEnvelope { .. } => return None,
    })
}

/// One diagnostic of each variant.
fn all() -> Vec<Diagnostic> {
    let first =
        Diagnostic::ClientConnected { connection: ConnectionId(1), name: String::new(), again: false, key: None };
    std::iter::successors(Some(first), next).collect()
}

#[test]
fn a_flood_of_any_diagnostic_does_not_fill_the_log() {
    const EACH: usize = 1_000;
    for diagnostic in all() {
        let lines = lines(|log| (0..EACH).for_each(|_| log.log(&diagnostic, |_| None)));
        // Five a second, and the flood takes less than a few seconds.
        assert!((1..100).contains(&lines), "{lines} lines of {}", diagnostic.name());
    }
}

#[test]
fn a_flood_of_one_diagnostic_does_not_suppress_others() {
    let all = all();
    let count = lines(|log| {
        (0..1_000).for_each(|_| log.log(&all[0], |_| None));
        all[1..].iter().for_each(|diagnostic| log.log(diagnostic, |_| None));
    });
    assert!(count >= all.len(), "{count} lines of {} diagnostics", all.len());
}

#[test]
fn a_diagnostic_of_each_variant_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = all().iter().map(Diagnostic::name).collect();
    assert_eq!(names.len(), all().len());
}
