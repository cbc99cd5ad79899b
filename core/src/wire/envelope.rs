//! Envelopes as typed values, which the machines use: parsed and validated once.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    affinity::{Affinity, AffinityKey},
    extensions::Extensions,
    ids::{CallId, CallNumber, DispatchNumber},
    item_batch::ItemBatch,
    kind::Kind,
    method::MethodName,
    status::Failure,
    streams::{ItemCredit, Streams},
};

/// One header with its body, as a typed value.
///
/// It is moved several times on its way through a machine, so it has at most 128 bytes: what few calls have is boxed.
///
/// The envelopes of the handshake and of registration carry their body encoded; see [`super::handshake`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// Client or worker to broker: the first envelope of a connection. Body: [`super::handshake::Hello`].
    Hello(Bytes),
    /// Broker to peer: requests a proof of the key. Empty with mechanism `none`.
    Challenge(Bytes),
    /// Peer to broker: the proof of the key. Empty with mechanism `none`.
    Proof(Bytes),
    /// Broker to peer: the peer is accepted. Body: [`super::handshake::Welcome`].
    Welcome(Bytes),
    /// Worker to broker: the services of the worker. Body: [`super::handshake::Register`].
    Register(Bytes),
    /// Client to broker: a call.
    Request(Request),
    /// Broker to worker: a call to run.
    Dispatch(Dispatch),
    /// Worker to broker: the handler of this dispatch has started.
    Started(DispatchNumber),
    /// The outcome of a call. `number` is a dispatch number from a worker, and a call number to a client.
    Reply(Reply),
    /// Credit: calls and bytes from the broker to a client, slots (`calls`) from a worker to the broker.
    Credit(Credit),
    /// Worker to broker: a call of an earlier connection has ended. The worker had registered its slot and key as in use.
    /// On the wire its kind is `credit`, for one slot.
    KeyFreed(KeyFreed),
    /// Credit for items of one stream: from its reader to its writer, through the broker.
    StreamCredit(StreamCredit),
    /// Items of a stream, in either direction. On the wire the kind is `item`.
    Items(Items),
    /// Client to worker, through the broker: the end of a stream of items.
    End(End),
    /// Worker to client, through the broker: a progress report of the handler. The number is as in [`Reply`].
    Progress(u64, Bytes),
    /// The caller cancels a call. `number` is as in [`Reply`].
    Cancel(Cancel),
    /// Worker to broker: this dispatch was not started, and may go to another worker.
    Handback(DispatchNumber),
    /// Worker to broker: the worker accepts no more calls.
    Drain,
    /// The sender closes the connection: a peer that leaves, or a broker that disconnects a peer, with the reason. It also
    /// acknowledges the other side's goodbye and everything before it.
    Goodbye(Option<Box<Failure>>),
    /// Asks for a pong.
    Ping(Ping),
    /// The response to the ping of this number.
    Pong(u64),
}

/// The flags of a request: header key 5, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFlags {
    /// Bit 0: a one-way call without a reply.
    pub cast: bool,
    /// Bit 1: the request was sent before, on an earlier connection.
    pub resend: bool,
    /// Bit 2: the call waits for a worker until its deadline.
    pub wait_for_ready: bool,
    /// Bit 3: the call goes to every worker that serves the method; see [`super::broadcast`].
    pub broadcast: bool,
}

/// The priority of a call among the calls of the same tenant, from the least to the most urgent.
///
/// High, normal and low priority are weighted 8:4:1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Priority {
    /// For calls that may wait: weight 1.
    Low = 0,
    /// The default: weight 4.
    #[default]
    Normal = 1,
    /// For calls that a user waits for: weight 8.
    High = 2,
}

impl Priority {
    /// Returns the number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the priority of this number, if it has one.
    pub const fn from_number(number: u64) -> Option<Priority> {
        match number {
            0 => Some(Priority::Low),
            1 => Some(Priority::Normal),
            2 => Some(Priority::High),
            _ => None,
        }
    }
}

/// The side effects of a method: whether a call may be run again. Ordered from the least to the most strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Effect {
    /// Has no side effects, and may be run again.
    Read = 0,
    /// Has the same effect if it runs once or several times.
    Idempotent = 1,
    /// Must not be run twice. The default of methods without a declaration.
    Once = 2,
}

impl RequestFlags {
    /// Returns the bits on the wire.
    pub const fn bits(self) -> u8 {
        self.cast as u8 | (self.resend as u8) << 1 | (self.wait_for_ready as u8) << 2 | (self.broadcast as u8) << 3
    }

