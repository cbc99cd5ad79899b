//! Property tests for arbitrary envelopes and arbitrary bytes.

use std::{sync::Arc, time::Duration};

use bytestring::ByteString;
use proptest::{collection::vec, option, prelude::*, sample::Index};

use super::{
    super::super::{
        affinity::{Affinity, AffinityKey},
        envelope::{Cancel, Credit, Dispatch, Effect, End, Items, KeyFreed, Ping, Priority, Reply, StreamCredit},
        extensions::Extensions,
        ids::{CallId, DispatchNumber},
        item_batch::ItemBatch,
        limits::{BATCH_ITEMS_MAX, BODY_INLINE_BYTES_MAX},
        status::{Code, Executed, Failure},
        streams::{ItemCredit, Streams},
    },
    *,
};

/// Numbers, half of them small.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)]
}

fn milliseconds() -> impl Strategy<Value = Option<Duration>> {
    option::of(numbers().prop_map(Duration::from_millis))
}

fn done_below() -> impl Strategy<Value = Option<CallNumber>> {
    option::of(numbers().prop_map(CallNumber))
}

fn texts() -> impl Strategy<Value = ByteString> {
    "\\PC{0,30}".prop_map(ByteString::from)
}

fn methods() -> impl Strategy<Value = MethodName> {
    "[A-Za-z_][A-Za-z0-9_]{0,9}(\\.[A-Za-z_][A-Za-z0-9_]{0,9}){1,3}".prop_map(|name| MethodName::parse(name).unwrap())
}

/// Bodies: mostly small, sometimes around the size above which they get a message of their own.
fn bodies() -> impl Strategy<Value = Bytes> {
    let small = vec(any::<u8>(), 0..300);
    let large = (BODY_INLINE_BYTES_MAX - 1..BODY_INLINE_BYTES_MAX + 2).prop_map(|len| vec![7; len]);
    prop_oneof![39 => small, 1 => large].prop_map(Bytes::from)
}

/// Extension pairs with values of different types.
fn extensions() -> impl Strategy<Value = Extensions> {
    let pairs = proptest::collection::btree_map(64..=u64::MAX, (0..5_u8, 0..20_u8), 0..20);
    pairs.prop_map(|pairs| {
        let mut out = Vec::new();
        for (key, (form, size)) in pairs {
            minicbor::Encoder::new(&mut out).u64(key).unwrap();
            let mut value = minicbor::Encoder::new(&mut out);
            match form {
                0 => value.u8(size).map(drop).unwrap(),
                1 => value.str(&"e".repeat(size.into())).map(drop).unwrap(),
                2 => value.array(1).and_then(|array| array.i8(-1)).map(drop).unwrap(),
                3 => value.map(1).and_then(|map| map.u8(size)?.bool(true)).map(drop).unwrap(),
                _ => value.null().map(drop).unwrap(),
            }
        }
        Bytes::from(out).into()
    })
}

fn failures(of_call: bool) -> impl Strategy<Value = Box<Failure>> {
    let code = (1..17_u64).prop_map(Code::from_number);
    let executed = prop_oneof![Just(Executed::No), Just(Executed::Yes), Just(Executed::Maybe)];
    let attempt = if of_call { any::<u32>().boxed() } else { Just(0).boxed() };
    let worker = if of_call { texts().boxed() } else { Just(ByteString::new()).boxed() };
    (code, executed, texts(), texts(), bodies(), attempt, worker, milliseconds()).prop_map(
        |(code, executed, type_name, message, details, attempt, worker, retry_after)| {
            Box::new(Failure {
                type_name,
                details,
                attempt,
                worker,
                retry_after,
                ..Failure::new(code, executed, message)
            })
        },
    )
}

fn streams() -> impl Strategy<Value = Streams> {
    (0..8_u64).prop_map(|bits| Streams::from_bits(bits).unwrap())
}

fn items() -> impl Strategy<Value = Envelope> {
    (numbers(), numbers(), option::of(numbers()), 1..=BATCH_ITEMS_MAX, bodies()).prop_map(
        |(number, sequence, latest, items, body)| {
            Envelope::Items(Items { number, sequence, latest, batch: ItemBatch::new(items, body) })
        },
    )
}

fn ends() -> impl Strategy<Value = Envelope> {
    (numbers(), numbers()).prop_map(|(number, items)| Envelope::End(End { number, items }))
}

