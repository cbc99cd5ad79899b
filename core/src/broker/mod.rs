//! The broker machine: requests of clients in, dispatches to workers out, and one outcome for each call back.
//!
//! [`Broker`] coordinates its parts. Each part owns its tables: only the part's methods add and remove entries. They
//! take what they need as arguments, and return what is to be done. The coordinator also sets fields of single entries,
//! such as the state of a call. Parts do not import the coordinator.
//!
//! | folder | contents |
//! |---|---|
//! | `interface` | the inputs and outputs of the machine: settings, events, actions, diagnostics, counters |
//! | `coordinator` | the type [`Broker`]: handles events and messages, dispatches calls, completes them |
//! | `handshake` | connections, and the progress of their handshakes |
//! | `sessions` | clients: open calls, cached replies, credit, disconnected sessions |
//! | `registry` | workers, services, methods, offers, and which offers have room |
//! | `scheduling` | the fair queue of a service, tenants and their backlogs |
//! | `affinity` | affinity keys: which call has a key, which worker a bucket |
//! | `calls` | the call table and its timeouts, retry budgets, dead letters |
//! | `flow` | streams, and the replies of broadcasts |
//! | `metrics` | counters and histograms of calls |
//! | `admin` | the service `callboard`, read-only over all of these |
//!
//! `keys` has the keys of the tables, `timers` all timers except those of calls, `deferred` the work that an event
//! defers to its end, `outcome` the outcome of a call, `reserved` the names that are reserved for the broker, and
//! `permissions` the rights that calls and registrations need.

mod admin;
mod affinity;
mod calls;
mod coordinator;
mod deferred;
mod flow;
mod handshake;
mod interface;
mod keys;
mod metrics;
mod outcome;
mod permissions;
mod registry;
mod reserved;
pub mod scheduling;
mod sessions;
#[cfg(test)]
mod tests;
mod timers;

pub use self::{
    admin::{
        BusySlot, CallStatus, ClientStatus, ConnectionStatus, Contract, ContractStatus, GateStatus, Gauges,
        LimitStatus, LimitsStatus, Load, MethodMetrics, MethodStatus, Metrics, OfferLoad, Omitted, PeerStatus, Peers,
        QueuedAhead, Rates, ServiceContracts, ServiceMetrics, ServiceStatus, Status, WaitReason, WorkerLoad,
        WorkerStatus,
    },
    calls::{DeadLetter, DeadLetterDetail},
    coordinator::state::Broker,
    handshake::AuthenticationFailure,
    interface::{Action, Counters, Diagnostic, Endpoint, Event, Identity, MessageLoad, Operation, Settings},
    metrics::{CallMetrics, Histogram},
    registry::{AllowedServices, AllowedServicesError, OperatorLimit},
};
