//! The names of things on the wire.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "serde_bytes::ByteArray<16>", into = "serde_bytes::ByteArray<16>")]
        pub struct $name(pub [u8; 16]);

        impl From<serde_bytes::ByteArray<16>> for $name {
            fn from(bytes: serde_bytes::ByteArray<16>) -> Self {
                $name(bytes.into_array())
            }
        }

        impl From<$name> for serde_bytes::ByteArray<16> {
            fn from(id: $name) -> Self {
                serde_bytes::ByteArray::new(id.0)
            }
        }
    };
}

number! {
    /// One connection as a driver knows it. Never reused in one life of the driver, never on the wire.
    ConnectionId
}
number! {
    /// A call's number in its client's session: counts up from 1, never reused.
    CallNumber
}
number! {
    /// The number of one dispatch to a worker: the broker's own, never reused in one start of the broker.
    DispatchNumber
}
number! {
    /// Which connection of a session this is: counts up from 1. The highest one owns the session.
    ConnectionNumber
}

uuid! {
    /// One life of a client or worker, kept across reconnects. Random, and secret to its owner: who knows it can take
    /// the session over. It is therefore never shown or logged whole; see [`SessionId::prefix`].
    SessionId
}
uuid! {
    /// A broker, for as long as its operator calls it the same broker.
    BrokerId
}
uuid! {
    /// One start of a broker. A new one means that the broker's memory is gone.
    StartId
}

impl SessionId {
    /// The part that may be shown: the first 32 of 122 random bits. What is left is still beyond guessing.
    pub fn prefix(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:08x}..)", self.prefix())
    }
}

/// Writes 16 bytes the way UUIDs are written.
fn hyphenated(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

macro_rules! display_as_uuid {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hyphenated(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

display_as_uuid!(BrokerId);
display_as_uuid!(StartId);

/// A call as people see it: `3f9a1c02-17`, the same at the client, the broker and the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The showable part of the client's session ([`SessionId::prefix`]).
    pub caller: u32,
    /// The call's number in that session.
    pub number: CallNumber,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.caller, self.number)
    }
}

/// The text is not `8 hex digits, a hyphen, a number`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a call id looks like 3f9a1c02-17: eight hexadecimal digits, a hyphen, a number")]
pub struct CallIdError;

impl From<ParseIntError> for CallIdError {
    fn from(_: ParseIntError) -> Self {
        CallIdError
    }
}

impl FromStr for CallId {
    type Err = CallIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (caller, number) = text.split_once('-').ok_or(CallIdError)?;
        if caller.len() != 8 {
            return Err(CallIdError);
        }
        Ok(CallId { caller: u32::from_str_radix(caller, 16)?, number: CallNumber(number.parse()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_reads_back_as_it_was_shown() {
        let id = CallId { caller: 0x3f9a_1c02, number: CallNumber(17) };
        assert_eq!(id.to_string(), "3f9a1c02-17");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("3f9a1c02".parse::<CallId>(), Err(CallIdError));
        assert_eq!("3f-17".parse::<CallId>(), Err(CallIdError));
    }

    #[test]
    fn a_session_never_shows_itself_whole() {
        let session = SessionId([0xab; 16]);
        assert_eq!(format!("{session:?}"), "SessionId(abababab..)");
    }
}
