//! How calls end badly: code, whether the handler ran, and the words for people.

use std::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use super::ids::CallId;

/// A status code: gRPC's numbers and meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    /// The caller gave up, or its client was closed.
    Cancelled = 1,
    /// An error of the user's own that names no code.
    Unknown = 2,
    /// The arguments do not fit the method.
    InvalidArgument = 3,
    /// The time was up before the outcome was known.
    DeadlineExceeded = 4,
    /// Something that was asked for is not there. Never sent by the library itself.
    NotFound = 5,
    /// Something that was to be made is there. Never sent by the library itself.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// A queue, a limit or a memory is full; trying later may work.
    ResourceExhausted = 8,
    /// The system is not in a state in which this can be done.
    FailedPrecondition = 9,
    /// Stopped by a conflict, such as with a concurrent call.
    Aborted = 10,
    /// Past a valid range.
    OutOfRange = 11,
    /// The method, the kind or the key is not known here.
    Unimplemented = 12,
    /// The handler panicked, or a promise of ours was broken.
    Internal = 13,
    /// Nobody can serve this now, or who served it was lost.
    Unavailable = 14,
    /// Data is lost beyond recovery.
    DataLoss = 15,
    /// The caller has not proved who it is.
    Unauthenticated = 16,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Code; 16] = [
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code of this number; a number without a meaning is [`Code::Unknown`], as in gRPC. Zero (OK) is no code here.
    pub fn from_number(number: u64) -> Code {
        let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
        Code::ALL.get(at).copied().unwrap_or(Code::Unknown)
    }

    /// The name as gRPC writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a failed call's handler ran: what tells whether doing it again is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Executed {
    /// It never reached a worker, or was handed back unstarted.
    No = 0,
    /// The handler began, by the worker's word.
    Yes = 1,
    /// All else.
    Maybe = 2,
}

impl Executed {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The word of this number, if there is one.
    pub const fn from_number(number: u64) -> Option<Executed> {
        match number {
            0 => Some(Executed::No),
            1 => Some(Executed::Yes),
            2 => Some(Executed::Maybe),
            _ => None,
        }
    }
}

impl fmt::Display for Executed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Executed::No => "no",
            Executed::Yes => "yes",
            Executed::Maybe => "maybe",
        })
    }
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code to act on.
    pub code: Code,
    /// Whether the handler ran.
    pub executed: Executed,
    /// The error's type name: a user's own (`DivisionByZero`), or the library's (`ArgumentError`); empty if none.
    pub type_name: ByteString,
    /// A sentence for people.
    pub message: ByteString,
    /// One encoded CBOR item with whatever the error carries, or empty.
    pub details: Bytes,
    /// Which attempt this was, from 1; 0 if it was never sent to a worker.
    pub attempt: u32,
    /// The instance name of the worker it was last sent to; empty if none.
    pub worker: ByteString,
    /// When trying again makes sense, where the broker knows.
    pub retry_after: Option<Duration>,
    /// Where its time went, as far as is known. Of a goodbye, nothing.
    pub timings: Timings,
    /// The call as people see it, where that is known. It is not sent: who reads the failure knows which call it is of.
    pub call: Option<CallId>,
}

/// Where a call's time went, as far as is known: zero where it is not, or where it was nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// In its client, until it was sent.
    pub client: Duration,
    /// At the broker, waiting for a worker.
    pub queued: Duration,
    /// At workers, all attempts together.
    pub running: Duration,
}

impl Failure {
    /// A failure with a code, the word on execution, and a sentence; nothing else known.
    pub fn new(code: Code, executed: Executed, message: impl Into<ByteString>) -> Failure {
        Failure {
            code,
            executed,
            type_name: ByteString::new(),
            message: message.into(),
            details: Bytes::new(),
            attempt: 0,
            worker: ByteString::new(),
            retry_after: None,
            timings: Timings::default(),
            call: None,
        }
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timings { client, queued, running } = self;
        let (client, queued, running) = (client.as_millis(), queued.as_millis(), running.as_millis());
        write!(f, "{client} ms in the client, {queued} ms waiting at the broker, {running} ms at workers")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.type_name.is_empty() {
            write!(f, " {}", self.type_name)?;
        }
        write!(f, ": {} (executed: {}", self.message, self.executed)?;
        if self.attempt > 0 {
            write!(f, ", attempt {}", self.attempt)?;
        }
        if !self.worker.is_empty() {
            write!(f, ", worker {}", self.worker)?;
        }
        if let Some(after) = self.retry_after {
            write!(f, ", try again in {} ms", after.as_millis())?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_grpc_numbers() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.number()), at + 1);
            assert_eq!(Code::from_number(at as u64 + 1), code);
        }
        assert_eq!(Code::from_number(0), Code::Unknown);
        assert_eq!(Code::from_number(17), Code::Unknown);
        assert_eq!(Code::from_number(u64::MAX), Code::Unknown);
    }
}