    /// Returns the flags of these bits.
    ///
    /// # Errors
    /// The bits without a meaning, which must not be ignored.
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
    /// Returns the number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the effect of this number, if it has one.
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
    /// The method to call.
    pub method: MethodName,
    /// The remaining time, rounded up to milliseconds on the wire. `None`: no timeout.
    pub timeout: Option<Duration>,
    /// A stricter effect than the method declares, set by the caller.
    pub effect: Option<Effect>,
    /// The priority of the call.
    pub priority: Priority,
    /// See [`RequestFlags`].
    pub flags: RequestFlags,
    /// The affinity key. Calls with the same key run one at a time, on one worker. Boxed, because few calls have one.
    pub key: Option<Box<AffinityKey>>,
    /// The streams of the call besides the reply.
    pub streams: Streams,
    /// The client has received the outcomes of all calls below this number. 0, which is the number of no call, states nothing.
    pub done_below: CallNumber,
    /// The extension keys of the header.
    pub extensions: Extensions,
    /// The arguments: one CBOR item.
    pub body: Bytes,
}

/// A call, from broker to worker. On the wire its kind is `request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The number that the broker assigned to the dispatch.
    pub number: DispatchNumber,
    /// The method to call.
    pub method: MethodName,
    /// The remaining time.
    pub timeout: Option<Duration>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The id of the call, for logs and operators.
    pub call: CallId,
    /// The name of the peer that made the call, if it has one. The broker has authenticated it.
    pub caller_name: Option<Arc<ByteString>>,
    /// See [`Request::key`].
    pub affinity: Option<Box<Affinity>>,
    /// See [`Request::streams`].
    pub streams: Streams,
    /// See [`Request::extensions`].
    pub extensions: Extensions,
    /// The arguments: one CBOR item.
    pub body: Bytes,
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The number of the call (to a client) or of the dispatch (from a worker).
    pub number: u64,
    /// The result as one CBOR item, or the failure.
    pub outcome: Result<Bytes, Box<Failure>>,
    /// Credit that is granted with the reply.
    pub credit: Option<Credit>,
    /// From a worker: how long the handler ran, in microseconds. It is sent with a result that has no extensions.
    pub handler_time: Option<Duration>,
    /// See [`Request::extensions`].
    pub extensions: Extensions,
}

/// Credit that is added to the remaining credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Calls (to a client) or slots (from a worker).
    pub calls: u32,
    /// Bytes of bodies. 0 from a worker.
    pub bytes: u64,
    /// From a worker: the index of the offer in its registration that the slots belong to. 0 from the broker.
    pub offer: u32,
}

/// The end of a call of an earlier connection, which frees one slot and one use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFreed {
    /// The index of the offer in the worker's registration that the slot belongs to.
    pub offer: u32,
    /// The affinity key of the call.
    pub key: AffinityKey,
}

/// Credit for items of one stream that is added to the remaining credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCredit {
    /// As in [`Reply`].
    pub number: u64,
    /// The number of items, and the bytes of their bodies.
    pub credit: ItemCredit,
}

/// Consecutive items of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// As in [`Reply`].
    pub number: u64,
    /// The index of the first item in its stream: from 0, without gaps.
    pub sequence: u64,
    /// Set if the stream is conflated: the last item replaces earlier items that were not read. The value is the number of items that
    /// the writer has dropped since the start of the stream.
    pub latest: Option<u64>,
    /// The items.
    pub batch: ItemBatch,
}

/// The end of a stream of items from a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// As in [`Reply`].
    pub number: u64,
    /// The number of items of the stream.
    pub items: u64,
}

/// The cancellation of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// The number of the call (from a client) or of the dispatch (to a worker).
    pub number: u64,
    /// From a client: see [`Request::done_below`].
    pub done_below: Option<CallNumber>,
}

/// A request for a pong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The number that the pong returns.
    pub number: u64,
    /// From a client: see [`Request::done_below`].
    pub done_below: Option<CallNumber>,
}

const _: () = assert!(size_of::<Envelope>() <= 128, "an envelope is moved often, and must stay small");

impl Envelope {
    /// Returns the kind on the wire.
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
            Envelope::Items(_) => Kind::Item,
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

    /// Returns the body. `None` for kinds whose body is always empty.
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
            Envelope::Items(items) => Some(items.batch.body()),
            Envelope::Progress(_, body) => Some(body),
            Envelope::KeyFreed(_) | Envelope::StreamCredit(_) | Envelope::End(_) => None,
            Envelope::Goodbye(failure) => failure.as_ref().map(|failure| &failure.details),
            Envelope::Started(_) | Envelope::Handback(_) | Envelope::Credit(_) | Envelope::Cancel(_) => None,
            Envelope::Drain | Envelope::Ping(_) | Envelope::Pong(_) => None,
        }
    }
}
