//! Work that an event causes and that is done once the event has been handled.
//!
//! A part that frees a slot or a key does not dispatch the call that waits for it, because that would happen in the
//! middle of another change. It adds the work here, and the coordinator performs it at the end of the event. The set is
//! ordered, so that a run can be replayed.

use std::collections::BTreeSet;

use super::keys::ServiceKey;
use crate::wire::affinity::AffinityKey;

/// One piece of deferred work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DeferredWork {
    /// A call of this affinity key ended: the next one may be dispatched.
    NextOfKey(ServiceKey, AffinityKey),
    /// A bucket lost its worker: calls that waited for it may go to other workers.
    RescheduleBucket(ServiceKey, u16),
    /// A method may run more calls than before: any worker with room may take one.
    FillService(ServiceKey),
}

/// The deferred work of the present event.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    work: BTreeSet<DeferredWork>,
}

impl Deferred {
    /// Adds a piece of work. Adding it again changes nothing.
    pub(crate) fn add(&mut self, work: DeferredWork) {
        self.work.insert(work);
    }

    /// Takes the first piece of work.
    pub(crate) fn pop(&mut self) -> Option<DeferredWork> {
        self.work.pop_first()
    }

    /// Returns whether no work is deferred.
    pub(crate) fn is_empty(&self) -> bool {
        self.work.is_empty()
    }
}
