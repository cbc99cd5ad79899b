//! The bodies of the handshake and of registration: CBOR maps with text keys. Unknown keys are ignored, so that a later
//! version can add some.

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

/// A peer's first word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// First and last protocol version the peer speaks.
    pub versions: (u32, u32),
    /// What it is.
    pub role: Role,
    /// Its session: the same one after a reconnect.
    pub session: SessionId,
    /// Which connection of that session this is.
    pub connection: ConnectionNumber,
    /// Milliseconds: it will be heard from at least this often.
    pub heartbeat_ms: u64,
    /// A name for people, such as `calculator-3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// The pool it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Its pool's process, as that machine numbers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_pid: Option<u32>,
    /// Its process, as its machine numbers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its machine's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// What it can do beyond this version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The largest message it accepts, in bytes; absent: the default of the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_bytes_max: Option<u64>,
    /// Chance of its own, if it has a key to prove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
}

/// What the broker asks a peer to prove. Where it asks for nothing, the body is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// How: [`crate::auth::MECHANISM`].
    pub mechanism: String,
    /// Chance of the broker's own.
    pub nonce: Nonce,
    /// The broker.
    pub broker: BrokerId,
    /// This start of it.
    pub start: StartId,
}

/// The part of a challenge that every mechanism has.
#[derive(Debug, Deserialize)]
pub(crate) struct Mechanism {
    pub(crate) mechanism: String,
}

/// A peer's answer to a challenge. Where nothing was asked for, the body is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeResponse {
    /// That it knows the key.
    pub proof: Proof,
}

/// The broker lets a peer in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version both will speak.
    pub version: u32,
    /// The broker.
    pub broker: BrokerId,
    /// This start of it.
    pub start: StartId,
    /// Where clients connect (a worker's own calls go there).
    pub frontend: String,
    /// Milliseconds: the broker will be heard from at least this often.
    pub heartbeat_ms: u64,
    /// Calls a client may send.
    pub credit_calls: u32,
    /// Bytes of bodies a client may send.
    pub credit_bytes: u64,
    /// The largest message the broker accepts, in bytes.
    pub message_bytes_max: u64,
    /// What the broker can do beyond this version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// That the broker knows the key by which the peer was let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What a worker serves. A later registration replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Its services.
    pub offers: Vec<Offer>,
    /// If set, the worker asks that no other worker serve the (single) service it offers: a pool's name is taken this way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

/// One service as one worker serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The service's name.
    pub service: String,
    /// Calls of it that this worker runs at once.
    pub slots: u32,
    /// How many of those slots are free now. Fewer than `slots` when calls of an earlier connection still run; each that ends
    /// then gives its slot back as credit.
    pub free: u32,
    /// Calls beyond its slots that the worker holds ready.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prefetch: u32,
    /// The affinity keys of calls of earlier connections that still run: one for each such call that has one. Each is free when its
    /// slot is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<AffinityKey>,
    /// Its methods.
    pub methods: Vec<MethodOffer>,
    /// What the whole service is, by the worker's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractOffer>,
}

/// What a service is, by a worker's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractOffer {
    /// Its hash.
    pub hash: ContractHash,
    /// Its description, a [`crate::contract::ServiceDescription`] as CBOR. Once in a registration is enough for a service; absent
    /// where it is too large to travel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Bytes>,
}

/// One method of an offered service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodOffer {
    /// The method's name.
    pub name: String,
    /// What it may do to the world; `once` where nobody said.
    #[serde(default = "once")]
    pub effect: Effect,
    /// The names of its arguments, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Which streams it has; `unary` where nobody said.
    #[serde(default, skip_serializing_if = "Style::is_unary")]
    pub style: Style,
    /// How long it may run, and how many calls at once.
    #[serde(default, skip_serializing_if = "MethodLimits::is_none")]
    pub limits: MethodLimits,
}

/// How long a method may run, and how many calls of it at once: time-outs are the callers' patience, this is what its author holds
/// for possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodLimits {
    /// Milliseconds after which the broker logs that the call takes long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_ms: Option<u64>,
    /// Milliseconds after which the call ends and its handler is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_ms: Option<u64>,
    /// Calls of it that run at once at most, over all workers of the service: at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

impl MethodLimits {
    /// Whether there is none.
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
