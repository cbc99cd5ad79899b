//! Generates envelopes and their parts from a script.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::{AuthKey, Channel, ChannelBinding, HelloTranscript, MECHANISM, Nonce, Prover, Transcript},
    body,
    wire::{
        Bundler, Envelope,
        affinity::{Affinity, AffinityKey},
        envelope::{
            Cancel, Credit, Dispatch, Effect, End, Items, KeyFreed, Ping, Priority, Reply, Request, RequestFlags,
            StreamCredit,
        },
        extensions::Extensions,
        handshake::{Challenge, ChallengeResponse, Hello, MethodLimits, MethodOffer, Offer, Register, Role, Welcome},
        ids::{BrokerId, CallId, CallNumber, ConnectionId, ConnectionNumber, DispatchNumber, SessionId, StartId},
        item_batch::ItemBatch,
        limits::BATCH_ITEMS_MAX,
        method::MethodName,
        status::{Code, Executed, Failure},
        streams::{ItemCredit, Streams, Style},
    },
};

use super::script::Script;

/// The methods of calls: served by one worker, by both, by none, or by the broker, and unknown ones.
const METHODS: [&str; 8] = [
    "alpha.fetch",
    "alpha.push",
    "alpha.pay",
    "beta.run",
    "gamma.none",
    "alpha.none",
    "callboard.status",
    "callboard.services",
];
/// The sizes of bodies: from the minimum over one that uses up credit and one with a frame of its own, to one that is too large.
const BODY_BYTES: [usize; 5] = [1, 100, 1_500, 17_000, 70_000];
/// An encoded extension: key 64, traceparent, with a text.
const EXTENSION: &[u8] = &[0x18, 0x40, 0x61, b'a'];

/// Returns the messages of one envelope.
pub(crate) fn messages(envelope: &Envelope) -> Vec<Vec<Bytes>> {
    let mut bundler = Bundler::new();
    bundler.push(envelope);
    bundler.take().map(|frames| frames.to_vec()).collect()
}

/// Returns a message of arbitrary bytes, in one or two frames.
pub(crate) fn raw_message(script: &mut Script<'_>) -> Vec<Bytes> {
    if script.flag() { vec![script.bytes(), script.bytes()] } else { vec![script.bytes()] }
}

/// Returns an envelope to the broker after the handshake, for either endpoint.
pub(crate) fn to_broker(script: &mut Script<'_>) -> Envelope {
    match script.below(17) {
        0..=3 => Envelope::Request(request(script)),
        4 => Envelope::Cancel(cancel(script)),
        5 => Envelope::Ping(ping(script)),
        6 => Envelope::Reply(reply(script, None)),
        7 => Envelope::Handback(DispatchNumber(script.number())),
        8 => Envelope::Started(DispatchNumber(script.number())),
        9 => Envelope::Credit(Credit { calls: small(script), bytes: 0, offer: small(script) }),
        10 => Envelope::Drain,
        11 => Envelope::Pong(script.number()),
        12 => Envelope::Register(script.bytes()),
        13 => Envelope::Register(encoded(&register(script))),
        14 => Envelope::Goodbye(script.flag().then(|| Box::new(failure(script)))),
        15 => match affinity_key(script) {
            Some(key) => Envelope::KeyFreed(KeyFreed { offer: small(script), key }),
            None => Envelope::Hello(script.bytes()),
        },
        _ => stream_envelope(script),
    }
}

/// Returns an envelope of a stream or of progress, even if no call has streams. Small numbers include those of open calls.
fn stream_envelope(script: &mut Script<'_>) -> Envelope {
    match script.below(5) {
        0 => Envelope::Items(Items {
            number: script.number(),
            sequence: script.number(),
            latest: None,
            batch: ItemBatch::new(script.pick(&[1, 1, 2, BATCH_ITEMS_MAX]), body_of_some_size(script)),
        }),
        1 => Envelope::End(End { number: script.number(), items: script.number() }),
        2 => {
            let credit =
                script.pick(&[ItemCredit::NONE, ItemCredit::WINDOW, ItemCredit { items: u32::MAX, bytes: u64::MAX }]);
            Envelope::StreamCredit(StreamCredit { number: script.number(), credit })
        }
        3 => Envelope::Progress(script.number(), body_of_some_size(script)),
        _ => Envelope::Hello(script.bytes()),
    }
}

