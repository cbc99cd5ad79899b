//! The vectors of registrations, `core/vectors/registrations.json`, which other implementations also use.

use bytes::Bytes;
use serde_json::Value;

use super::harness::{Harness, hello};
use crate::{
    broker::Endpoint,
    wire::{Envelope, handshake::Role},
};

const REGISTRATIONS: &str = include_str!("../../../vectors/registrations.json");

fn vectors() -> Vec<Value> {
    serde_json::from_str(REGISTRATIONS).unwrap()
}

fn body_of(vector: &Value) -> Bytes {
    let digits = vector["body"].as_str().unwrap().as_bytes().chunks(2);
    digits.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 16).unwrap()).collect()
}

#[test]
fn every_registration_is_accepted_or_rejected_as_its_vector_states() {
    for vector in vectors() {
        let mut harness = Harness::new();
        let worker = harness.handshake(Endpoint::Backend, &hello(Role::Worker, 1, 1));
        harness.received(worker);
        harness.send(worker, Envelope::Register(body_of(&vector)));
        match vector.get("refused") {
            None => assert!(harness.closed.is_empty(), "{}", vector["name"]),
            Some(code) => {
                let failure = harness.disconnect_reason(worker);
                let refused = (failure.code.name(), &*failure.message);
                let expected = (code.as_str().unwrap(), vector["reason"].as_str().unwrap());
                assert_eq!(refused, expected, "{}", vector["name"]);
            }
        }
    }
}

#[test]
fn the_diagnostic_notation_of_a_registration_matches_its_bytes() {
    for vector in vectors() {
        assert_eq!(minicbor::display(&body_of(&vector)).to_string(), vector["diagnostic"], "{}", vector["name"]);
    }
}
