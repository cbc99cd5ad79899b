//! The bodies of the handshake and of registration: CBOR maps with text keys. Unknown keys are ignored, so that later
//! versions can add keys.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use super::role::Role;
use super::{
    affinity::AffinityKey,
    envelope::Effect,
    ids::{BrokerId, ConnectionNumber, SessionId, StartId},
    streams::Style,
};
use crate::{
    auth::{Nonce, Proof},
    contract::ContractHash,
};

/// The first message of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The first and the last protocol version that the peer supports.
    pub versions: (u32, u32),
    /// The role of the peer.
    pub role: Role,
    /// The session of the peer, which is the same after a reconnect.
    pub session: SessionId,
    /// The number of the connection in that session.
    pub connection: ConnectionNumber,
    /// The heartbeat interval of the peer in milliseconds: it sends something at least this often.
    pub heartbeat_ms: u64,
    /// A name for people, such as `calculator-3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// The pool of the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The process id of its pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_pid: Option<u32>,
    /// The process id of the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The host name of the peer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The capabilities of the peer beyond this version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The largest message that the peer accepts, in bytes. `None`: the default of the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_bytes_max: Option<u64>,
    /// The nonce of the peer, if it has a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
}

/// The request of the broker for a proof. If the broker requires none, the body is empty instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The mechanism: [`crate::auth::MECHANISM`].
    pub mechanism: String,
    /// The nonce of the broker.
    pub nonce: Nonce,
    /// The id of the broker.
    pub broker: BrokerId,
    /// The id of the broker's current run.
    pub start: StartId,
}

/// The field of a challenge that every mechanism has.
#[derive(Debug, Deserialize)]
pub(crate) struct Mechanism {
    pub(crate) mechanism: String,
}

/// The response of a peer to a challenge. If no proof was requested, the body is empty instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeResponse {
    /// The proof that the peer knows the key.
    pub proof: Proof,
}

/// The message of the broker that accepts a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version that both sides use.
    pub version: u32,
    /// The id of the broker.
    pub broker: BrokerId,
    /// The id of the broker's current run.
    pub start: StartId,
    /// The address for clients. The calls that a worker makes go there, too.
    pub frontend: String,
    /// The heartbeat interval of the broker in milliseconds: it sends something at least this often.
    pub heartbeat_ms: u64,
    /// The number of calls that a client may send.
    pub credit_calls: u32,
    /// The bytes of bodies that a client may send.
    pub credit_bytes: u64,
    /// The largest message that the broker accepts, in bytes.
    pub message_bytes_max: u64,
    /// The capabilities of the broker beyond this version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The proof that the broker knows the peer's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// The services of a worker. A later registration replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The services.
    pub offers: Vec<Offer>,
    /// Whether no other worker may serve the (single) service of this registration. A pool reserves its name this way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
    /// The number of calls that this worker runs at once, over all its offers. `None`: each offer has its own slots only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// With `slots`: the number of calls beyond them that the worker accepts in advance, over all its offers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prefetch: u32,
}

/// A service of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The name of the service.
    pub service: String,
    /// The number of its calls that this worker runs at once.
    pub slots: u32,
    /// The number of free slots. It is less than `slots` if calls of an earlier connection still run. When such a call ends, the
    /// worker returns its slot as credit.
    pub free: u32,
    /// The number of calls beyond its slots that the worker accepts in advance.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prefetch: u32,
    /// The affinity keys of calls of earlier connections that still run, one for each such call with a key. A key becomes free
    /// together with the slot of its call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<AffinityKey>,
    /// The methods.
    pub methods: Vec<MethodOffer>,
    /// The contract of the service, as the worker declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractOffer>,
}

/// The contract of a service, as a worker declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractOffer {
    /// The hash of the contract.
    pub hash: ContractHash,
    /// The description: a [`crate::contract::ServiceDescription`] as CBOR. A registration needs it only once for a service. `None`
    /// also if it is too large to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Bytes>,
}

/// One method of an offered service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodOffer {
    /// The name of the method.
    pub name: String,
    /// The side effects of the method. Default: `once`.
    #[serde(default = "once")]
    pub effect: Effect,
    /// The names of the arguments, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// The streams of the method. Default: `unary`.
    #[serde(default, skip_serializing_if = "Style::is_unary")]
    pub style: Style,
    /// The limits of its running time and of its concurrent calls.
    #[serde(default, skip_serializing_if = "MethodLimits::is_none")]
    pub limits: MethodLimits,
}

/// The limits of a method, which its author sets: the running time, and the number of concurrent calls. Timeouts are set by callers
/// and are independent of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodLimits {
    /// The soft limit in milliseconds, after which the broker logs a slow call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_ms: Option<u64>,
    /// The hard limit in milliseconds, after which the call ends and its handler is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_ms: Option<u64>,
    /// The maximum number of concurrent calls over all workers of the service: at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

impl MethodLimits {
    /// Returns whether there are no limits.
    pub fn is_none(&self) -> bool {
        *self == MethodLimits::default()
    }
}

fn once() -> Effect {
    Effect::Once
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