/// Returns an envelope to a client or a worker.
pub(crate) fn to_peer(script: &mut Script<'_>) -> Envelope {
    match script.below(12) {
        0..=2 => Envelope::Dispatch(dispatch(script)),
        3 | 4 => {
            let credit = script.flag().then(|| credit(script));
            Envelope::Reply(reply(script, credit))
        }
        5 => Envelope::Credit(credit(script)),
        6 => Envelope::Cancel(Cancel { number: script.number(), done_below: None }),
        7 => Envelope::Ping(Ping { number: script.number(), done_below: None }),
        8 => Envelope::Pong(script.number()),
        9 => Envelope::Goodbye(script.flag().then(|| Box::new(failure(script)))),
        10 => Envelope::Welcome(script.bytes()),
        _ => Envelope::Challenge(script.bytes()),
    }
}

/// Returns a well-formed hello, whose values may be invalid.
pub(crate) fn hello(script: &mut Script<'_>, role: Role) -> Envelope {
    let variation = script.byte();
    let hello = Hello {
        versions: if variation & 1 == 0 { (2, 2) } else { (small(script), small(script)) },
        role,
        session: session(script.below(6)),
        connection: ConnectionNumber(script.number()),
        heartbeat_ms: if variation & 2 == 0 { 1_000 } else { script.number() },
        instance: "unauthenticated".to_owned(),
        pool: (variation & 4 != 0).then(|| script.pick(&["pool", "", "a pool"]).to_owned()),
        pool_pid: None,
        pid: Some(1),
        host: String::new(),
        capabilities: vec!["x_fuzz".to_owned()],
        message_bytes_max: (variation & 8 != 0).then(|| script.number()),
        nonce: (variation & 16 == 0).then(|| nonce(u64::from(variation))),
    };
    Envelope::Hello(encoded(&hello))
}

/// Returns a well-formed welcome, whose values may be invalid.
pub(crate) fn welcome(script: &mut Script<'_>) -> Welcome {
    let variation = script.byte();
    Welcome {
        version: if variation & 1 == 0 { 2 } else { small(script) },
        broker: BrokerId([1; 16]),
        start: StartId([variation >> 6; 16]),
        frontend: "tcp://127.0.0.1:1".to_owned(),
        heartbeat_ms: if variation & 2 == 0 { 1_000 } else { script.number() },
        credit_calls: if variation & 4 == 0 { 4 } else { small(script) },
        credit_bytes: if variation & 8 == 0 { 65_536 } else { script.number() },
        message_bytes_max: if variation & 16 == 0 { 65_536 } else { script.number() },
        capabilities: Vec::new(),
        proof: None,
    }
}

/// Returns the one key of broker and peers.
pub(crate) fn key() -> AuthKey {
    AuthKey::new("a key that is long enough").expect("it is long enough")
}

/// Returns a nonce. It need not be random here, only unique.
pub(crate) fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 32];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    Nonce(nonce)
}

/// Returns the challenge of a broker with the key.
pub(crate) fn challenge(number: u64) -> Challenge {
    let (broker, start) = (BrokerId([1; 16]), StartId([0; 16]));
    Challenge { mechanism: MECHANISM.to_owned(), nonce: nonce(number), broker, start }
}

/// Returns the encrypted channel of a connection, the same for both sides. Every second connection has one.
pub(crate) fn channel(connection: ConnectionId) -> Option<Channel> {
    let number = u8::try_from(connection.0 % 251).expect("a small number");
    (number % 2 == 1).then_some(Channel { public_key: [1; 32], binding: ChannelBinding([number; 32]) })
}

/// Begins the transcript of a hello on a connection. `None` if it cannot be read or has no nonce.
pub(crate) fn transcript_of(body: &[u8], connection: ConnectionId) -> Option<HelloTranscript> {
    let hello: Hello = body::decode(body).ok()?;
    let binding = channel(connection).map(|channel| channel.binding);
    hello.nonce.map(|_| HelloTranscript::new(hello.role, body, binding))
}

/// Returns the valid response of a peer with the key.
pub(crate) fn response(transcript: Transcript) -> ChallengeResponse {
    ChallengeResponse { proof: transcript.prove(Prover::Peer, &key()) }
}

