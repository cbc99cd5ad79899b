//! The contract of the position service: a trait and its types.

use callboard::{Outgoing, Schema, Stream};
use serde::{Deserialize, Serialize};

/// A position. The circle has radius 1 around the origin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Schema)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Refused,
}

/// A position with a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Schema)]
pub(crate) struct Reading {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
    pub(crate) status: Status,
    pub(crate) message: String,
}

/// The reply to a published position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) struct Published {
    pub(crate) status: Status,
    pub(crate) message: String,
}

/// A point that moves around a circle.
#[callboard::service]
pub(crate) trait Position {
    /// Returns the current position. `request` is the name of the caller; the message contains it.
    #[rpc(read)]
    async fn position(&self, request: String) -> Reading;

    /// Moves the point to this position, or to the nearest one on the circle.
    #[rpc(idempotent)]
    async fn publish(&self, position: Point) -> Published;

    /// Sends the position continuously. Only the newest one counts: a slow reader skips older ones.
    #[rpc(read)]
    async fn watch(&self) -> Outgoing<impl Stream<Item = Reading>>;
}
