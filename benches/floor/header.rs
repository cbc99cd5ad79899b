//! The first frame of a call. It names the connection that the call came from, because the answer must go back there.

use bytes::Bytes;

/// The bytes of a header: the connection, and the call's number at the client.
const HEADER_BYTES: usize = 16;

/// Returns a header as the client writes it. Its connection is 0.
pub(crate) fn header(call: u64) -> Bytes {
    encode(0, call)
}

/// Returns the header with another connection; `None` if it is invalid.
pub(crate) fn with_connection(header: &[u8], connection: u64) -> Option<Bytes> {
    let (_, call) = decode(header)?;
    Some(encode(connection, call))
}

/// Returns the connection in a header; `None` if it is invalid.
pub(crate) fn connection(header: &[u8]) -> Option<u64> {
    decode(header).map(|(connection, _)| connection)
}

fn encode(connection: u64, call: u64) -> Bytes {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&connection.to_be_bytes());
    header.extend_from_slice(&call.to_be_bytes());
    Bytes::from(header)
}

fn decode(header: &[u8]) -> Option<(u64, u64)> {
    let (connection, call) = header.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*connection), u64::from_be_bytes(call.try_into().ok()?)))
}
