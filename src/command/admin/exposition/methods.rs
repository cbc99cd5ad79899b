//! The counters and histograms of calls, by service and method.

use std::fmt;

use callboard::core::broker::{CallMetrics, Histogram, Metrics};

use super::families::{Families, Labels};

/// The labels of calls that have no method's own counters. They are in parentheses, which no name of a service has.
const OTHER: Labels<'_, 2> = [("service", "(other)"), ("method", "(other)")];
const UNKNOWN: Labels<'_, 2> = [("service", "(unknown)"), ("method", "(unknown)")];
/// The labels of calls to the broker's own service.
const ADMIN: Labels<'_, 2> = [("service", "callboard"), ("method", "(all)")];

/// A histogram of each method: its name, its description, and its values.
struct MethodHistogram(&'static str, &'static str, fn(&CallMetrics) -> &Histogram);

const HISTOGRAMS: [MethodHistogram; 3] = [
    MethodHistogram("call_queue_seconds", "How long calls waited for a worker.", |calls| &calls.queue_time),
    MethodHistogram("call_run_seconds", "How long calls were at workers.", |calls| &calls.run_time),
    MethodHistogram("call_duration_seconds", "The time from the arrival of calls to their outcome.", |calls| {
        &calls.total_time
    }),
];

/// Writes the counters and histograms of calls.
pub(super) fn encode(metrics: &Metrics, families: &mut Families<'_>) -> fmt::Result {
    let of_methods = || metrics.methods.iter().map(|method| (labels(&method.service, &method.method), &method.calls));
    let shared = [(OTHER, &metrics.other_methods), (UNKNOWN, &metrics.unknown_methods)];
    let measured = || of_methods().chain(shared).filter(|(_, calls)| calls.total_time.count() > 0);
    let completed = measured().chain([(ADMIN, &metrics.admin)]).flat_map(|([service, method], calls)| {
        calls.completed().map(move |(code, count)| ([service, method, ("code", code)], count))
    });
    families.counters("calls_completed", "Calls that ended, by the code of their outcome.", completed)?;
    for MethodHistogram(name, help, histogram) in HISTOGRAMS {
        families.histograms(name, help, measured().map(|(labels, calls)| (labels, histogram(calls))))?;
    }
    Ok(())
}

fn labels<'a>(service: &'a str, method: &'a str) -> Labels<'a, 2> {
    [("service", service), ("method", method)]
}
