//! The registry of envelope kinds.

use std::fmt;

/// What an envelope is. The number is the wire's; numbers 19 to 63 are free for later kinds, and an unknown one is
/// answered UNIMPLEMENTED where it can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// First word of a client or worker on a connection.
    Hello = 0,
    /// The broker asks for a proof of identity.
    Challenge = 1,
    /// The answer to a challenge.
    Proof = 2,
    /// The broker lets the peer in.
    Welcome = 3,
    /// A worker says what it serves.
    Register = 4,
    /// A call, from client to broker or from broker to worker.
    Request = 5,
    /// A worker says that the handler has begun.
    Started = 6,
    /// A call's outcome.
    Reply = 7,
    /// An item of a stream.
    Item = 8,
    /// The caller sends no more items.
    End = 9,
    /// Room to send more: calls, or items of one stream.
    Credit = 10,
    /// How far a handler is.
    Progress = 11,
    /// The caller is no longer interested.
    Cancel = 12,
    /// A worker gives a call back that it has not begun.
    Handback = 13,
    /// The broker has a call safe (reserved).
    Accepted = 14,
    /// A worker takes no more calls.
    Drain = 15,
    /// A peer leaves, or is sent away; acknowledged by a goodbye after everything before it.
    Goodbye = 16,
    /// Are you there?
    Ping = 17,
    /// I am.
    Pong = 18,
}

impl Kind {
    /// Every kind, in the order of their numbers.
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

    /// The kind of this number, if it has one.
    pub fn from_number(number: u64) -> Option<Kind> {
        usize::try_from(number).ok().and_then(|at| Kind::ALL.get(at).copied())
    }

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name in the specification.
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