/// Returns a well-formed registration, whose values may be invalid.
pub(crate) fn register(script: &mut Script<'_>) -> Register {
    let names = ["alpha", "beta", "delta", "callboard.pool.p", "callboard", "a b"];
    let offer = |script: &mut Script<'_>| {
        let effect = |script: &mut Script<'_>| script.pick(&[Effect::Read, Effect::Idempotent, Effect::Once]);
        let method = |name: &str, effect| MethodOffer {
            name: name.to_owned(),
            effect,
            arguments: vec!["x".to_owned()],
            style: Style::Unary,
            limits: MethodLimits::default(),
        };
        Offer {
            service: script.pick(&names).to_owned(),
            slots: small(script),
            free: small(script),
            prefetch: small(script),
            keys: affinity_key(script).into_iter().collect(),
            methods: vec![
                method("fetch", effect(script)),
                method("push", effect(script)),
                method("run", effect(script)),
            ],
            contract: None,
        }
    };
    Register {
        offers: (0..script.below(4)).map(|_| offer(script)).collect(),
        exclusive: script.flag(),
        slots: script.flag().then(|| small(script)),
        prefetch: small(script),
    }
}

/// Returns one of few sessions, so that several connections use the same one.
pub(crate) fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

pub(crate) fn method(script: &mut Script<'_>) -> MethodName {
    MethodName::parse(script.pick(&METHODS)).expect("the names are valid")
}

/// Returns a body of some size. The machines do not read its content.
pub(crate) fn body_of_some_size(script: &mut Script<'_>) -> Bytes {
    vec![0; script.pick(&BODY_BYTES)].into()
}

pub(crate) fn timeout(script: &mut Script<'_>) -> Option<Duration> {
    script.flag().then(|| script.timeout())
}

pub(crate) fn extensions(script: &mut Script<'_>) -> Extensions {
    if script.flag() { Bytes::from_static(EXTENSION).into() } else { Extensions::NONE }
}

pub(crate) fn failure(script: &mut Script<'_>) -> Failure {
    let code = script.pick(&[Code::Unavailable, Code::Internal, Code::FailedPrecondition, Code::ResourceExhausted]);
    Failure::new(code, script.pick(&[Executed::No, Executed::Yes, Executed::Maybe]), "it failed")
}

/// Returns the outcome of a call.
pub(crate) fn outcome(script: &mut Script<'_>) -> Result<Bytes, Box<Failure>> {
    if script.flag() { Err(Box::new(failure(script))) } else { Ok(body_of_some_size(script)) }
}

/// Returns no key, or one of few, so that several calls use the same one.
pub(crate) fn affinity_key(script: &mut Script<'_>) -> Option<AffinityKey> {
    let key = script.pick(&["", "", "one", "two"]);
    AffinityKey::parse(key).ok()
}

/// Returns a number of 32 bits, mostly a small one.
fn small(script: &mut Script<'_>) -> u32 {
    u32::try_from(script.number()).unwrap_or(u32::MAX)
}

fn request(script: &mut Script<'_>) -> Request {
    Request {
        number: CallNumber(script.number()),
        method: method(script),
        timeout: timeout(script),
        effect: script.pick(&[None, Some(Effect::Read), Some(Effect::Idempotent), Some(Effect::Once)]),
        priority: script.pick(&[Priority::Low, Priority::Normal, Priority::High]),
        flags: RequestFlags::from_bits(script.below(16).into()).expect("four bits are known"),
        done_below: CallNumber(script.number()),
        key: affinity_key(script).map(Box::new),
        streams: Streams::NONE,
        extensions: extensions(script),
        body: body_of_some_size(script),
    }
}

fn dispatch(script: &mut Script<'_>) -> Dispatch {
    Dispatch {
        number: DispatchNumber(script.number()),
        method: method(script),
        timeout: timeout(script),
        attempt: small(script),
        caller_name: script.flag().then(|| Arc::new("web".into())),
        affinity: affinity_key(script).map(|key| Box::new(Affinity { key, fence: script.number() })),
        streams: Streams::NONE,
        call: CallId { caller: small(script), number: CallNumber(script.number()) },
        extensions: extensions(script),
        body: body_of_some_size(script),
    }
}

fn reply(script: &mut Script<'_>, credit: Option<Credit>) -> Reply {
    Reply {
        number: script.number(),
        outcome: outcome(script),
        credit,
        handler_time: None,
        extensions: extensions(script),
    }
}

fn cancel(script: &mut Script<'_>) -> Cancel {
    Cancel { number: script.number(), done_below: script.flag().then(|| CallNumber(script.number())) }
}

fn ping(script: &mut Script<'_>) -> Ping {
    Ping { number: script.number(), done_below: script.flag().then(|| CallNumber(script.number())) }
}

fn credit(script: &mut Script<'_>) -> Credit {
    Credit { calls: small(script), bytes: script.number(), offer: 0 }
}

pub(crate) fn encoded<T: serde::Serialize>(value: &T) -> Bytes {
    body::encode(value).expect("it has a CBOR form")
}
