//! Envelopes as the machines see them: parsed once, checked once.

use std::time::Duration;

use bytes::Bytes;

use super::{
    affinity::{Affinity, AffinityKey},
    ids::{CallId, CallNumber, DispatchNumber},
    kind::Kind,
    method::MethodName,
    status::Failure,
    streams::{ItemCredit, Streams},
};

/// One header with its body, as a typed value.
///
/// `Register`, `Hello`, `Welcome` carry their body encoded; see [`super::handshake`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// Client or worker to broker: the first word on a connection. Body: [`super::handshake::Hello`].
    Hello(Bytes),
    /// Broker to peer: prove who you are. Empty with mechanism `none`.
    Challenge(Bytes),
    /// Peer to broker: the proof. Empty with mechanism `none`.
    Proof(Bytes),
    /// Broker to peer: you are in. Body: [`super::handshake::Welcome`].
    Welcome(Bytes),
    /// Worker to broker: what it serves. Body: [`super::handshake::Register`].
    Register(Bytes),
    /// Client to broker: a call.
    Request(Request),
    /// Broker to worker: a call to run.
    Dispatch(Dispatch),
    /// Worker to broker: the handler of this dispatch has begun.
    Started(DispatchNumber),
    /// A call's outcome. From a worker `number` is a dispatch number, to a client a call number.
    Reply(Reply),
    /// Room for more: from the broker to a client, calls and bytes; from a worker to the broker, slots (`calls`).
    Credit(Credit),
    /// Worker to broker: a call of an earlier connection has ended, whose slot and key it had registered as not free. On the wire its
    /// kind is `credit`, of one slot.
    KeyFreed(KeyFreed),
    /// Room for more items of one stream, from who reads it to who writes it, through the broker.
    StreamCredit(StreamCredit),
    /// An item of a stream, in either direction.
    Item(Item),
    /// Client to worker, through the broker: no more items.
    End(End),
    /// Worker to client, through the broker: how far the handler of this number is, in a body for people's programs. `number` as
    /// in [`Reply`].
    Progress(u64, Bytes),
    /// The caller is no longer interested. `number` as in [`Reply`].
    Cancel(Cancel),
    /// Worker to broker: this dispatch was not begun, give it to another.
    Handback(DispatchNumber),
    /// Worker to broker: no more calls, please.
    Drain,
    /// I leave (peer), you must leave (broker, with the reason), or: your goodbye and all before it have arrived.
    Goodbye(Option<Box<Failure>>),
    /// Are you there?
    Ping(Ping),
    /// I am. The number is the ping's.
    Pong(u64),
}

/// Key 5, `flags`: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFlags {
    /// Bit 0: fire and forget, no reply.
    pub cast: bool,
    /// Bit 1: this request was sent before, on another connection.
    pub resend: bool,
    /// Bit 2: wait for a worker as long as the deadline allows.
    pub wait_for_ready: bool,
    /// Bit 3: to every worker that serves the method, their answers in one; see [`super::broadcast`].
    pub broadcast: bool,
}

/// How soon a call is to have its turn, beside others of its caller's own party. The order is from the least to the most urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Priority {
    /// What may wait: it still has one turn in thirteen.
    Low = 0,
    /// What says nothing: four turns in thirteen.
    #[default]
    Normal = 1,
    /// What somebody sits and waits for: eight turns in thirteen.
    High = 2,
}

impl Priority {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The priority of this number, if there is one.
    pub const fn from_number(number: u64) -> Option<Priority> {
        match number {
            0 => Some(Priority::Low),
            1 => Some(Priority::Normal),
            2 => Some(Priority::High),
            _ => None,
        }
    }
}

/// What a method may do to the world, from the most to the least repeatable. The order is strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Effect {
    /// Changes nothing; may be run again at will.
    Read = 0,
    /// Running it again leaves the world as running it once does.
    Idempotent = 1,
    /// Must not be run twice. What nobody declared is this.
    Once = 2,
}

impl RequestFlags {
    /// The bits on the wire.
    pub const fn bits(self) -> u8 {
        self.cast as u8 | (self.resend as u8) << 1 | (self.wait_for_ready as u8) << 2 | (self.broadcast as u8) << 3
    }

    /// The flags of these bits.
    ///
    /// # Errors
    /// The bits that have no meaning, if there are any: flags must not be ignored.
    pub const fn from_bits(bits: u64) -> Result<RequestFlags, u64> {
        match bits & !0b1111 {
            0 => Ok(RequestFlags {
                cast: bits & 0b0001 != 0,
                resend: bits & 0b0010 != 0,
                wait_for_ready: bits & 0b0100 != 0,
                broadcast: bits & 0b1000 != 0,
            }),
            unknown => Err(unknown),
        }
    }
}

impl Effect {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The effect of this number, if there is one.
    pub const fn from_number(number: u64) -> Option<Effect> {
        match number {
            0 => Some(Effect::Read),
            1 => Some(Effect::Idempotent),
            2 => Some(Effect::Once),
            _ => None,
        }
    }
}

