//! Tests of the cipher against boxes that libsodium made, and of the counters.

use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::{
    CurveViolation, PublicKey, SecretKey,
    nonce::{CLIENT_MESSAGE_PREFIX, ReceivedCounter, SendCounter},
    secret_box,
    traffic::Sealer,
};
use super::vectors::{bytes_of, hex};

/// Boxes that libsodium made. The lengths are around those at which an implementation changes between its instructions: byte `i` of
/// `n` is `7 i + n`, and byte `i` of the nonce is `n + i`.
const VECTORS: &str = include_str!("../../../../vectors/crypto_box.json");

/// Alice's secret key in the paper "Cryptography in NaCl".
const ALICE_SECRET: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";

proptest! {
    #[test]
    fn counters_increase_to_their_end_and_stop_there(left in 0_u64..20) {
        let (mut sent, mut received) = (SendCounter::after(u64::MAX - left), ReceivedCounter::after(u64::MAX - left));
        for _ in 0..left {
            prop_assert_eq!(received.accept(sent.next().unwrap()), Ok(()));
        }
        for _ in 0..3 {
            prop_assert_eq!(sent.next(), Err(CurveViolation::NoncesExhausted));
        }
    }

    #[test]
    fn a_counter_is_accepted_only_after_the_one_before(counters in prop::collection::vec(0_u64..5, 0..40)) {
        let (mut received, mut last) = (ReceivedCounter::default(), 0);
        for counter in counters {
            let accepted = received.accept(counter.to_be_bytes());
            prop_assert_eq!(accepted.is_ok(), counter == last + 1);
            last += u64::from(accepted.is_ok());
        }
    }
}

#[test]
fn a_public_key_that_is_weak_or_has_a_second_form_is_refused() {
    let top_bit = *SecretKey::from_bytes([1; 32]).public_key().as_bytes();
    let top_bit = std::array::from_fn(|at| if at == 31 { top_bit[at] | 0x80 } else { top_bit[at] });
    for refused in [top_bit, [0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        assert!(SecretKey::from_bytes([9; 32]).shared_with(&PublicKey::from_bytes(refused)).is_none());
    }
}

#[test]
fn a_sealer_stops_after_the_last_counter() {
    let key = SecretKey::from_bytes([2; 32]).shared_with(&SecretKey::from_bytes([1; 32]).public_key()).unwrap();
    let mut sealer = Sealer::new(key, CLIENT_MESSAGE_PREFIX, SendCounter::after(u64::MAX - 1));
    let mut out = bytes::BytesMut::new();
    assert_eq!(sealer.seal(0, b"last", &mut out), Ok(()));
    let before = out.len();
    assert_eq!(sealer.seal(0, b"one more", &mut out), Err(CurveViolation::NoncesExhausted));
    assert_eq!(out.len(), before, "nothing is sent with a nonce that was used");
}

#[test]
fn the_public_key_of_nacl_s_example_is_computed() {
    let public = secret_box::public_key(&bytes_of(&ALICE_SECRET.into()));
    assert_eq!(hex(&public), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

#[test]
fn the_boxes_are_those_of_libsodium() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let secret = SecretKey::from_bytes(bytes_of(&vectors["secret"]));
    let key = secret.shared_with(&PublicKey::from_bytes(bytes_of(&vectors["public"]))).unwrap();
    for vector in vectors["boxes"].as_array().unwrap() {
        let size = usize::try_from(vector["bytes"].as_u64().unwrap()).unwrap();
        let data: Vec<u8> = (0..size).map(|at| (7 * at + size) as u8).collect();
        let nonce = std::array::from_fn(|at| (size + at) as u8);
        let mut sealed = data.clone();
        let mac = key.seal(&nonce, &mut sealed);
        assert_eq!(hex(&mac), vector["mac"], "{size} bytes");
        assert_eq!(hex(&Sha256::digest(&sealed)), vector["sha256"], "{size} bytes");
        assert!(key.open(&nonce, &mac, &mut sealed).is_some(), "{size} bytes");
        assert_eq!(sealed, data);
    }
}
