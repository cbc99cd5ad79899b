//! The affinity of a call: its key, and its place among the calls of the key.

use super::super::keys::WorkerKey;
use crate::wire::affinity::AffinityKey;

/// The affinity of one call.
#[derive(Debug)]
pub(crate) struct CallAffinity {
    pub(crate) key: AffinityKey,
    pub(super) bucket: u16,
    /// The client of the call, and the position of the call among that client's calls of the key, from 1. The position
    /// is 0 until the call needs the key for the first time.
    pub(super) client: u64,
    pub(super) position: u64,
    /// Whether the call has waited before: then it is not rejected if there is no room.
    pub(crate) admitted: bool,
    /// The only worker that may get the call while it is queued.
    pub(crate) worker: Option<WorkerKey>,
}

impl CallAffinity {
    /// Creates the affinity of a new call.
    pub(crate) fn new(key: &AffinityKey) -> CallAffinity {
        CallAffinity { key: key.clone(), bucket: key.bucket(), client: 0, position: 0, admitted: false, worker: None }
    }
}
