//! What a call has of its affinity key.

use super::super::keys::WorkerKey;
use crate::wire::affinity::AffinityKey;

/// The affinity of one call.
#[derive(Debug)]
pub(crate) struct CallAffinity {
    pub(crate) key: AffinityKey,
    pub(super) bucket: u16,
    /// Its client, and its position among that client's calls of the key, from 1. It is 0 before the call asked for the key.
    pub(super) client: u64,
    pub(super) position: u64,
    /// The call has waited before: it is no longer rejected for want of room.
    pub(crate) admitted: bool,
    /// The worker that it waits for in the queue. No other worker may have it.
    pub(crate) worker: Option<WorkerKey>,
}

impl CallAffinity {
    /// Creates the affinity of a call that has not asked for its key yet.
    pub(crate) fn new(key: &AffinityKey) -> CallAffinity {
        CallAffinity { key: key.clone(), bucket: key.bucket(), client: 0, position: 0, admitted: false, worker: None }
    }
}
