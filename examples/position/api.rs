//! The contract of the position: a trait and its types.

use callboard::{Outgoing, Schema, Stream};
use serde::{Deserialize, Serialize};

/// Where something is; the circle has the radius 1 around the origin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Schema)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Refused,
}

/// A point, and a word on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Schema)]
pub(crate) struct Reading {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
    pub(crate) status: Status,
    pub(crate) message: String,
}

/// What became of a published position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) struct Published {
    pub(crate) status: Status,
    pub(crate) message: String,
}

/// A point that goes around a circle by itself.
#[callboard::service]
pub(crate) trait Position {
    /// Where the point is now. `request` is what the caller calls itself; it comes back in the message.
    #[rpc(read)]
    async fn position(&self, request: String) -> Reading;

    /// The point goes on from here, or from the nearest place on the circle.
    #[rpc(idempotent)]
    async fn publish(&self, position: Point) -> Published;

    /// Where the point is, again and again. Only the newest counts: a slow reader misses what is old.
    #[rpc(read)]
    async fn watch(&self) -> Outgoing<impl Stream<Item = Reading>>;
}
