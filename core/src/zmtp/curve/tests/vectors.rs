//! The vectors of `core/vectors/curve.json`, which other implementations can use as well.

use serde_json::Value;

use super::{
    super::{CurveClient, CurveServer, Entropy, SecretKey},
    Decoder, MESSAGE_BYTES_MAX, Side, connect, one,
};

const VECTORS: &str = include_str!("../../../../vectors/curve.json");

pub(super) fn bytes_of<const N: usize>(value: &Value) -> [u8; N] {
    let text = value.as_str().unwrap();
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entropy(vector: &Value, side: &str) -> Entropy {
    let mut bytes = [0; Entropy::BYTES];
    bytes[..32].copy_from_slice(&bytes_of::<32>(&vector[side]["transient_secret"]));
    bytes[32..48].copy_from_slice(&bytes_of::<16>(&vector[side]["nonce"]));
    if side == "server" {
        bytes[48..].copy_from_slice(&bytes_of::<32>(&vector[side]["cookie"]));
    }
    Entropy::new(bytes)
}

#[test]
fn both_sides_write_the_bytes_of_the_vectors() {
    let vector: Value = serde_json::from_str(VECTORS).unwrap();
    let secret = |side: &str| SecretKey::from_bytes(bytes_of(&vector[side]["secret"]));
    let server = CurveServer::new(secret("server"), entropy(&vector, "server"));
    let client = CurveClient::new(secret("server").public_key(), secret("client"), entropy(&vector, "client"));
    let mut server = Side::new(Decoder::curve_server(server, MESSAGE_BYTES_MAX));
    let mut client = Side::new(Decoder::client(Some(client), MESSAGE_BYTES_MAX));
    let (from_client, from_server) = connect(&mut client, &mut server).unwrap();
    assert_eq!(hex(&from_client), vector["client"]["handshake"]);
    assert_eq!(hex(&from_server), vector["server"]["handshake"]);
    assert_eq!(hex(&client.send(&one(b"Hello, server"))), vector["client"]["message"]);
    assert_eq!(hex(&server.send(&one(b"Hello, client"))), vector["server"]["message"]);
    assert_eq!(hex(&server.peer().unwrap().unwrap().binding), vector["binding"]);
}
