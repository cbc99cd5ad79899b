//! The test vectors of `core/vectors/`, which other implementations read, too.

use serde_json::{Map, Value, json};

use super::{
    super::super::{
        envelope::{Credit, Dispatch, Priority, Reply, Request},
        header,
        status::Failure,
    },
    *,
};

const ENVELOPES: &str = include_str!("../../../../vectors/envelopes.json");
const REFUSALS: &str = include_str!("../../../../vectors/refusals.json");

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn from_hex(hex: &str) -> Bytes {
    hex.as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn frames_of(vector: &Value) -> Vec<Bytes> {
    vector["frames"].as_array().unwrap().iter().map(|hex| from_hex(hex.as_str().unwrap())).collect()
}

fn recipient_of(vector: &Value) -> Recipient {
    match vector["reader"].as_str().unwrap() {
        "broker" => Recipient::Broker,
        "peer" => Recipient::Peer,
        other => panic!("no recipient: {other}"),
    }
}

/// What was read, as the vectors say it: header keys by name, and the body.
fn told(read: &Result<Envelope, EnvelopeError>) -> Value {
    let mut told = Map::new();
    let mut tell = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
    match read {
        Ok(envelope) => tell_envelope(envelope, &mut tell),
        Err(refused) => {
            tell("refused", json!(refused.code().name()));
            refused.kind.into_iter().for_each(|kind| tell("kind", json!(kind)));
            refused.number.into_iter().for_each(|number| tell("number", json!(number)));
            tell("reason", json!(refused.reason.to_string()));
        }
    }
    Value::Object(told)
}

fn tell_envelope(envelope: &Envelope, tell: &mut impl FnMut(&str, Value)) {
    tell("kind", json!(envelope.kind().number()));
    match envelope {
        Envelope::Request(request) => tell_request(request, tell),
        Envelope::Dispatch(dispatch) => tell_dispatch(dispatch, tell),
        Envelope::Reply(reply) => tell_reply(reply, tell),
        Envelope::Started(number) | Envelope::Handback(number) => tell("number", json!(number)),
        Envelope::Pong(number) => tell("number", json!(number)),
        Envelope::Cancel(cancel) => {
            tell("number", json!(cancel.number));
            cancel.done_below.into_iter().for_each(|below| tell("done_below", json!(below)));
        }
        Envelope::Ping(ping) => {
            tell("number", json!(ping.number));
            ping.done_below.into_iter().for_each(|below| tell("done_below", json!(below)));
        }
        Envelope::Credit(credit) => tell_credit(credit, tell),
        Envelope::KeyFreed(freed) => {
            tell("credit_calls", json!(1));
            tell_unless_zero("offer", freed.offer.into(), tell);
            tell("key", json!(freed.key.as_str()));
        }
        Envelope::StreamCredit(credit) => {
            tell("number", json!(credit.number));
            tell_credit(&Credit { calls: credit.credit.items, bytes: credit.credit.bytes, offer: 0 }, tell);
        }
        Envelope::Item(item) => {
            tell("number", json!(item.number));
            tell("sequence", json!(item.sequence));
            item.latest.into_iter().for_each(|dropped| tell("latest", json!(dropped)));
        }
        Envelope::End(end) => {
            tell("number", json!(end.number));
            tell("sequence", json!(end.items));
        }
        Envelope::Progress(number, _) => tell("number", json!(number)),
        Envelope::Goodbye(Some(failure)) => tell_failure(failure, tell),
        _ => {}
    }
    tell_unless_empty("body", envelope.body().unwrap_or(&Bytes::new()), tell);
}

fn tell_request(request: &Request, tell: &mut impl FnMut(&str, Value)) {
    tell("number", json!(request.number));
    tell("method", json!(request.method.as_str()));
    request.timeout.iter().for_each(|left| tell("timeout_ms", json!(left.as_millis() as u64)));
    request.effect.iter().for_each(|effect| tell("effect", json!(effect.number())));
    if request.priority != Priority::Normal {
        tell("priority", json!(request.priority.number()));
    }
    tell_unless_zero("flags", request.flags.bits().into(), tell);
    request.done_below.iter().for_each(|below| tell("done_below", json!(below)));
    request.key.iter().for_each(|key| tell("key", json!(key.as_str())));
    tell_unless_zero("streams", request.streams.bits().into(), tell);
    tell_unless_empty("extensions", &request.extensions, tell);
}

fn tell_dispatch(dispatch: &Dispatch, tell: &mut impl FnMut(&str, Value)) {
    tell("number", json!(dispatch.number));
    tell("method", json!(dispatch.method.as_str()));
    dispatch.timeout.iter().for_each(|left| tell("timeout_ms", json!(left.as_millis() as u64)));
    tell("attempt", json!(dispatch.attempt));
    tell("caller", json!(dispatch.call.caller));
    tell("call", json!(dispatch.call.number));
    if let Some(affinity) = &dispatch.affinity {
        tell("fence", json!(affinity.fence));
        tell("key", json!(affinity.key.as_str()));
    }
    tell_unless_zero("streams", dispatch.streams.bits().into(), tell);
    tell_unless_empty("extensions", &dispatch.extensions, tell);
}

fn tell_reply(reply: &Reply, tell: &mut impl FnMut(&str, Value)) {
    tell("number", json!(reply.number));
    if let Err(failure) = &reply.outcome {
        tell_failure(failure, tell);
    }
    reply.credit.iter().for_each(|credit| tell_credit(credit, tell));
    tell_unless_empty("extensions", &reply.extensions, tell);
}

fn tell_failure(failure: &Failure, tell: &mut impl FnMut(&str, Value)) {
    tell("code", json!(failure.code.number()));
    tell("executed", json!(failure.executed.number()));
    for (name, text) in [("type", &failure.type_name), ("message", &failure.message), ("worker", &failure.worker)] {
        if !text.is_empty() {
            tell(name, json!(&**text));
        }
    }
    tell_unless_zero("attempt", failure.attempt.into(), tell);
    failure.retry_after.iter().for_each(|after| tell("retry_after_ms", json!(after.as_millis() as u64)));
}

fn tell_credit(credit: &Credit, tell: &mut impl FnMut(&str, Value)) {
    tell_unless_zero("credit_calls", credit.calls.into(), tell);
    tell_unless_zero("credit_bytes", credit.bytes, tell);
    tell_unless_zero("offer", credit.offer.into(), tell);
}

fn tell_unless_zero(name: &str, value: u64, tell: &mut impl FnMut(&str, Value)) {
    if value != 0 {
        tell(name, json!(value));
    }
}

fn tell_unless_empty(name: &str, bytes: &[u8], tell: &mut impl FnMut(&str, Value)) {
    if !bytes.is_empty() {
        tell(name, json!(to_hex(bytes)));
    }
}

#[test]
fn every_vector_is_read_as_it_says() {
    for vector in vectors(ENVELOPES).iter().chain(&vectors(REFUSALS)) {
        let read: Vec<_> = read(&frames_of(vector), recipient_of(vector)).map(|read| told(&read)).collect();
        assert_eq!(json!(read), vector["reads"], "{}", vector["name"]);
    }
}

#[test]
fn canonical_vectors_are_written_as_they_were_read() {
    for vector in vectors(ENVELOPES) {
        let frames = frames_of(&vector);
        let envelopes: Vec<_> = read(&frames, recipient_of(&vector)).map(Result::unwrap).collect();
        let written: Vec<_> = bundled(&envelopes).into_iter().flatten().collect();
        assert_eq!(written == frames, vector["canonical"].as_bool().unwrap(), "{}", vector["name"]);
    }
}

#[test]
fn the_notation_of_a_vector_is_that_of_its_bytes() {
    for vector in vectors(ENVELOPES) {
        for (frame, notation) in frames_of(&vector).iter().zip(vector["diagnostic"].as_array().unwrap()) {
            // Writers of this notation differ in spaces and in what they put between the items of a sequence.
            let bare = |notation: &str| notation.replace([' ', ','], "");
            let shown = minicbor::display(frame).to_string();
            assert_eq!(bare(&shown), bare(notation.as_str().unwrap()), "{}", vector["name"]);
        }
    }
}

#[test]
fn vectors_cover_every_kind_and_key() {
    let vectors = vectors(ENVELOPES);
    let reads: Vec<_> = vectors.iter().flat_map(|vector| vector["reads"].as_array().unwrap()).collect();
    for kind in (0..=18).filter(|kind| *kind != 14) {
        assert!(reads.iter().any(|read| read["kind"] == kind), "kind {kind}");
    }
    for key in (1..=18).chain([25, 27, 28, 29, 30]).filter_map(header::key_name) {
        assert!(reads.iter().any(|read| read.get(key).is_some()), "key {key}");
    }
}
