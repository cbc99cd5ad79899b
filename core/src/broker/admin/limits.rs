//! `callboard.limits`: what operators have paused and limited.

use serde::{Deserialize, Serialize};

use super::super::{coordinator::state::Broker, registry::OperatorLimit};

/// The result of `callboard.limits`: what operators have paused and limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitsStatus {
    /// The limits of services and methods, by service.
    pub limits: Vec<LimitStatus>,
    /// The instance names of the workers that are paused, connected or not.
    pub paused_workers: Vec<String>,
}

/// The limit of a service or a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitStatus {
    /// `SERVICE` or `SERVICE.METHOD`.
    pub target: String,
    /// What an operator has set.
    #[serde(flatten)]
    pub limit: OperatorLimit,
}

/// Returns what operators have paused and limited.
pub(crate) fn limits(broker: &Broker) -> LimitsStatus {
    let mut limits = Vec::new();
    for (_, service) in broker.registry.services_by_name() {
        for (method, limit) in service.operator_limits.iter() {
            let target = method.map_or_else(|| service.name.clone(), |method| format!("{}.{method}", service.name));
            limits.push(LimitStatus { target, limit });
        }
    }
    LimitsStatus { limits, paused_workers: broker.registry.paused_workers().iter().cloned().collect() }
}
