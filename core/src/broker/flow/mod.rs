//! The items of streams, and the replies of broadcasts, on their way through the broker.

mod aggregation;
mod broadcast;
mod call_streams;
mod streams;

pub(crate) use self::{
    aggregation::{BroadcastAggregation, SubcallId},
    broadcast::{Broadcasts, result as broadcast_result},
    call_streams::CallStreams,
    streams::{StreamFailure, Streams, unreadable_item},
};
