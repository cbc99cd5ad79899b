//! The outcome of a call: one encoded CBOR item, or a failure.

use bytes::Bytes;

use crate::wire::{
    extensions::Extensions,
    limits::{BODY_INLINE_BYTES_MAX, OUTCOME_OVERHEAD_BYTES},
    status::{Code, Executed, Failure},
};

/// How a call ended.
pub(crate) type Outcome = Result<Bytes, Box<Failure>>;

/// Returns the outcome in memory of its own if it is small: a slice of a read buffer would keep the whole buffer alive.
pub(crate) fn detached(outcome: &Outcome) -> Outcome {
    match outcome {
        Ok(body) if body.len() <= BODY_INLINE_BYTES_MAX => Ok(copied(body)),
        Ok(body) => Ok(body.clone()),
        Err(failure) => Err(Box::new(Failure {
            type_name: failure.type_name.to_string().into(),
            message: failure.message.to_string().into(),
            details: copied(&failure.details),
            worker: failure.worker.to_string().into(),
            ..**failure
        })),
    }
}

/// Returns a copy of the bytes; an empty one needs no allocation.
pub(crate) fn copied(bytes: &Bytes) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(bytes) }
}

/// Returns the bytes of the outcome's variable parts.
pub(crate) fn size_of(outcome: &Outcome) -> usize {
    match outcome {
        Ok(body) => body.len(),
        Err(failure) => failure.type_name.len() + failure.message.len() + failure.details.len(),
    }
}

/// Returns the bytes that a cached outcome is accounted for, its reply's extensions included.
pub(crate) fn cached_bytes(outcome: &Outcome, extensions: &Extensions) -> usize {
    OUTCOME_OVERHEAD_BYTES + size_of(outcome) + extensions.len()
}

/// Returns the outcome, or a failure if its body is larger than the client accepts.
pub(crate) fn fitting(outcome: Outcome, max: usize) -> Outcome {
    let (bytes, executed) = match &outcome {
        Ok(body) => (body.len(), Executed::Yes),
        Err(failure) => (failure.details.len(), failure.executed),
    };
    if bytes <= max {
        return outcome;
    }
    let text = format!("the outcome has {bytes} bytes, and this client accepts at most {max}");
    Err(Box::new(Failure::new(Code::ResourceExhausted, executed, text)))
}
