//! The target `envelope`: reads one message, and writes it again.

use bytes::Bytes;
use callboard_core::{
    body,
    wire::{
        Bundler, Envelope, Frames,
        bundle::{self, Recipient},
        handshake::{Challenge, ChallengeResponse, Hello, Register, Welcome},
        limits::{BODY_INLINE_BYTES_MAX, BUNDLE_ENVELOPES_MAX, EXTENSION_BYTES_MAX},
        status::Code,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use super::{bodies::check_body, script::Script};

/// The first byte selects what the rest is: a body, or a message of one or two frames, for the broker or for a peer.
pub fn envelope(input: &[u8]) {
    let mut script = Script::new(input);
    let kind = script.byte();
    if kind & 0b100 != 0 {
        return check_body(script.rest());
    }
    let reader = if kind & 0b001 == 0 { Recipient::Broker } else { Recipient::Peer };
    if kind & 0b010 == 0 {
        check_message(&[Bytes::copy_from_slice(script.rest())], reader);
    } else {
        let first = script.bytes();
        check_message(&[first, Bytes::copy_from_slice(script.rest())], reader);
    }
}

/// Reads a message, and checks that all valid envelopes are the same after writing and reading them again.
fn check_message(frames: &[Bytes], reader: Recipient) {
    let read: Vec<_> = bundle::read(frames, reader).collect();
    // The 65th is the error for the rest.
    assert!(read.len() <= BUNDLE_ENVELOPES_MAX + 1, "a bundle is bounded");
    for error in read.iter().filter_map(|read| read.as_ref().err()) {
        let bytes = frames.iter().map(Bytes::len).sum::<usize>() as u64;
        assert!(error.body_bytes <= bytes, "no credit is used for bytes that were not sent");
        assert!(!error.to_string().is_empty(), "an error has a message");
    }
    let all_valid = read.iter().all(Result::is_ok);
    let envelopes: Vec<_> = read.into_iter().filter_map(Result::ok).collect();
    let written = write(&envelopes);
    let again: Vec<_> = read_all(&written, reader);
    assert_eq!(envelopes, again, "written envelopes are read as the same envelopes");
    assert_eq!(written, write(&again), "envelopes are written as the same bytes again");
    if let ([original], [one], true) = (frames, &written[..], all_valid) {
        check_canonical(original, one, &envelopes);
    }
    envelopes.iter().for_each(check_envelope);
}

/// Checks that a header has only one encoding, except for keys whose value is the default: writing omits them.
fn check_canonical(original: &Bytes, written: &Frames, envelopes: &[Envelope]) {
    // An unknown code is read as UNKNOWN, and written as UNKNOWN.
    let unknown = |envelope: &Envelope| match envelope {
        Envelope::Reply(reply) => reply.outcome.as_ref().is_err_and(|failure| failure.code == Code::Unknown),
        Envelope::Goodbye(Some(failure)) => failure.code == Code::Unknown,
        _ => false,
    };
    if written.large.is_some() || envelopes.iter().any(unknown) {
        return;
    }
    assert!(written.first.len() <= original.len(), "written bytes are not longer than the original");
    assert!(written.first.len() < original.len() || written.first == *original, "a header has one encoding");
}

fn check_envelope(envelope: &Envelope) {
    let extensions = match envelope {
        Envelope::Request(request) => &request.extensions,
        Envelope::Dispatch(dispatch) => &dispatch.extensions,
        Envelope::Reply(reply) => &reply.extensions,
        Envelope::Hello(body) => return check_typed::<Hello>(body),
        Envelope::Welcome(body) => return check_typed::<Welcome>(body),
        Envelope::Challenge(body) => return check_typed::<Challenge>(body),
        Envelope::Proof(body) => return check_typed::<ChallengeResponse>(body),
        Envelope::Register(body) => return check_typed::<Register>(body),
        _ => return,
    };
    assert!(extensions.len() <= EXTENSION_BYTES_MAX, "extensions are bounded");
}

/// Checks that a body of type `T` is the same after writing and reading it again.
fn check_typed<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(body: &Bytes) {
    let Ok(value) = body::decode::<T>(body) else { return };
    assert!(body::is_well_formed(body), "only a well-formed body is read");
    let written = body::encode(&value).expect("a value that was read can be written");
    assert_eq!(body::decode::<T>(&written).as_ref(), Ok(&value), "written bytes are read as the same value");
}

fn write(envelopes: &[Envelope]) -> Vec<Frames> {
    let mut bundler = Bundler::new();
    envelopes.iter().for_each(|envelope| bundler.push(envelope));
    let len_bytes = bundler.len_bytes();
    let messages: Vec<Frames> = bundler.take().collect();
    assert_eq!(len_bytes, messages.iter().map(Frames::len_bytes).sum::<usize>(), "the bundler counts its bytes");
    let large = |frames: &Frames| frames.large.as_ref().is_none_or(|body| body.len() > BODY_INLINE_BYTES_MAX);
    assert!(messages.iter().all(large), "only a large body has a frame of its own");
    messages
}

fn read_all(messages: &[Frames], reader: Recipient) -> Vec<Envelope> {
    let read = |frames: &Frames| {
        let read: Result<Vec<_>, _> = bundle::read(&frames.to_vec(), reader).collect();
        read.expect("written envelopes can be read")
    };
    messages.iter().flat_map(read).collect()
}