fn stream_credits() -> impl Strategy<Value = Envelope> {
    (numbers(), any::<u32>(), numbers()).prop_map(|(number, items, bytes)| {
        Envelope::StreamCredit(StreamCredit { number, credit: ItemCredit { items, bytes } })
    })
}

fn progress() -> impl Strategy<Value = Envelope> {
    (numbers(), bodies()).prop_map(|(number, body)| Envelope::Progress(number, body))
}

fn keys() -> impl Strategy<Value = AffinityKey> {
    "\\PC{1,32}".prop_map(|text| AffinityKey::parse(text).unwrap())
}

fn requests() -> impl Strategy<Value = Envelope> {
    let effect = option::of(prop_oneof![Just(Effect::Read), Just(Effect::Idempotent), Just(Effect::Once)]);
    let priority = (0..3_u64).prop_map(|number| Priority::from_number(number).unwrap());
    let flags = (0..16_u64).prop_map(|bits| RequestFlags::from_bits(bits).unwrap());
    (
        numbers(),
        methods(),
        milliseconds(),
        (effect, priority),
        flags,
        option::of(keys().prop_map(Box::new)),
        streams(),
        numbers().prop_map(CallNumber),
        extensions(),
        bodies(),
    )
        .prop_map(
            |(number, method, timeout, (effect, priority), flags, key, streams, done_below, extensions, body)| {
                let number = CallNumber(number);
                let streams = if flags.cast { Streams::NONE } else { streams };
                Envelope::Request(Request {
                    number,
                    method,
                    timeout,
                    effect,
                    priority,
                    flags,
                    key,
                    streams,
                    done_below,
                    extensions,
                    body,
                })
            },
        )
}

fn dispatches() -> impl Strategy<Value = Envelope> {
    let id = (any::<u32>(), numbers()).prop_map(|(caller, number)| CallId { caller, number: CallNumber(number) });
    let name = option::of("[a-z]{1,128}").prop_map(|name| name.map(|name| Arc::new(ByteString::from(name))));
    let call = (id, name);
    let affinity = option::of((keys(), numbers()).prop_map(|(key, fence)| Box::new(Affinity { key, fence })));
    (numbers(), methods(), milliseconds(), any::<u32>(), call, affinity, streams(), extensions(), bodies()).prop_map(
        |(number, method, timeout, attempt, (call, caller_name), affinity, streams, extensions, body)| {
            let number = DispatchNumber(number);
            Envelope::Dispatch(Dispatch {
                number,
                method,
                timeout,
                attempt,
                call,
                caller_name,
                affinity,
                streams,
                extensions,
                body,
            })
        },
    )
}

fn replies(credit: impl Strategy<Value = Option<Credit>>) -> impl Strategy<Value = Envelope> {
    let outcome = prop_oneof![bodies().prop_map(Ok), failures(true).prop_map(Err)];
    let time = option::of(numbers().prop_map(Duration::from_micros));
    (numbers(), outcome, credit, time, extensions()).prop_map(|(number, outcome, credit, time, extensions)| {
        // As documented, it is sent with a result that has no extensions.
        let handler_time = time.filter(|_| outcome.is_ok() && extensions.is_empty());
        Envelope::Reply(Reply { number, outcome, credit, handler_time, extensions })
    })
}

fn goodbyes() -> impl Strategy<Value = Envelope> {
    option::of(failures(false)).prop_map(Envelope::Goodbye)
}

/// Envelopes to the broker.
fn to_broker() -> impl Strategy<Value = Envelope> {
    let credit = (any::<u32>(), any::<u32>()).prop_map(|(calls, offer)| Credit { calls, bytes: 0, offer });
    prop_oneof![
        requests(),
        replies(Just(None)),
        goodbyes(),
        bodies().prop_map(Envelope::Hello),
        bodies().prop_map(Envelope::Proof),
        bodies().prop_map(Envelope::Register),
        numbers().prop_map(|number| Envelope::Started(DispatchNumber(number))),
        numbers().prop_map(|number| Envelope::Handback(DispatchNumber(number))),
        credit.prop_map(Envelope::Credit),
        (any::<u32>(), keys()).prop_map(|(offer, key)| Envelope::KeyFreed(KeyFreed { offer, key })),
        items(),
        ends(),
        stream_credits(),
        progress(),
        (numbers(), done_below()).prop_map(|(number, done_below)| Envelope::Cancel(Cancel { number, done_below })),
        (numbers(), done_below()).prop_map(|(number, done_below)| Envelope::Ping(Ping { number, done_below })),
        numbers().prop_map(Envelope::Pong),
        Just(Envelope::Drain),
    ]
}

