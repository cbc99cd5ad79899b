//! Policies that an owner can apply to its pool. All of them are pure: they take measurements and return a decision.
//!
//! `autoscale` chooses the size, `canary` compares the processes of a rollout, and `recycle` chooses processes to replace.

mod autoscale;
mod canary;
mod recycle;

pub use self::{
    autoscale::{
        Autoscaler, PoolLoad, SCALE_DOWN_AFTER, SCALE_UP_COOLDOWN, UTILISATION_HIGH, UTILISATION_LOW,
        UTILISATION_TARGET, WAIT_HIGH,
    },
    canary::{CANARY_CALLS_MIN, CANARY_FAILURE_INCREASE_MAX, CallCounts, canary_failure},
    recycle::{ProcessUsage, RecyclePolicy, resident_bytes},
};
