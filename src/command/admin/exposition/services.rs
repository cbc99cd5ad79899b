//! The gauges of services.

use std::fmt;

use callboard::core::broker::{Metrics, ServiceMetrics};

use super::families::Families;

/// A gauge of each service: its name, its description, and its value.
struct ServiceGauge(&'static str, &'static str, fn(&ServiceMetrics) -> u64);

const GAUGES: [ServiceGauge; 7] = [
    ServiceGauge("service_workers", "Workers that offer the service.", |service| service.status.workers as u64),
    ServiceGauge("service_available_workers", "Workers of the service that can be given calls.", |service| {
        service.available_workers as u64
    }),
    ServiceGauge("service_slots", "Calls that the workers of the service can run at once.", |service| {
        service.status.slots
    }),
    ServiceGauge("service_running", "Calls that the workers of the service run.", |service| service.status.running),
    ServiceGauge("service_waiting", "Calls that wait for a worker of the service.", |service| {
        service.status.waiting as u64
    }),
    ServiceGauge("service_paused", "1 while an operator has paused the service, else 0.", |service| {
        u64::from(service.status.paused)
    }),
    ServiceGauge("service_waiting_bytes", "Bytes of the arguments of these calls.", |service| {
        service.status.waiting_bytes as u64
    }),
];

/// Writes the gauges of services.
pub(super) fn encode(metrics: &Metrics, families: &mut Families<'_>) -> fmt::Result {
    let services = || metrics.services.iter().map(|service| ([("service", service.status.name.as_str())], service));
    for ServiceGauge(name, help, value) in GAUGES {
        families.gauges(name, help, services().map(|(labels, service)| (labels, value(service))))?;
    }
    let oldest = services().map(|(labels, service)| (labels, service.status.oldest_wait_ms as f64 / 1_000.0));
    families.gauges(
        "service_oldest_wait_seconds",
        "How long the oldest waiting call of the service has waited.",
        oldest,
    )
}
