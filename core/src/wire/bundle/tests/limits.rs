//! Tests of the rules of bundles and of the limits of envelopes.

use std::time::Duration;

use bytestring::ByteString;

use super::{
    super::super::{
        envelope::{Ping, Reply},
        limits::{
            BODY_INLINE_BYTES_MAX, BUNDLE_BYTES_MAX, BUNDLE_ENVELOPES_MAX, EXTENSION_BYTES_MAX, EXTENSION_KEYS_MAX,
            FAILURE_MESSAGE_BYTES_MAX, FAILURE_TYPE_BYTES_MAX, HEADER_BYTES_MAX, NAME_BYTES_MAX,
        },
        status::{Code, Executed, Failure},
    },
    *,
};

#[test]
fn an_empty_bundler_has_no_messages() {
    let mut bundler = Bundler::new();
    assert!(bundler.is_empty());
    assert_eq!((bundler.len_bytes(), bundler.take().count()), (0, 0));
}

#[test]
fn a_bundler_is_empty_after_its_messages_were_taken() {
    let mut bundler = Bundler::new();
    for number in 0..3 {
        bundler.push(&request(number, 10));
        bundler.push(&request(number, BODY_INLINE_BYTES_MAX + 1));
        let bytes = bundler.len_bytes();
        let messages: Vec<_> = bundler.take().collect();
        assert_eq!(messages.iter().map(Frames::len_bytes).sum::<usize>(), bytes);
        assert_eq!(messages.len(), 2);
        assert!(bundler.is_empty());
        assert_eq!(bundler.len_bytes(), 0);
    }
}

#[test]
fn a_bundle_has_at_most_64_envelopes() {
    let pings: Vec<_> = (0..130).map(|number| Envelope::Ping(Ping { number, done_below: None })).collect();
    let messages = bundled(&pings);
    let counts: Vec<_> = messages.iter().map(|frames| read(&frames.to_vec(), Recipient::Peer).count()).collect();
    assert_eq!(counts, [BUNDLE_ENVELOPES_MAX, BUNDLE_ENVELOPES_MAX, 2]);
}

#[test]
fn a_bundle_has_at_most_64_kib() {
    let requests: Vec<_> = (0..50).map(|number| request(number, 5_000 + number as usize)).collect();
    let messages = bundled(&requests);
    assert!(messages.iter().all(|frames| frames.len_bytes() <= BUNDLE_BYTES_MAX));
    assert_eq!(messages.len(), 50_usize.div_ceil(BUNDLE_BYTES_MAX / 5_100));
    assert!(read_all(&messages, Recipient::Broker).into_iter().map(Result::unwrap).eq(requests));
}

#[test]
fn a_large_body_gets_its_own_message_in_order_and_is_not_copied() {
    let envelopes = [request(1, 1), request(2, BODY_INLINE_BYTES_MAX + 1), request(3, BODY_INLINE_BYTES_MAX)];
    let messages = bundled(&envelopes);
    assert_eq!(messages.iter().map(|frames| frames.large.is_some()).collect::<Vec<_>>(), [false, true, false]);
    let body = envelopes[1].body().unwrap();
    assert_eq!(messages[1].large.as_ref().unwrap().as_ptr(), body.as_ptr());
    let read = read_all(&messages, Recipient::Broker);
    assert_eq!(read[1].as_ref().unwrap().body().unwrap().as_ptr(), body.as_ptr());
    assert!(read.into_iter().map(Result::unwrap).eq(envelopes));
}

#[test]
fn a_body_is_a_slice_of_its_frame_and_a_name_is_a_copy() {
    let frames = bundled([&request(1, 100)])[0].to_vec();
    let within = |bytes: &[u8]| frames[0].as_ptr_range().contains(&bytes.as_ptr());
    let Some(Ok(Envelope::Request(request))) = read(&frames, Recipient::Broker).next() else { panic!("not a request") };
    assert!(within(&request.body));
    assert!(!within(request.method.as_str().as_bytes()), "it would keep the frame alive");
}

/// Creates a bundle of bodies of these sizes in one frame, even if it exceeds the limits of a bundle.
fn one_frame(bodies: &[usize]) -> Bytes {
    let one = |&bytes: &usize| {
        let header = bundled([&request(1, BUNDLE_BYTES_MAX)]).remove(0).first;
        let head = match u16::try_from(bytes) {
            Ok(short) => [&[0x59][..], &short.to_be_bytes()].concat(),
            Err(_) => [&[0x5a][..], &u32::try_from(bytes).unwrap().to_be_bytes()].concat(),
        };
        [&header[..], &head, &vec![0; bytes]].concat()
    };
    bodies.iter().flat_map(one).collect::<Vec<_>>().into()
}

#[test]
fn a_body_keeps_at_most_a_bundle_or_twice_its_size_alive() {
    let within = |bodies: &[usize]| {
        let frame = one_frame(bodies);
        let read = read(std::slice::from_ref(&frame), Recipient::Broker).next().unwrap().unwrap();
        assert_eq!(read.body().unwrap().len(), bodies[0]);
        frame.as_ptr_range().contains(&read.body().unwrap().as_ptr())
    };
    let small = BODY_INLINE_BYTES_MAX + 1;
    assert!(!within(&[small, 16 * BUNDLE_BYTES_MAX]), "it would keep a mebibyte alive");
    assert!(within(&[16 * BUNDLE_BYTES_MAX, small]));
    assert!(within(&[small, small]), "an ordinary bundle is not copied");
}

