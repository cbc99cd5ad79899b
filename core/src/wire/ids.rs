//! The ids of connections, calls, sessions and brokers.

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
    /// The id of a connection in its driver. Never reused while the driver runs, and never sent.
    ConnectionId
}
number! {
    /// The number of a call in its client's session: counts up from 1, and is never reused.
    CallNumber
}
number! {
    /// The number of a dispatch to a worker. The broker assigns it, and never reuses it while it runs.
    DispatchNumber
}
number! {
    /// The number of a connection in its session: counts up from 1. The highest one owns the session.
    ConnectionNumber
}

uuid! {
    /// The id of a session: one run of a client or worker, across reconnects. It is random and secret, because a peer that knows it can
    /// take over the session. So it is never logged as a whole; see [`SessionId::prefix`].
    SessionId
}
uuid! {
    /// The id of a broker, which stays the same across restarts.
    BrokerId
}
uuid! {
    /// The id of one run of a broker. A new id means that the broker was restarted and has lost its memory.
    StartId
}

impl SessionId {
    /// Returns the first 32 of the 122 random bits, which may be shown. The others still cannot be guessed.
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

/// Writes 16 bytes as a UUID.
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

/// The id of a call for logs and operators, such as `3f9a1c02-17`. It is the same at the client, the broker and the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The prefix of the client's session ([`SessionId::prefix`]).
    pub caller: u32,
    /// The number of the call in that session.
    pub number: CallNumber,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.caller, self.number)
    }
}

/// A text is not a call id: 8 hexadecimal digits, a hyphen and a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a call id must be eight hexadecimal digits, a hyphen and a number, such as 3f9a1c02-17")]
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
    fn a_call_id_is_parsed_back_from_its_text() {
        let id = CallId { caller: 0x3f9a_1c02, number: CallNumber(17) };
        assert_eq!(id.to_string(), "3f9a1c02-17");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("3f9a1c02".parse::<CallId>(), Err(CallIdError));
        assert_eq!("3f-17".parse::<CallId>(), Err(CallIdError));
    }

    #[test]
    fn debug_output_shows_only_the_prefix_of_a_session() {
        let session = SessionId([0xab; 16]);
        assert_eq!(format!("{session:?}"), "SessionId(abababab..)");
    }
}
