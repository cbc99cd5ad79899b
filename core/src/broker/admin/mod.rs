//! The service `callboard`: the state of the broker, for clients and operators.
//!
//! Everything here only reads the broker's parts, except that an operator can drop dead letters. What operators change otherwise is in
//! `coordinator/operate.rs`.

mod cache;
mod contracts;
mod gate;
mod handler;
mod limits;
mod load;
mod methods;
mod metrics;
mod peers;
mod status;
mod wait_reason;

pub(crate) use self::{
    cache::AdminCache,
    handler::{check_admin_call, handle_admin_call},
    limits::limits,
    load::load,
    methods::{argument_names, is_operation},
    metrics::metrics,
    peers::peers,
    status::{service_statuses, status},
    wait_reason::{explain_not_open, open_calls},
};
pub use self::{
    contracts::{Contract, ContractStatus, ServiceContracts},
    gate::GateStatus,
    limits::{LimitStatus, LimitsStatus},
    load::{Load, OfferLoad, WorkerLoad},
    metrics::{Gauges, MethodMetrics, Metrics, ServiceMetrics},
    peers::{ConnectionStatus, PeerStatus, Peers},
    status::{CallStatus, ClientStatus, MethodStatus, Omitted, Rates, ServiceStatus, Status, WorkerStatus},
    wait_reason::{BusySlot, QueuedAhead, WaitReason},
};
