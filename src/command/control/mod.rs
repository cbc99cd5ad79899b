//! Commands that change a running pool, and what they share.

pub(crate) mod pool_name;
pub(crate) mod reload;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod scale;