/// Creates a failure with each text beyond its limit, in characters of three bytes.
fn endless_failure() -> Failure {
    let endless = ByteString::from("\u{20ac}".repeat(HEADER_BYTES_MAX));
    Failure {
        type_name: endless.clone(),
        worker: endless.clone(),
        attempt: u32::MAX,
        retry_after: Some(Duration::MAX),
        ..Failure::new(Code::Internal, Executed::Maybe, endless)
    }
}

#[test]
fn long_texts_are_cut_at_a_character_when_written() {
    let reply = Envelope::Reply(Reply {
        number: u64::MAX,
        outcome: Err(Box::new(endless_failure())),
        credit: None,
        handler_time: None,
        extensions: Default::default(),
    });
    let read = read_all(&bundled([&reply]), Recipient::Broker).remove(0);
    let Ok(Envelope::Reply(Reply { outcome: Err(failure), .. })) = read else { panic!("no failed reply: {read:?}") };
    assert_eq!(failure.message.len(), FAILURE_MESSAGE_BYTES_MAX / 3 * 3);
    assert_eq!(failure.type_name.len(), FAILURE_TYPE_BYTES_MAX / 3 * 3);
    assert_eq!(failure.worker.len(), NAME_BYTES_MAX / 3 * 3);
    assert_eq!(failure.retry_after, Some(Duration::from_millis(u64::MAX)));
}

#[test]
fn the_remaining_time_is_rounded_up() {
    for (span, milliseconds) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (1_999_999_999, 2_000)] {
        let Envelope::Request(mut call) = request(1, 0) else { unreachable!() };
        call.timeout = Some(Duration::from_nanos(span));
        let read = read_all(&bundled([&Envelope::Request(call)]), Recipient::Broker).remove(0);
        let Ok(Envelope::Request(call)) = read else { panic!("no request: {read:?}") };
        assert_eq!(call.timeout, Some(Duration::from_millis(milliseconds)));
    }
}

/// Creates the maximum number of extension pairs, with the maximum size.
fn most_extensions() -> Bytes {
    let pairs = (0..EXTENSION_KEYS_MAX as u8).flat_map(|at| [0x18, 64 + at, 0]);
    let mut pairs: Vec<_> = pairs.collect();
    let fill = EXTENSION_BYTES_MAX - (pairs.len() - 1) - 3;
    pairs.pop();
    pairs.extend([0x59, (fill >> 8) as u8, fill as u8]);
    pairs.resize(EXTENSION_BYTES_MAX, 0);
    pairs.into()
}

#[test]
fn a_header_that_the_library_writes_always_fits() {
    let reply = Envelope::Reply(Reply {
        number: u64::MAX,
        outcome: Err(Box::new(endless_failure())),
        credit: Some(super::super::super::envelope::Credit { calls: u32::MAX, bytes: u64::MAX, offer: 0 }),
        handler_time: None,
        extensions: most_extensions().into(),
    });
    let read = read_all(&bundled([&reply]), Recipient::Peer).remove(0);
    let Ok(Envelope::Reply(reply)) = read else { panic!("no reply: {read:?}") };
    assert_eq!(&*reply.extensions, &*most_extensions());
}

/// Creates a header of exactly this size, most of it an extension that is too long, with an empty body.
fn long_header(bytes: usize) -> Bytes {
    let start = b"\xa2\x00\x11\x18\x46\x59";
    let fill = bytes - start.len() - 2;
    [&start[..], &[(fill >> 8) as u8, fill as u8], &vec![0; fill], &[0x40]].concat().into()
}

#[test]
fn a_header_of_more_than_4096_bytes_makes_the_rest_of_its_bundle_unreadable() {
    let ping = bundled([&Envelope::Drain]).remove(0).first;
    let reasons = |bytes: usize| {
        let frame = Bytes::from([&long_header(bytes)[..], &ping[..]].concat());
        let read: Vec<_> = read(&[frame], Recipient::Broker).collect();
        (read.len(), read[0].as_ref().unwrap_err().reason.to_string())
    };
    let too_long = |what: &str| format!("the extensions of {what} must not exceed 1024 bytes");
    assert_eq!(reasons(HEADER_BYTES_MAX), (2, too_long("a header")));
    assert_eq!(reasons(HEADER_BYTES_MAX + 1), (1, "a header must not exceed 4096 bytes".to_owned()));
}

#[test]
fn a_bundle_of_more_than_64_kib_is_read() {
    let large = request(1, BUNDLE_BYTES_MAX * 2);
    let frames = bundled([&large]).remove(0);
    let body = frames.large.unwrap();
    let head = [0x5a, 0, 2, 0, 0];
    let frame = Bytes::from([&frames.first[..], &head, &body, &frames.first[..], &[0x40]].concat());
    let read: Vec<_> = read(&[frame], Recipient::Broker).map(Result::unwrap).collect();
    assert_eq!(read, [large, request(1, 0)]);
}

#[test]
fn an_envelope_error_shows_the_kind_the_number_and_the_reason() {
    let Envelope::Request(mut call) = request(17, 0) else { unreachable!() };
    call.done_below = CallNumber(1);
    let frames = bundled([&Envelope::Request(call)]).remove(0);
    let error = read(&frames.to_vec(), Recipient::Peer).next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "rejected request 17: key 6 (done_below) is not allowed in this kind of envelope");
}
