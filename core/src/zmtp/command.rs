//! ZMTP commands: READY and ERROR of the handshake, PING and PONG after it.

use bytes::{BufMut, Bytes, BytesMut};

use super::{FrameHeader, FrameKind, PING_CONTEXT_BYTES_MAX, Violation};

/// The socket types that a READY may name. An error names one of them, and never contains text of an unauthenticated peer.
const SOCKET_TYPES: [&str; 19] = [
    "REQ", "REP", "DEALER", "ROUTER", "PUB", "SUB", "XPUB", "XSUB", "PUSH", "PULL", "PAIR", "STREAM", "CLIENT",
    "SERVER", "RADIO", "DISH", "CHANNEL", "PEER", "GATHER",
];

/// A command of the peer, as far as it matters to a ROUTER.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// READY of a DEALER, the last command of the handshake. Its identity is ignored.
    Ready,
    /// ERROR: the peer ends the handshake.
    Error,
    /// PING: the PONG returns its context.
    Ping { context: &'a [u8] },
    /// PONG, SUBSCRIBE and any other command, which need no action.
    Other,
}

impl<'a> Command<'a> {
    /// Parses the content of a command frame.
    ///
    /// # Errors
    /// [`Violation::MalformedCommand`]; [`Violation::SocketType`] for the READY of a socket other than a DEALER.
    pub(super) fn read(content: &'a [u8]) -> Result<Command<'a>, Violation> {
        let (name, body) = split_short_string(content).ok_or(Violation::MalformedCommand)?;
        match name {
            b"" => Err(Violation::MalformedCommand),
            b"READY" => parse_ready(body),
            b"ERROR" => Ok(Command::Error),
            b"PING" => parse_ping(body),
            _ => Ok(Command::Other),
        }
    }
}

/// Returns the READY of the broker, as a frame.
pub fn ready() -> Bytes {
    let mut properties = BytesMut::new();
    put_property(&mut properties, b"Socket-Type", b"ROUTER");
    put_property(&mut properties, b"Identity", b"");
    command(b"READY", &properties)
}

/// Returns an ERROR with the reason why the handshake ends, as a frame. A longer reason is cut at 255 bytes.
pub fn error(reason: &str) -> Bytes {
    let end = reason.floor_char_boundary(usize::from(u8::MAX));
    let mut body = BytesMut::new();
    put_short_string(&mut body, &reason.as_bytes()[..end]);
    command(b"ERROR", &body)
}

/// Returns the PONG to a PING with this context, as a frame.
pub(super) fn pong(context: &[u8]) -> Bytes {
    command(b"PONG", context)
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

fn parse_ready(mut properties: &[u8]) -> Result<Command<'_>, Violation> {
    let mut socket_type = None;
    while !properties.is_empty() {
        let (name, value, rest) = split_property(properties).ok_or(Violation::MalformedCommand)?;
        properties = rest;
        if name.eq_ignore_ascii_case(b"Socket-Type") && socket_type.replace(value).is_some() {
            return Err(Violation::MalformedCommand);
        }
    }
    match socket_type {
        Some(b"DEALER") => Ok(Command::Ready),
        Some(other) => Err(Violation::SocketType { name: known_socket_type(other) }),
        None => Err(Violation::SocketType { name: "nameless" }),
    }
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