/// Envelopes to a client or worker.
fn to_peer() -> impl Strategy<Value = Envelope> {
    let credit = || (1..=u32::MAX, numbers()).prop_map(|(calls, bytes)| Credit { calls, bytes, offer: 0 });
    prop_oneof![
        dispatches(),
        replies(option::of(credit())),
        goodbyes(),
        bodies().prop_map(Envelope::Challenge),
        bodies().prop_map(Envelope::Welcome),
        credit().prop_map(Envelope::Credit),
        items(),
        ends(),
        stream_credits(),
        progress(),
        numbers().prop_map(|number| Envelope::Cancel(Cancel { number, done_below: None })),
        numbers().prop_map(|number| Envelope::Ping(Ping { number, done_below: None })),
        numbers().prop_map(Envelope::Pong),
    ]
}

/// A recipient, and envelopes for it.
fn traffic() -> impl Strategy<Value = (Recipient, Vec<Envelope>)> {
    prop_oneof![
        vec(to_broker(), 1..100).prop_map(|envelopes| (Recipient::Broker, envelopes)),
        vec(to_peer(), 1..100).prop_map(|envelopes| (Recipient::Peer, envelopes)),
    ]
}

/// Checks that reading `frames` does not panic, and that what was read can be written and read again.
fn check_readable(frames: &[Bytes], recipient: Recipient) -> Result<(), TestCaseError> {
    let read: Vec<_> = read(frames, recipient).filter_map(Result::ok).collect();
    let again: Vec<_> = read_all(&bundled(&read), recipient).into_iter().map(Result::unwrap).collect();
    prop_assert_eq!(read, again);
    Ok(())
}

proptest! {
    #[test]
    fn written_envelopes_are_read_back((recipient, envelopes) in traffic()) {
        let read: Result<Vec<_>, _> = read_all(&bundled(&envelopes), recipient).into_iter().collect();
        prop_assert_eq!(read, Ok(envelopes));
    }

    #[test]
    fn read_envelopes_are_written_as_the_same_bytes((recipient, envelopes) in traffic()) {
        let messages = bundled(&envelopes);
        let read: Vec<_> = read_all(&messages, recipient).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(bundled(&read), messages);
    }

    #[test]
    fn reading_arbitrary_bytes_does_not_panic(frames in vec(vec(any::<u8>(), 0..200), 0..4), to_broker: bool) {
        let frames: Vec<_> = frames.into_iter().map(Bytes::from).collect();
        check_readable(&frames, if to_broker { Recipient::Broker } else { Recipient::Peer })?;
    }

    #[test]
    fn reading_modified_bytes_does_not_panic(
        (recipient, envelopes) in traffic(),
        changes in vec((any::<Index>(), any::<u8>()), 1..5),
        cut in option::of(any::<Index>()),
    ) {
        for frames in bundled(&envelopes) {
            let mut first = frames.first.to_vec();
            for (place, byte) in &changes {
                let place = place.index(first.len());
                first[place] = *byte;
            }
            first.truncate(cut.map_or(first.len(), |cut| cut.index(first.len())));
            let frames: Vec<_> = std::iter::once(first.into()).chain(frames.large).collect();
            check_readable(&frames, recipient)?;
        }
    }

    #[test]
    fn an_invalid_envelope_does_not_affect_the_others(
        before in vec(to_broker(), 0..5),
        after in vec(to_broker(), 0..5),
        kind in 19..24_u8,
    ) {
        let small = |envelope: &Envelope| envelope.body().is_none_or(|body| body.len() < 1_000);
        let (before, after): (Vec<_>, Vec<_>) =
            (before.into_iter().filter(small).collect(), after.into_iter().filter(small).collect());
        let first = |envelopes: &[Envelope]| bundled(envelopes).pop().map_or(Bytes::new(), |frames| frames.first);
        let frame = Bytes::from([&first(&before)[..], &[0xa1, 0, kind, 0x40], &first(&after)[..]].concat());
        let read: Vec<_> = read(&[frame], Recipient::Broker).collect();
        prop_assert_eq!(read.len(), before.len() + 1 + after.len());
        prop_assert!(read[before.len()].is_err());
        prop_assert!(read.into_iter().filter_map(Result::ok).eq(before.into_iter().chain(after)));
    }
}
