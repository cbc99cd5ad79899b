//! Tests of the vectors of `core/vectors/`, which other implementations also use.

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

/// Returns what was read in the form of the vectors: the header keys by name, and the body.
fn to_json(read: &Result<Envelope, EnvelopeError>) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    match read {
        Ok(envelope) => put_envelope(envelope, &mut put),
        Err(refused) => {
            put("refused", json!(refused.code().name()));
            refused.kind.into_iter().for_each(|kind| put("kind", json!(kind)));
            refused.number.into_iter().for_each(|number| put("number", json!(number)));
            put("reason", json!(refused.reason.to_string()));
        }
    }
    Value::Object(fields)
}

fn put_envelope(envelope: &Envelope, put: &mut impl FnMut(&str, Value)) {
    put("kind", json!(envelope.kind().number()));
    match envelope {
        Envelope::Request(request) => put_request(request, put),
        Envelope::Dispatch(dispatch) => put_dispatch(dispatch, put),
        Envelope::Reply(reply) => put_reply(reply, put),
        Envelope::Started(number) | Envelope::Handback(number) => put("number", json!(number)),
        Envelope::Pong(number) => put("number", json!(number)),
        Envelope::Cancel(cancel) => {
            put("number", json!(cancel.number));
            cancel.done_below.into_iter().for_each(|below| put("done_below", json!(below)));
        }
        Envelope::Ping(ping) => {
            put("number", json!(ping.number));
            ping.done_below.into_iter().for_each(|below| put("done_below", json!(below)));
        }
        Envelope::Credit(credit) => put_credit(credit, put),
        Envelope::KeyFreed(freed) => {
            put("credit_calls", json!(1));
            put_unless_zero("offer", freed.offer.into(), put);
            put("key", json!(freed.key.as_str()));
        }
        Envelope::StreamCredit(credit) => {
            put("number", json!(credit.number));
            put_credit(&Credit { calls: credit.credit.items, bytes: credit.credit.bytes, offer: 0 }, put);
        }
        Envelope::Items(items) => {
            put("number", json!(items.number));
            put("sequence", json!(items.sequence));
            items.latest.into_iter().for_each(|dropped| put("latest", json!(dropped)));
            if items.batch.items() != 1 {
                put("items", json!(items.batch.items()));
            }
        }
        Envelope::End(end) => {
            put("number", json!(end.number));
            put("sequence", json!(end.items));
        }
        Envelope::Progress(number, _) => put("number", json!(number)),
        Envelope::Goodbye(Some(failure)) => put_failure(failure, put),
        _ => {}
    }
    put_unless_empty("body", envelope.body().unwrap_or(&Bytes::new()), put);
}

fn put_request(request: &Request, put: &mut impl FnMut(&str, Value)) {
    put("number", json!(request.number));
    put("method", json!(request.method.as_str()));
    request.timeout.iter().for_each(|left| put("timeout_ms", json!(left.as_millis() as u64)));
    request.effect.iter().for_each(|effect| put("effect", json!(effect.number())));
    if request.priority != Priority::Normal {
        put("priority", json!(request.priority.number()));
    }
    put_unless_zero("flags", request.flags.bits().into(), put);
    let below = Some(request.done_below).filter(|below| below.0 > 0);
    below.iter().for_each(|below| put("done_below", json!(below)));
    request.key.iter().for_each(|key| put("key", json!(key.as_str())));
    put_unless_zero("streams", request.streams.bits().into(), put);
    put_unless_empty("extensions", &request.extensions, put);
}

fn put_dispatch(dispatch: &Dispatch, put: &mut impl FnMut(&str, Value)) {
    put("number", json!(dispatch.number));
    put("method", json!(dispatch.method.as_str()));
    dispatch.timeout.iter().for_each(|left| put("timeout_ms", json!(left.as_millis() as u64)));
    put("attempt", json!(dispatch.attempt));
    put("caller", json!(dispatch.call.caller));
    put("call", json!(dispatch.call.number));
    dispatch.caller_name.iter().for_each(|name| put("caller_name", json!(&**name)));
    if let Some(affinity) = &dispatch.affinity {
        put("fence", json!(affinity.fence));
        put("key", json!(affinity.key.as_str()));
    }
    put_unless_zero("streams", dispatch.streams.bits().into(), put);
    put_unless_empty("extensions", &dispatch.extensions, put);
}

fn put_reply(reply: &Reply, put: &mut impl FnMut(&str, Value)) {
    put("number", json!(reply.number));
    if let Err(failure) = &reply.outcome {
        put_failure(failure, put);
    }
    reply.credit.iter().for_each(|credit| put_credit(credit, put));
    put_unless_empty("extensions", &reply.extensions, put);
    if let Some(time) = reply.handler_time {
        put("extensions", json!(handler_time_pair(u16::try_from(time.as_micros()).unwrap())));
    }
}

/// Returns the extension of a handler time that needs two bytes, as hexadecimal digits.
fn handler_time_pair(micros: u16) -> String {
    format!("184319{micros:04x}")
}

fn put_failure(failure: &Failure, put: &mut impl FnMut(&str, Value)) {
    put("code", json!(failure.code.number()));
    put("executed", json!(failure.executed.number()));
    for (name, text) in [("type", &failure.type_name), ("message", &failure.message), ("worker", &failure.worker)] {
        if !text.is_empty() {
            put(name, json!(&**text));
        }
    }
    put_unless_zero("attempt", failure.attempt.into(), put);
    failure.retry_after.iter().for_each(|after| put("retry_after_ms", json!(after.as_millis() as u64)));
}

fn put_credit(credit: &Credit, put: &mut impl FnMut(&str, Value)) {
    put_unless_zero("credit_calls", credit.calls.into(), put);
    put_unless_zero("credit_bytes", credit.bytes, put);
    put_unless_zero("offer", credit.offer.into(), put);
}

fn put_unless_zero(name: &str, value: u64, put: &mut impl FnMut(&str, Value)) {
    if value != 0 {
        put(name, json!(value));
    }
}

fn put_unless_empty(name: &str, bytes: &[u8], put: &mut impl FnMut(&str, Value)) {
    if !bytes.is_empty() {
        put(name, json!(to_hex(bytes)));
    }
}

#[test]
fn every_vector_is_read_as_specified() {
    for vector in vectors(ENVELOPES).iter().chain(&vectors(REFUSALS)) {
        let read: Vec<_> = read(&frames_of(vector), recipient_of(vector)).map(|read| to_json(&read)).collect();
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
fn the_diagnostic_notation_of_a_vector_matches_its_bytes() {
    for vector in vectors(ENVELOPES) {
        for (frame, notation) in frames_of(&vector).iter().zip(vector["diagnostic"].as_array().unwrap()) {
            // Writers of this notation differ in spaces and in the separators of a sequence.
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
    for key in (1..=18).chain([25, 27, 28, 29, 30, 32]).filter_map(header::key_name) {
        assert!(reads.iter().any(|read| read.get(key).is_some()), "key {key}");
    }
}
