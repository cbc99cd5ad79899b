//! The broker machine: requests of clients in, dispatches to workers out, and one outcome for each call back.
//!
//! [`Broker`] coordinates its parts. Each part is the only one that changes its state, takes what it needs as arguments, and returns
//! what is to be done. The coordinator is in four files:
//!
//! | file | what the broker does there |
//! |---|---|
//! | `machine` | the interface of the machine: events, messages by sender and kind, timers |
//! | `peers` | admits clients and workers, and handles their loss; shuts down |
//! | `messages` | handles each message of clients and workers |
//! | `dispatch` | dispatches calls, retries them, and completes them |
//!
//! The parts:
//!
//! | folder | what it owns |
//! |---|---|
//! | `handshake` | connections, and how far their handshakes have come |
//! | `sessions` | clients: open calls, cached replies, credit, disconnected sessions |
//! | `registry` | workers, services, methods, offers, and which offers have room |
//! | `scheduling` | the fair queue of a service, tenants and their backlogs |
//! | `affinity` | affinity keys: which call has a key, which worker a bucket |
//! | `calls` | the call table and its timeouts, retry budgets, dead letters |
//! | `flow` | streams, and the replies of broadcasts |
//! | `admin` | the service `callboard`, read-only over all of these |
//!
//! `state` lists the parts, `keys` the keys of their tables, `timers` all timers but those of calls, `deferred` the work that an event
//! leaves for its end, and `invariants` what holds after every step.

mod action;
mod admin;
mod affinity;
mod calls;
mod counters;
mod deferred;
mod diagnostic;
mod dispatch;
mod event;
mod flow;
mod handshake;
mod invariants;
mod keys;
mod machine;
mod messages;
mod outcome;
mod peers;
mod registry;
mod reserved;
pub mod scheduling;
mod sessions;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod timers;

pub use self::{
    action::Action,
    admin::{
        BusySlot, CallStatus, ClientStatus, ConnectionStatus, Contract, ContractStatus, GateStatus, Load, MethodStatus,
        OfferLoad, Omitted, PeerStatus, Peers, QueuedAhead, Rates, ServiceContracts, ServiceStatus, Status, WaitReason,
        WorkerLoad, WorkerStatus,
    },
    calls::{DeadLetter, DeadLetterDetail},
    counters::Counters,
    diagnostic::Diagnostic,
    event::{Endpoint, Event},
    handshake::AuthenticationFailure,
    registry::{AllowedServices, AllowedServicesError},
    settings::{Identity, Settings},
    state::Broker,
};
