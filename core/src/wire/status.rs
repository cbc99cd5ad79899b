//! The failure of a call: its code, whether the handler ran, and texts for people.

use std::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use super::ids::CallId;
use crate::text::HumanDuration;

/// A status code, with the numbers and meanings of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    /// The caller cancelled the call, or its client was closed.
    Cancelled = 1,
    /// An application error without a code.
    Unknown = 2,
    /// The arguments do not fit the method.
    InvalidArgument = 3,
    /// The deadline passed before the outcome was known.
    DeadlineExceeded = 4,
    /// A requested entity was not found. The library itself never sends it.
    NotFound = 5,
    /// An entity to create exists already. The library itself never sends it.
    AlreadyExists = 6,
    /// The caller is authenticated and does not have the permission.
    PermissionDenied = 7,
    /// A queue is full or a limit is reached. A later retry may succeed.
    ResourceExhausted = 8,
    /// The system is not in the state that the operation requires.
    FailedPrecondition = 9,
    /// The operation was aborted because of a conflict, for example with a concurrent call.
    Aborted = 10,
    /// The operation exceeds the valid range.
    OutOfRange = 11,
    /// The method, the kind or the key is unknown.
    Unimplemented = 12,
    /// The handler panicked, or an invariant of the library was violated.
    Internal = 13,
    /// No worker is available, or the worker of the call was lost.
    Unavailable = 14,
    /// Data was lost and cannot be recovered.
    DataLoss = 15,
    /// The caller is not authenticated.
    Unauthenticated = 16,
}

impl Code {
    /// All codes, in the order of their numbers.
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

    /// Returns the number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the code of this number. As in gRPC, a number without a meaning is [`Code::Unknown`]. So is zero (OK), which is not an
    /// error code.
    pub fn from_number(number: u64) -> Code {
        let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
        Code::ALL.get(at).copied().unwrap_or(Code::Unknown)
    }

    /// Returns the name as in gRPC.
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

/// Whether the handler of a failed call ran. It determines whether a retry is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Executed {
    /// The call never reached a worker, or was handed back before it started.
    No = 0,
    /// The worker reported that the handler started.
    Yes = 1,
    /// The handler may have run: all other cases.
    Maybe = 2,
}

impl Executed {
    /// Returns the number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the value of this number, if it has one.
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

/// The failure of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status code, which programs act on.
    pub code: Code,
    /// Whether the handler ran.
    pub executed: Executed,
    /// The type name of the error: of the application (`DivisionByZero`) or the library (`ArgumentError`). May be empty.
    pub type_name: ByteString,
    /// A message for people.
    pub message: ByteString,
    /// One encoded CBOR item with the details of the error, or empty.
    pub details: Bytes,
    /// The number of the attempt, from 1. 0 if the call was never sent to a worker.
    pub attempt: u32,
    /// The instance name of the worker that the call was last sent to. May be empty.
    pub worker: ByteString,
    /// The delay after which a retry makes sense, if the broker can estimate it.
    pub retry_after: Option<Duration>,
    /// How the time of the call was spent, as far as it is known. Zero for a goodbye.
    pub timings: Timings,
    /// The id of the call, if it is known. It is not sent, because the recipient has it.
    pub call: Option<CallId>,
}

/// How the time of a call was spent. An unknown duration is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// The time in the client, until the call was sent.
    pub client: Duration,
    /// The time at the broker, waiting for a worker.
    pub queued: Duration,
    /// The time at workers, in all attempts together.
    pub running: Duration,
}

impl Failure {
    /// Creates a failure with a code, whether the handler ran, and a message.
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
        let (client, queued, running) = (HumanDuration(*client), HumanDuration(*queued), HumanDuration(*running));
        write!(f, "{client} in the client, {queued} waiting at the broker, {running} at workers")
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
        // The logs of the worker and the broker have the same id.
        if let Some(call) = self.call.filter(|_| self.attempt > 0) {
            write!(f, ", call {call}")?;
        }
        if let Some(after) = self.retry_after {
            write!(f, ", try again in {}", HumanDuration(after))?;
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
