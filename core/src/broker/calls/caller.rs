//! The peer that makes calls, as far as its calls need it.

use std::sync::Arc;

use bytestring::ByteString;

use super::super::keys::TenantKey;

/// The peer that makes calls. All calls of one session share it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The part of the session id that call ids show.
    pub(crate) tag: u32,
    /// The tenant in whose backlog its calls count.
    pub(crate) tenant: TenantKey,
    /// The name that handlers may read, if the peer has one.
    pub(crate) name: Option<Arc<ByteString>>,
}
