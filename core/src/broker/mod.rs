//! The broker machine: requests of clients in, dispatches to workers out, and one outcome for each call back.
//!
//! [`Broker`] coordinates its parts. Each part is the only one that changes its state, takes what it needs as arguments, and returns
//! what is to be done. Parts do not import the coordinator.
//!
//! | folder | what it owns |
//! |---|---|
//! | `interface` | what the driver and the machine exchange: settings, events, actions, diagnostics |
//! | `coordinator` | the broker itself: it handles messages, dispatches calls, completes them |
//! | `handshake` | connections, and how far their handshakes have come |
//! | `sessions` | clients: open calls, cached replies, credit, disconnected sessions |
//! | `registry` | workers, services, methods, offers, and which offers have room |
//! | `scheduling` | the fair queue of a service, tenants and their backlogs |
//! | `affinity` | affinity keys: which call has a key, which worker a bucket |
//! | `calls` | the call table and its timeouts, retry budgets, dead letters |
//! | `flow` | streams, and the replies of broadcasts |
//! | `admin` | the service `callboard`, read-only over all of these |
//!
//! `keys` has the keys of the tables, `timers` all timers but those of calls, `deferred` the work that an event leaves for its end,
//! `outcome` what a call came to, and `reserved` the names that belong to the broker.

mod admin;
mod affinity;
mod calls;
mod coordinator;
mod deferred;
mod flow;
mod handshake;
mod interface;
mod keys;
mod outcome;
mod registry;
mod reserved;
pub mod scheduling;
mod sessions;
#[cfg(test)]
mod tests;
mod timers;

pub use self::{
    admin::{
        BusySlot, CallStatus, ClientStatus, ConnectionStatus, Contract, ContractStatus, GateStatus, Load, MethodStatus,
        OfferLoad, Omitted, PeerStatus, Peers, QueuedAhead, Rates, ServiceContracts, ServiceStatus, Status, WaitReason,
        WorkerLoad, WorkerStatus,
    },
    calls::{DeadLetter, DeadLetterDetail},
    coordinator::state::Broker,
    handshake::AuthenticationFailure,
    interface::{Action, Counters, Diagnostic, Endpoint, Event, Identity, Settings},
    registry::{AllowedServices, AllowedServicesError},
};
