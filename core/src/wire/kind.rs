//! The registry of envelope kinds.

use std::fmt;

/// The kind of an envelope, with its number on the wire. Numbers 19 to 63 are free for later kinds. The response to an unknown
/// kind is UNIMPLEMENTED, if a response is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The first envelope of a client or worker on a connection.
    Hello = 0,
    /// The broker requests a proof.
    Challenge = 1,
    /// The response to a challenge.
    Proof = 2,
    /// The broker accepts the peer.
    Welcome = 3,
    /// A worker registers its services.
    Register = 4,
    /// A call, from client to broker or from broker to worker.
    Request = 5,
    /// The handler of a call has started.
    Started = 6,
    /// The outcome of a call.
    Reply = 7,
    /// An item of a stream.
    Item = 8,
    /// The end of the caller's items.
    End = 9,
    /// Credit for calls, slots, or items of one stream.
    Credit = 10,
    /// A progress report of a handler.
    Progress = 11,
    /// The caller cancels a call.
    Cancel = 12,
    /// A worker hands back a call that it has not started.
    Handback = 13,
    /// The broker has stored a call (reserved).
    Accepted = 14,
    /// A worker accepts no more calls.
    Drain = 15,
    /// One side closes the connection. The other side acknowledges it with a goodbye, after everything before it.
    Goodbye = 16,
    /// A request for a pong.
    Ping = 17,
    /// The response to a ping.
    Pong = 18,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 19] = [
        Kind::Hello,
        Kind::Challenge,
        Kind::Proof,
        Kind::Welcome,
        Kind::Register,
        Kind::Request,
        Kind::Started,
        Kind::Reply,
        Kind::Item,
        Kind::End,
        Kind::Credit,
        Kind::Progress,
        Kind::Cancel,
        Kind::Handback,
        Kind::Accepted,
        Kind::Drain,
        Kind::Goodbye,
        Kind::Ping,
        Kind::Pong,
    ];

    /// Returns the kind of this number, if it has one.
    pub fn from_number(number: u64) -> Option<Kind> {
        usize::try_from(number).ok().and_then(|at| Kind::ALL.get(at).copied())
    }

    /// Returns the number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Hello => "hello",
            Kind::Challenge => "challenge",
            Kind::Proof => "proof",
            Kind::Welcome => "welcome",
            Kind::Register => "register",
            Kind::Request => "request",
            Kind::Started => "started",
            Kind::Reply => "reply",
            Kind::Item => "item",
            Kind::End => "end",
            Kind::Credit => "credit",
            Kind::Progress => "progress",
            Kind::Cancel => "cancel",
            Kind::Handback => "handback",
            Kind::Accepted => "accepted",
            Kind::Drain => "drain",
            Kind::Goodbye => "goodbye",
            Kind::Ping => "ping",
            Kind::Pong => "pong",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_number() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), at);
            assert_eq!(Kind::from_number(at as u64), Some(kind));
        }
        assert_eq!(Kind::from_number(19), None);
        assert_eq!(Kind::from_number(u64::MAX), None);
    }
}
