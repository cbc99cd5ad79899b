//! Processes: this one's signals, its children, and what they use.

pub(crate) mod child;
pub(crate) mod signals;
pub(crate) mod usage;
