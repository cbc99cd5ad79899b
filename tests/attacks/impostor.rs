//! An impostor: it claims the public key of a peer that the broker knows, and does not have the secret key of that peer.

use bytes::Bytes;
use callboard::core::zmtp::GREETING_BYTES;
use dryoc::classic::{
    crypto_box::{crypto_box_beforenm, crypto_box_easy_afternm, crypto_box_open_easy_afternm},
    crypto_core::crypto_scalarmult_base,
};

use crate::{
    attack::{Held, Target},
    handshakes::parts,
    mode::{broker_public_key, legitimate_public_key},
    wire::{Wire, command},
};

/// The secret keys of the impostor: one of the connection, and one in place of the secret key that it does not have.
const TRANSIENT: [u8; 32] = [5; 32];
const OWN: [u8; 32] = [6; 32];
const MAC_BYTES: usize = 16;
/// The name of a command, with its length.
const NAME_BYTES: usize = 8;
/// The offset of the error's text in an ERROR.
const ERROR_TEXT_AT: usize = 7;

/// Valid handshakes up to the INITIATE, which claims the public key of a legitimate peer. Only its vouch is wrong.
pub(crate) fn impostors(target: &Target) -> Held {
    let [greeting, ..] = parts(target.mode());
    for _ in 0..target.many(20, 2_000) {
        let mut wire = Wire::connect(&target.frontend);
        wire.send_raw(&greeting).unwrap();
        wire.send_raw(&hello()).unwrap();
        wire.await_bytes(GREETING_BYTES);
        let welcome = wire.read_message().unwrap().concat();
        wire.send_raw(&initiate(&welcome)).unwrap();
        let answer = wire.read_message().map(|frames| Bytes::from(frames.concat()));
        // An established connection would get a READY.
        let reason = answer.as_ref().and_then(|error| error.get(ERROR_TEXT_AT..)).map(String::from_utf8_lossy);
        assert!(reason.is_some_and(|reason| reason.contains("secret key of its public key")), "{answer:?}");
        wire.read_to_end();
    }
    Box::new(())
}

/// The HELLO of RFC 26: version, padding, the transient public key, a counter, and a box of zeros.
fn hello() -> Vec<u8> {
    let signature = sealed(&TRANSIENT, &broker_public_key(), b"CurveZMQHELLO---\0\0\0\0\0\0\0\x01", &[0; 64]);
    let fields = [&[1, 0][..], &[0; 72], &public(&TRANSIENT), &1_u64.to_be_bytes(), &signature];
    command("HELLO", &fields.concat())
}

/// The INITIATE for a WELCOME: the cookie, a counter, and a box with the claimed public key, the vouch and no metadata.
fn initiate(welcome: &[u8]) -> Vec<u8> {
    let (random, sealed_welcome) = welcome[NAME_BYTES..].split_first_chunk::<16>().unwrap();
    let opened = opened(&TRANSIENT, &broker_public_key(), &long_nonce(b"WELCOME-", random), sealed_welcome);
    let (broker_transient, cookie) = opened.split_first_chunk::<32>().unwrap();
    // The impostor makes the vouch with a secret key of its own.
    let vouched = [public(&TRANSIENT), broker_public_key()].concat();
    let vouch = sealed(&OWN, broker_transient, &long_nonce(b"VOUCH---", &[1; 16]), &vouched);
    let content = [&legitimate_public_key()[..], &[1; 16], &vouch].concat();
    let content = sealed(&TRANSIENT, broker_transient, b"CurveZMQINITIATE\0\0\0\0\0\0\0\x02", &content);
    command("INITIATE", &[cookie, &2_u64.to_be_bytes(), &content].concat())
}

fn public(secret: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    crypto_scalarmult_base(&mut public, secret);
    public
}

fn long_nonce(prefix: &[u8; 8], random: &[u8; 16]) -> [u8; 24] {
    [&prefix[..], random].concat().try_into().unwrap()
}

fn sealed(secret: &[u8; 32], public: &[u8; 32], nonce: &[u8; 24], content: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; MAC_BYTES + content.len()];
    let key = crypto_box_beforenm(public, secret).unwrap();
    crypto_box_easy_afternm(&mut sealed, content, nonce, &key).unwrap();
    sealed
}

fn opened(secret: &[u8; 32], public: &[u8; 32], nonce: &[u8; 24], sealed: &[u8]) -> Vec<u8> {
    let mut content = vec![0; sealed.len() - MAC_BYTES];
    let key = crypto_box_beforenm(public, secret).unwrap();
    crypto_box_open_easy_afternm(&mut content, sealed, nonce, &key).unwrap();
    content
}
