//! Envelopes of a typical call: a body of 64 bytes, a timeout, and neither a key nor extensions.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    body,
    peer::Settings,
    time::Time,
    wire::{
        Bundler, Envelope,
        envelope::{Dispatch, Effect, Priority, Reply, Request, RequestFlags},
        handshake::{MethodLimits, MethodOffer, Offer, Register, Welcome},
        ids::{BrokerId, CallId, CallNumber, DispatchNumber, SessionId, StartId},
        limits::VERSION_MAX,
        method::MethodName,
        streams::{Streams, Style},
    },
};

/// The timeout of a call.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// A heartbeat interval that does not pass during a measurement.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(600);
/// The time between two messages.
pub(crate) const STEP: Duration = Duration::from_micros(1);
/// When the peers are connected.
pub(crate) const START: Time = Time::from_micros(1_000_000);

const BODY: [u8; 64] = {
    let mut body = [7; 64];
    // The head of a byte string of 62 bytes.
    (body[0], body[1]) = (0x58, 62);
    body
};

pub(crate) fn body() -> Bytes {
    Bytes::from_static(&BODY)
}

pub(crate) fn method() -> MethodName {
    MethodName::parse("calculator.add").expect("the name of a method")
}

/// Returns the request of a call. All calls before it are done.
pub(crate) fn request(number: u64) -> Envelope {
    request_with(number, number)
}

/// Returns the requests of these calls, which are sent at once.
pub(crate) fn requests(first: u64, calls: u32) -> Vec<Envelope> {
    (first..first + u64::from(calls)).map(|number| request_with(number, first)).collect()
}

/// Returns the request of a call. All calls below `done_below` are done.
pub(crate) fn request_with(number: u64, done_below: u64) -> Envelope {
    Envelope::Request(Request {
        number: CallNumber(number),
        method: method(),
        timeout: Some(TIMEOUT),
        effect: None,
        priority: Priority::Normal,
        flags: RequestFlags::default(),
        key: None,
        streams: Streams::NONE,
        done_below: CallNumber(done_below),
        extensions: Default::default(),
        body: body(),
    })
}

pub(crate) fn dispatch(number: u64) -> Envelope {
    Envelope::Dispatch(Dispatch {
        number: DispatchNumber(number),
        method: method(),
        timeout: Some(TIMEOUT),
        attempt: 1,
        call: CallId { caller: 0x3f9a_1c02, number: CallNumber(number) },
        caller_name: None,
        affinity: None,
        streams: Streams::NONE,
        extensions: Default::default(),
        body: body(),
    })
}

pub(crate) fn reply(number: u64) -> Envelope {
    let (outcome, handler_time) = (Ok(body()), Some(Duration::from_micros(20)));
    Envelope::Reply(Reply { number, outcome, credit: None, handler_time, extensions: Default::default() })
}

/// Returns the frames of the one message in which these envelopes are sent.
pub(crate) fn frames(envelopes: &[Envelope]) -> Vec<Bytes> {
    let mut bundler = Bundler::new();
    envelopes.iter().for_each(|envelope| bundler.push(envelope));
    let messages: Vec<_> = bundler.take().collect();
    let [message] = &messages[..] else { panic!("{} messages instead of one", messages.len()) };
    message.to_vec()
}

/// Returns the frames of these envelopes, each in a message of its own.
pub(crate) fn messages(envelopes: impl Iterator<Item = Envelope>) -> std::vec::IntoIter<Vec<Bytes>> {
    envelopes.map(|envelope| frames(&[envelope])).collect::<Vec<_>>().into_iter()
}

/// Returns the registration of a worker that serves the method with so many slots.
pub(crate) fn register(slots: u32) -> Register {
    let method = MethodOffer {
        name: "add".to_owned(),
        effect: Effect::Read,
        arguments: Vec::new(),
        style: Style::Unary,
        limits: MethodLimits::default(),
    };
    let offer = Offer {
        service: "calculator".to_owned(),
        slots,
        free: slots,
        prefetch: 0,
        methods: vec![method],
        keys: Vec::new(),
        contract: None,
    };
    Register { offers: vec![offer], ..Register::default() }
}

/// Returns the settings of a client or worker.
pub(crate) fn settings() -> Settings {
    Settings { instance: "calculator-3".to_owned(), heartbeat: HEARTBEAT, ..Settings::new(SessionId([7; 16])) }
}

/// Returns the welcome of a broker that grants credit for all calls.
pub(crate) fn welcome() -> Envelope {
    let welcome = Welcome {
        version: VERSION_MAX,
        broker: BrokerId([1; 16]),
        start: StartId([2; 16]),
        frontend: "tcp://127.0.0.1:5559".to_owned(),
        heartbeat_ms: u64::try_from(HEARTBEAT.as_millis()).expect("ten minutes"),
        credit_calls: u32::MAX,
        credit_bytes: u64::MAX,
        message_bytes_max: 16 << 20,
        capabilities: Vec::new(),
        proof: None,
    };
    Envelope::Welcome(body::encode(&welcome).expect("a welcome has a CBOR form"))
}
