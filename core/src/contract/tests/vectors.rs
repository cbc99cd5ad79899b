//! Tests of the vectors of hashes in `core/vectors/`, which other implementations also use.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::*;
use crate::body;

const CONTRACTS: &str = include_str!("../../../vectors/contracts.json");

fn bytes_of(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hash_of(description: &[u8]) -> String {
    body::decode::<ServiceDescription>(description).unwrap().hash().to_string()
}

#[test]
fn the_hash_of_each_description_is_that_of_its_vector() {
    let vectors: Vec<Value> = serde_json::from_str(CONTRACTS).unwrap();
    assert!(vectors.len() >= 8);
    for vector in &vectors {
        let (name, hash) = (vector["name"].as_str().unwrap(), vector["hash"].as_str().unwrap());
        let canonical = bytes_of(&vector["canonical"]);
        assert_eq!(hash_of(&bytes_of(&vector["description"])), hash, "{name}");
        assert_eq!(hash_of(&canonical), hash, "{name}: the canonical form");
        let first: [u8; 8] = Sha256::digest(canonical).as_slice()[..8].try_into().unwrap();
        assert_eq!(format!("{:016x}", u64::from_be_bytes(first)), hash, "{name}: the SHA-256 of the canonical form");
    }
}
