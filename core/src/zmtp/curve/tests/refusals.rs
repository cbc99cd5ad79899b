//! Tests of peers with another mechanism or other keys.

use super::{
    super::{CurveClient, CurveViolation, Entropy, SecretKey},
    Decoder, MESSAGE_BYTES_MAX, Side, Violation, client_key, client_of, connect, server, server_key,
};
use crate::zmtp::{error, greeting};

fn plain_client() -> Side {
    Side::new(Decoder::client(None, MESSAGE_BYTES_MAX))
}

#[test]
fn both_sides_connect_without_encryption_if_both_have_no_key() {
    let (mut client, mut server) = (plain_client(), Side::new(Decoder::new(MESSAGE_BYTES_MAX)));
    connect(&mut client, &mut server).unwrap();
    assert_eq!((client.peer(), server.peer()), (Some(None), Some(None)));
    assert!(!client.encoder.is_encrypted());
}

#[test]
fn a_server_with_a_key_accepts_a_plain_peer_only_if_allowed() {
    let allowing = Decoder::curve_server(server().allow_plain(true), MESSAGE_BYTES_MAX);
    let (mut client, mut server) = (plain_client(), Side::new(allowing));
    connect(&mut client, &mut server).unwrap();
    assert_eq!((client.peer(), server.peer()), (Some(None), Some(None)));

    let (mut client, mut server) = (plain_client(), Side::server());
    assert_eq!(connect(&mut client, &mut server), Err(Violation::PlainRefused));
    let refusal = server.decoder.error_command(Violation::PlainRefused).unwrap();
    client.read(&greeting()[..12]).unwrap();
    assert_eq!(client.read(&refusal), Err(Violation::PeerError));
    let reason =
        "it connects without encryption, and CURVE is required: pass the public key of the server with --server-key";
    assert_eq!(client.decoder.peer_error(), Some(reason));
}

#[test]
fn a_server_with_a_key_names_its_mechanism_only_after_the_peer_s() {
    let mut server = Side::server();
    assert_eq!(server.written, greeting()[..12]);
    server.written.clear();
    server.read(&Side::client().written[..63]).unwrap();
    assert!(server.written.is_empty());
}

#[test]
fn a_client_with_a_server_key_never_connects_without_encryption() {
    let (mut client, mut server) = (Side::client(), Side::new(Decoder::new(MESSAGE_BYTES_MAX)));
    assert_eq!(client.read(&server.written.split()), Err(Violation::PlainRefused));
    assert_eq!(client.peer(), None);
    assert_eq!(server.read(&client.written.split()), Err(Violation::CurveUnavailable));
}

#[test]
fn a_client_with_another_server_key_gets_the_reason() {
    let other = SecretKey::from_bytes([9; 32]).public_key();
    let mut client = Side::new(Decoder::client(Some(client_of(other)), MESSAGE_BYTES_MAX));
    let mut server = Side::server();
    let violation = Violation::Curve(CurveViolation::ServerKey);
    assert_eq!(connect(&mut client, &mut server), Err(violation));
    client.read(&server.written.split()).unwrap();
    assert_eq!(client.read(&server.decoder.error_command(violation).unwrap()), Err(Violation::PeerError));
    let reason = "its HELLO was encrypted for another server key: pass the public key of this server with --server-key";
    assert_eq!(client.decoder.peer_error(), Some(reason));
}

#[test]
fn a_client_connects_with_the_present_or_the_previous_server_key() {
    let previous = SecretKey::from_bytes([9; 32]);
    let side = || Side::new(Decoder::curve_server(server().with_previous(Some(previous.clone())), MESSAGE_BYTES_MAX));
    for key in [server_key().public_key(), previous.public_key()] {
        let (mut client, mut server) = (Side::new(Decoder::client(Some(client_of(key)), MESSAGE_BYTES_MAX)), side());
        connect(&mut client, &mut server).unwrap();
        assert_eq!(client.peer().unwrap().unwrap().public_key, key);
        assert_eq!(client.peer().unwrap().unwrap().binding, server.peer().unwrap().unwrap().binding);
    }
    let other = client_of(SecretKey::from_bytes([8; 32]).public_key());
    let (mut client, mut server) = (Side::new(Decoder::client(Some(other), MESSAGE_BYTES_MAX)), side());
    assert_eq!(connect(&mut client, &mut server), Err(Violation::Curve(CurveViolation::ServerKey)));
}

#[test]
fn an_impostor_without_the_secret_key_cannot_answer_a_hello() {
    let mut client = Side::client();
    let impostor = [&greeting()[..12], &Side::client().written[12..], &[4, 168], b"\x07WELCOME", &[7; 160]].concat();
    assert_eq!(client.read(&impostor), Err(Violation::Curve(CurveViolation::Welcome)));
}

#[test]
fn a_client_cannot_claim_the_public_key_of_another_peer() {
    let impostor = client_key().claiming(SecretKey::from_bytes([9; 32]).public_key());
    let curve = CurveClient::new(server_key().public_key(), impostor, Entropy::new([4; Entropy::BYTES]));
    let (mut client, mut server) = (Side::new(Decoder::client(Some(curve), MESSAGE_BYTES_MAX)), Side::server());
    assert_eq!(connect(&mut client, &mut server), Err(Violation::Curve(CurveViolation::Vouch)));
    assert_eq!(server.peer(), None);
}

#[test]
fn commands_out_of_order_are_unexpected() {
    let (mut client, mut server) = (Side::client(), Side::server());
    let (from_client, _) = connect(&mut client, &mut server).unwrap();
    let hello = &from_client[64..64 + 202];
    let initiate = &from_client[64 + 202..];
    for wrong in [initiate, &error("no")[..3], &[4, 6, 5, b'R', b'E', b'A', b'D', b'Y']] {
        let mut server = Side::server();
        server.read(&from_client[..64]).unwrap();
        assert!(!matches!(server.read(wrong), Ok(()) if server.peer().is_some()));
    }
    let mut server = Side::server();
    server.read(&[&from_client[..64], hello].concat()).unwrap();
    assert_eq!(server.read(hello), Err(Violation::UnexpectedCommand));
}

#[test]
fn a_message_before_the_end_of_the_handshake_is_early() {
    let (mut client, mut server) = (Side::client(), Side::server());
    let (from_client, _) = connect(&mut client, &mut server).unwrap();
    let mut server = Side::server();
    assert_eq!(server.read(&[&from_client[..64], b"\0\x02hi"].concat()), Err(Violation::EarlyMessage));
}

#[test]
fn control_characters_in_a_reason_are_removed() {
    let mut client = Side::client();
    client.read(&Side::client().written[..]).unwrap();
    assert_eq!(client.read(&error("red \u{1b}[31m\nline")), Err(Violation::PeerError));
    assert_eq!(client.decoder.peer_error(), Some("red [31mline"));
}
