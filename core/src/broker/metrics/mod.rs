//! What the broker measures of calls: how many ended with each code, and how long they waited and ran.
//!
//! | file | contents |
//! |---|---|
//! | `histogram` | a histogram of durations with fixed buckets |
//! | `call_metrics` | the counters and histograms of a group of calls |
//! | `shared` | the counters of calls that have no method's own counters |
//!
//! `admin` collects them, with the rest of the broker's state, for [`Broker::metrics`](super::Broker::metrics).

mod call_metrics;
mod histogram;
mod shared;

pub use self::{call_metrics::CallMetrics, histogram::Histogram};
pub(crate) use self::{call_metrics::CompletedCall, shared::SharedMetrics};
