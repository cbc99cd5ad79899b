//! The pool's handle, its driver thread, and the channels between them.
//!
//! The owner holds [`Pool`] and [`PoolControl`]. The driver owns the replica set and all processes. Requests go to the driver through
//! a bounded channel, events come back through another, and the status is a `watch` channel.

mod driver;
mod event;
mod handle;
mod request;

pub use self::{
    driver::STUCK_GRACE_PERIOD,
    event::{EVENTS_WAITING_MAX, PoolEvent, PoolStatus, ReplicaStatus},
    handle::{Pool, PoolControl},
};
