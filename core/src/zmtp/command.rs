//! ZMTP commands without encryption: READY and ERROR of the handshake, PING and PONG after it.

use bytes::{BufMut, Bytes, BytesMut};

use super::{FrameHeader, FrameKind, PING_CONTEXT_BYTES_MAX, Violation};

/// The socket types that a READY may name. An error names one of them, and never contains text of an unauthenticated peer.
const SOCKET_TYPES: [&str; 19] = [
    "REQ", "REP", "DEALER", "ROUTER", "PUB", "SUB", "XPUB", "XSUB", "PUSH", "PULL", "PAIR", "STREAM", "CLIENT",
    "SERVER", "RADIO", "DISH", "CHANNEL", "PEER", "GATHER",
];

/// The socket type of one side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketType {
    /// The broker.
    Router,
    /// A client, a worker or a pool.
    Dealer,
}

impl SocketType {
    /// Returns the name on the wire.
    const fn name(self) -> &'static str {
        match self {
            SocketType::Router => "ROUTER",
            SocketType::Dealer => "DEALER",
        }
    }

    /// Returns the socket type of the other side.
    const fn peer(self) -> SocketType {
        match self {
            SocketType::Router => SocketType::Dealer,
            SocketType::Dealer => SocketType::Router,
        }
    }

    /// Returns the metadata of this side: the properties of its READY, or of its INITIATE.
    pub(super) fn metadata(self) -> BytesMut {
        let mut properties = BytesMut::new();
        put_property(&mut properties, b"Socket-Type", self.name().as_bytes());
        put_property(&mut properties, b"Identity", b"");
        properties
    }

    /// Checks the metadata of the other side. Its identity is ignored.
    ///
    /// # Errors
    /// [`Violation::MalformedCommand`]; [`Violation::SocketType`] or [`Violation::NotRouter`] for another socket type.
    pub(super) fn check_peer(self, mut properties: &[u8]) -> Result<(), Violation> {
        let mut socket_type = None;
        while !properties.is_empty() {
            let (name, value, rest) = split_property(properties).ok_or(Violation::MalformedCommand)?;
            properties = rest;
            if name.eq_ignore_ascii_case(b"Socket-Type") && socket_type.replace(value).is_some() {
                return Err(Violation::MalformedCommand);
            }
        }
        if socket_type == Some(self.peer().name().as_bytes()) {
            return Ok(());
        }
        let name = socket_type.map_or("nameless", known_socket_type);
        Err(match self {
            SocketType::Router => Violation::SocketType { name },
            SocketType::Dealer => Violation::NotRouter { name },
        })
    }
}

/// A command of the peer, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// READY, the last command of the handshake without encryption.
    Ready { metadata: &'a [u8] },
    /// ERROR: the peer ends the handshake.
    Error { reason: &'a [u8] },
    /// PING: the PONG returns its context.
    Ping { context: &'a [u8] },
    /// PONG, SUBSCRIBE and any other command, which need no action.
    Other,
}

impl<'a> Command<'a> {
    /// Parses the content of a command frame.
    ///
    /// # Errors
    /// [`Violation::MalformedCommand`].
    pub(super) fn read(content: &'a [u8]) -> Result<Command<'a>, Violation> {
        let (name, body) = split_short_string(content).ok_or(Violation::MalformedCommand)?;
        match name {
            b"" => Err(Violation::MalformedCommand),
            b"READY" => Ok(Command::Ready { metadata: body }),
            b"ERROR" => Ok(Command::Error { reason: split_short_string(body).map_or(&[], |(reason, _)| reason) }),
            b"PING" => parse_ping(body),
            _ => Ok(Command::Other),
        }
    }
}

/// Returns the READY of the broker without encryption, as a frame.
pub fn ready() -> Bytes {
    ready_of(SocketType::Router)
}

/// Returns the READY of one side without encryption, as a frame.
pub(super) fn ready_of(socket_type: SocketType) -> Bytes {
    command(b"READY", &socket_type.metadata())
}

/// Returns an ERROR with the reason why the handshake ends, as a frame. A longer reason is cut at 255 bytes.
pub fn error(reason: &str) -> Bytes {
    let end = reason.floor_char_boundary(usize::from(u8::MAX));
    let mut body = BytesMut::new();
    put_short_string(&mut body, &reason.as_bytes()[..end]);
    command(b"ERROR", &body)
}

/// Returns the PONG to a PING with this context, as the content of a command.
pub(super) fn pong(context: &[u8]) -> Bytes {
    [b"\x04PONG", context].concat().into()
}

/// Returns a command with this content, name included, as a frame.
pub(super) fn framed(content: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(16 + content.len());
    FrameHeader::write(FrameKind::Command, content.len(), &mut out);
    out.put_slice(content);
    out.freeze()
}

fn command(name: &[u8], body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(16 + name.len() + body.len());
    FrameHeader::write(FrameKind::Command, 1 + name.len() + body.len(), &mut out);
    put_short_string(&mut out, name);
    out.put_slice(body);
    out.freeze()
}

fn put_short_string(out: &mut BytesMut, text: &[u8]) {
    out.put_u8(u8::try_from(text.len()).expect("names and reasons of the broker have at most 255 bytes"));
    out.put_slice(text);
}

fn put_property(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    put_short_string(out, name);
    out.put_u32(u32::try_from(value.len()).expect("properties of the broker have a few bytes"));
    out.put_slice(value);
}

/// Splits off a string that follows its length in one byte.
fn split_short_string(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = input.split_first()?;
    rest.split_at_checked(length.into())
}

/// Splits off a property: a name as in [`split_short_string`], and a value that follows its length in four bytes.
fn split_property(input: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = split_short_string(input)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((name, value, rest))
}

fn known_socket_type(socket_type: &[u8]) -> &'static str {
    SOCKET_TYPES.into_iter().find(|known| known.as_bytes() == socket_type).unwrap_or("unknown")
}

/// Parses a PING. The two bytes before its context, a timeout for the detection of a lost sender, are ignored: the peer announces
/// its heartbeat interval to the broker in its hello, which works with every ZeroMQ library.
fn parse_ping(body: &[u8]) -> Result<Command<'_>, Violation> {
    match body.split_first_chunk::<2>() {
        Some((_, context)) if context.len() <= PING_CONTEXT_BYTES_MAX => Ok(Command::Ping { context }),
        _ => Err(Violation::MalformedCommand),
    }
}
