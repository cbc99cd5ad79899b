//! The first frame of a call: the connection that it came from, which an RPC layer must know.

use bytes::Bytes;

/// Bytes of a header: the link, and the call's number at the client.
const HEADER_BYTES: usize = 16;

/// A header as the client writes it, without the number of a connection.
pub(crate) fn header(call: u64) -> Bytes {
    encode(0, call)
}

/// The same header with another link; `None` if it is none.
pub(crate) fn with_link(header: &[u8], link: u64) -> Option<Bytes> {
    let (_, call) = decode(header)?;
    Some(encode(link, call))
}

/// The link in a header; `None` if it is none.
pub(crate) fn link(header: &[u8]) -> Option<u64> {
    decode(header).map(|(link, _)| link)
}

fn encode(link: u64, call: u64) -> Bytes {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&link.to_be_bytes());
    header.extend_from_slice(&call.to_be_bytes());
    Bytes::from(header)
}

fn decode(header: &[u8]) -> Option<(u64, u64)> {
    let (link, call) = header.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*link), u64::from_be_bytes(call.try_into().ok()?)))
}
