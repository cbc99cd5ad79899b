//! Bodies: all ways of reading one agree with each other and with ciborium.

use std::{borrow::Cow, collections::BTreeMap};

use callboard_core::{
    body::{self, ArgumentReader},
    wire::{
        handshake::{Challenge, ChallengeResponse, Hello, Register, Welcome},
        limits::DEPTH_MAX,
    },
};
use ciborium::Value;
use serde::{Deserialize, de::IgnoredAny};

/// Of each way of reading something.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is read, not used")]
struct Everything<'a> {
    unit: Option<()>,
    flag: Option<bool>,
    letter: Option<char>,
    small: Option<i8>,
    wide: Option<u128>,
    negative: Option<i128>,
    single: Option<f32>,
    double: Option<f64>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    borrowed: Option<&'a [u8]>,
    map: Option<BTreeMap<u32, String>>,
    tuple: Option<(u8, Box<Everything<'a>>)>,
    shapes: Option<Vec<Shape>>,
    loose: Option<Loose>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is read, not used")]
enum Shape {
    Nothing,
    Circle(f64),
    Line(i32, i32),
    Named { name: String, sides: Vec<u16> },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is read, not used")]
enum Loose {
    Number(f64),
    Words(Vec<String>),
    Shape(Shape),
}

/// Reads a body in every way.
pub(super) fn check_body(body: &[u8]) {
    let well = body::is_well_formed(body);
    check_value(body, well);
    check_type::<Everything<'_>>(body, well);
    check_type::<Loose>(body, well);
    check_type::<Vec<Shape>>(body, well);
    check_type::<Hello>(body, well);
    check_type::<Challenge>(body, well);
    check_type::<ChallengeResponse>(body, well);
    check_type::<Welcome>(body, well);
    check_type::<Register>(body, well);
    check_arguments(body, well);
    assert_eq!(body::decode::<IgnoredAny>(body).is_ok(), well, "passing over agrees with what is well-formed");
}

/// What a type takes is well-formed, and an error has words.
fn check_type<'de, T: Deserialize<'de>>(body: &'de [u8], well: bool) {
    match body::decode::<T>(body) {
        Ok(_) => assert!(well, "only what is well-formed is read"),
        Err(error) => assert!(!error.to_string().is_empty(), "an error has words"),
    }
}

/// Any value: we read what ciborium reads, as the same value, and write it as ciborium does.
fn check_value(body: &[u8], well: bool) {
    let ours = body::decode::<Value>(body);
    let mut rest = body;
    // One level more than ours, so that the two differ in nothing that we would read.
    let theirs = ciborium::de::from_reader_with_recursion_limit::<Value, _>(&mut rest, DEPTH_MAX + 1);
    match (ours, theirs) {
        (Ok(ours), theirs) => {
            assert!(well, "only what is well-formed is read");
            let written = body::encode(&ours).expect("what was read can be written");
            assert_eq!(written, by_ciborium(&ours), "we write what ciborium writes");
            let again = body::decode::<Value>(&written).expect("what was written can be read");
            assert_eq!(by_ciborium(&again), written, "and it is read the same");
            if let (Ok(theirs), true) = (theirs, rest.is_empty()) {
                assert_eq!(by_ciborium(&plain(theirs)), by_ciborium(&plain(ours)), "we read what ciborium reads");
            }
        }
        (Err(error), theirs) => {
            let taken = theirs.is_ok() && rest.is_empty();
            assert!(!taken || !well, "ciborium reads this, and we do not: {error}");
            assert!(!well || error.to_string().contains("UTF-8"), "it is well-formed, and not read: {error}");
        }
    }
}

/// Arguments: whoever has read all of them has read a well-formed body.
fn check_arguments(body: &[u8], well: bool) {
    let names = ["x", "y", "scale"];
    let read = ArgumentReader::new(&names, body).and_then(|mut arguments| {
        arguments.next::<Option<IgnoredAny>>()?;
        arguments.next::<Option<Value>>()?;
        arguments.next::<Option<IgnoredAny>>()
    });
    match read {
        Ok(_) => assert!(well, "only what is well-formed is read as arguments"),
        Err(error) => assert!(!error.to_string().is_empty(), "an error has words"),
    }
}

/// The same value with every bignum as the number that it is: ciborium leaves those of more than 16 bytes alone, zeros in
/// front included, and we do not.
fn plain(value: Value) -> Value {
    match value {
        Value::Tag(tag @ (2 | 3), item) => match *item {
            Value::Bytes(digits) => plain_bignum(tag, &digits),
            other => Value::Tag(tag, Box::new(plain(other))),
        },
        Value::Tag(tag, item) => Value::Tag(tag, Box::new(plain(*item))),
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(key, value)| (plain(key), plain(value))).collect()),
        other => other,
    }
}

fn plain_bignum(tag: u64, digits: &[u8]) -> Value {
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    let digits = &digits[zeros..];
    if digits.len() > size_of::<u64>() {
        return Value::Tag(tag, Box::new(Value::Bytes(digits.to_vec())));
    }
    let magnitude = digits.iter().fold(0, |number: i128, &digit| number << 8 | i128::from(digit));
    let number = if tag == 2 { magnitude } else { -1 - magnitude };
    Value::Integer(number.try_into().expect("64 bits and a sign are an integer of CBOR"))
}

fn by_ciborium(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("a value can be written to memory");
    out
}
