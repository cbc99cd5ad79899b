//! The service `callboard`: the state of the broker, for clients and operators.
//!
//! Everything here only reads the broker's parts, except that an operator can drop dead letters.

mod cache;
mod contracts;
mod gate;
mod handler;
mod load;
mod methods;
mod peers;
mod status;
mod wait_reason;

pub(crate) use self::{
    cache::AdminCache,
    handler::handle_admin_call,
    load::load,
    peers::peers,
    status::{service_statuses, status},
    wait_reason::open_calls,
};
pub use self::{
    contracts::{Contract, ContractStatus, ServiceContracts},
    gate::GateStatus,
    load::{Load, OfferLoad, WorkerLoad},
    peers::{ConnectionStatus, PeerStatus, Peers},
    status::{CallStatus, ClientStatus, MethodStatus, Omitted, Rates, ServiceStatus, Status, WorkerStatus},
    wait_reason::{BusySlot, QueuedAhead, WaitReason},
};