/// A call, from client to broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The call's number in the client's session.
    pub number: CallNumber,
    /// What to call.
    pub method: MethodName,
    /// Time left, rounded up to milliseconds on the wire; `None` is no time-out.
    pub timeout: Option<Duration>,
    /// The caller's own, stricter effect.
    pub effect: Option<Effect>,
    /// How soon it is to have its turn.
    pub priority: Priority,
    /// See [`RequestFlags`].
    pub flags: RequestFlags,
    /// Which calls it belongs to: those of its key run one at a time, on one worker.
    pub key: Option<AffinityKey>,
    /// The streams that the caller wants beside the reply.
    pub streams: Streams,
    /// The client has all outcomes below this number.
    pub done_below: Option<CallNumber>,
    /// Header keys from 64 on, as encoded pairs in order: copied from hop to hop.
    pub extensions: Bytes,
    /// The arguments: one CBOR item.
    pub body: Bytes,
}

/// A call, from broker to worker. On the wire its kind is `request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The broker's number for it.
    pub number: DispatchNumber,
    /// What to call.
    pub method: MethodName,
    /// Time left.
    pub timeout: Option<Duration>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The call as people see it.
    pub call: CallId,
    /// See [`Request::key`].
    pub affinity: Option<Affinity>,
    /// See [`Request::streams`].
    pub streams: Streams,
    /// See [`Request::extensions`].
    pub extensions: Bytes,
    /// The arguments: one CBOR item.
    pub body: Bytes,
}

/// A call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The call's number (to a client) or the dispatch's (from a worker).
    pub number: u64,
    /// One CBOR item, or how it failed.
    pub outcome: Result<Bytes, Box<Failure>>,
    /// Credit that rides along.
    pub credit: Option<Credit>,
    /// See [`Request::extensions`].
    pub extensions: Bytes,
}

/// Room for more, to be added to what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Calls (to a client) or slots (from a worker).
    pub calls: u32,
    /// Bytes of bodies; 0 from a worker.
    pub bytes: u64,
    /// From a worker: which of its offers (by its place in the registration) the slots belong to; 0 from the broker.
    pub offer: u32,
}

/// A call of an earlier connection has ended, and with it one slot and one use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFreed {
    /// Which of the worker's offers the slot belongs to.
    pub offer: u32,
    /// The key.
    pub key: AffinityKey,
}

/// Room for more items of one stream, to be added to what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCredit {
    /// As in [`Reply`].
    pub number: u64,
    /// How many items, and bytes of their bodies.
    pub credit: ItemCredit,
}

/// An item of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As in [`Reply`].
    pub number: u64,
    /// Counts the items of the stream from 0, without a gap.
    pub sequence: u64,
    /// If it is there, the item stands for those before it that were not read yet; the number is how many its writer has dropped so
    /// far.
    pub latest: Option<u64>,
    /// One CBOR item.
    pub body: Bytes,
}

/// No more items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// As in [`Reply`].
    pub number: u64,
    /// How many items there were.
    pub items: u64,
}

/// The caller is no longer interested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// The call's number (from a client) or the dispatch's (to a worker).
    pub number: u64,
    /// From a client: see [`Request::done_below`].
    pub done_below: Option<CallNumber>,
}

/// Are you there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Comes back in the pong.
    pub number: u64,
    /// From a client: see [`Request::done_below`].
    pub done_below: Option<CallNumber>,
}

impl Envelope {
    /// The kind on the wire.
    pub fn kind(&self) -> Kind {
        match self {
            Envelope::Hello(_) => Kind::Hello,
            Envelope::Challenge(_) => Kind::Challenge,
            Envelope::Proof(_) => Kind::Proof,
            Envelope::Welcome(_) => Kind::Welcome,
            Envelope::Register(_) => Kind::Register,
            Envelope::Request(_) | Envelope::Dispatch(_) => Kind::Request,
            Envelope::Started(_) => Kind::Started,
            Envelope::Reply(_) => Kind::Reply,
            Envelope::Credit(_) | Envelope::KeyFreed(_) | Envelope::StreamCredit(_) => Kind::Credit,
            Envelope::Item(_) => Kind::Item,
            Envelope::End(_) => Kind::End,
            Envelope::Progress(..) => Kind::Progress,
            Envelope::Cancel(_) => Kind::Cancel,
            Envelope::Handback(_) => Kind::Handback,
            Envelope::Drain => Kind::Drain,
            Envelope::Goodbye(_) => Kind::Goodbye,
            Envelope::Ping(_) => Kind::Ping,
            Envelope::Pong(_) => Kind::Pong,
        }
    }
    /// What travels as its body; none for the kinds that have an empty one.
    pub fn body(&self) -> Option<&Bytes> {
        match self {
            Envelope::Hello(body) | Envelope::Challenge(body) | Envelope::Proof(body) => Some(body),
            Envelope::Welcome(body) | Envelope::Register(body) => Some(body),
            Envelope::Request(request) => Some(&request.body),
            Envelope::Dispatch(dispatch) => Some(&dispatch.body),
            Envelope::Reply(reply) => Some(match &reply.outcome {
                Ok(body) => body,
                Err(failure) => &failure.details,
            }),
            Envelope::Item(item) => Some(&item.body),
            Envelope::Progress(_, body) => Some(body),
            Envelope::KeyFreed(_) | Envelope::StreamCredit(_) | Envelope::End(_) => None,
            Envelope::Goodbye(failure) => failure.as_ref().map(|failure| &failure.details),
            Envelope::Started(_) | Envelope::Handback(_) | Envelope::Credit(_) | Envelope::Cancel(_) => None,
            Envelope::Drain | Envelope::Ping(_) | Envelope::Pong(_) => None,
        }
    }
}
