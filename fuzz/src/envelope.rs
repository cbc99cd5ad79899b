//! The target `envelope`: one message into the bundle reader, and back through the bundler.

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

/// The first byte says what the rest is: a body, or a message of so many frames for the broker or for a peer.
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

/// Reads a message; what could be read must survive being written.
fn check_message(frames: &[Bytes], reader: Recipient) {
    let read: Vec<_> = bundle::read(frames, reader).collect();
    // The 65th is the refusal of the rest.
    assert!(read.len() <= BUNDLE_ENVELOPES_MAX + 1, "a bundle has an end");
    for refused in read.iter().filter_map(|read| read.as_ref().err()) {
        let bytes = frames.iter().map(Bytes::len).sum::<usize>() as u64;
        assert!(refused.body_bytes <= bytes, "nobody pays for bytes that are not there");
        assert!(!refused.to_string().is_empty(), "a refusal has a reason");
    }
    let all_good = read.iter().all(Result::is_ok);
    let envelopes: Vec<_> = read.into_iter().filter_map(Result::ok).collect();
    let written = write(&envelopes);
    let again: Vec<_> = read_all(&written, reader);
    assert_eq!(envelopes, again, "what was read is written so that it is read the same");
    assert_eq!(written, write(&again), "and is then written in the same bytes");
    if let ([original], [one], true) = (frames, &written[..], all_good) {
        check_spelling(original, one, &envelopes);
    }
    envelopes.iter().for_each(check_envelope);
}

/// A header has one spelling, but for keys that say what their absence says: those are left out.
fn check_spelling(original: &Bytes, written: &Frames, envelopes: &[Envelope]) {
    // A code that is not known is read as UNKNOWN, and written as that.
    let unknown = |envelope: &Envelope| match envelope {
        Envelope::Reply(reply) => reply.outcome.as_ref().is_err_and(|failure| failure.code == Code::Unknown),
        Envelope::Goodbye(Some(failure)) => failure.code == Code::Unknown,
        _ => false,
    };
    if written.large.is_some() || envelopes.iter().any(unknown) {
        return;
    }
    assert!(written.first.len() <= original.len(), "nothing is written longer than it was read");
    assert!(written.first.len() < original.len() || written.first == *original, "a header has one spelling");
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
    assert!(extensions.len() <= EXTENSION_BYTES_MAX, "extensions are limited");
}

/// What can be read as a type is written so that it is read the same.
fn check_typed<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(body: &Bytes) {
    let Ok(value) = body::decode::<T>(body) else { return };
    assert!(body::is_well_formed(body), "what is read is well-formed");
    let written = body::encode(&value).expect("what was read can be written");
    assert_eq!(body::decode::<T>(&written).as_ref(), Ok(&value), "and is read the same");
}

fn write(envelopes: &[Envelope]) -> Vec<Frames> {
    let mut bundler = Bundler::new();
    envelopes.iter().for_each(|envelope| bundler.push(envelope));
    let promised = bundler.len_bytes();
    let messages: Vec<Frames> = bundler.take().collect();
    assert_eq!(promised, messages.iter().map(Frames::len_bytes).sum::<usize>(), "the bundler counts its bytes");
    let large = |frames: &Frames| frames.large.as_ref().is_none_or(|body| body.len() > BODY_INLINE_BYTES_MAX);
    assert!(messages.iter().all(large), "only a large body has a frame of its own");
    messages
}

fn read_all(messages: &[Frames], reader: Recipient) -> Vec<Envelope> {
    let read = |frames: &Frames| {
        let read: Result<Vec<_>, _> = bundle::read(&frames.to_vec(), reader).collect();
        read.expect("what we write can be read")
    };
    messages.iter().flat_map(read).collect()
}
