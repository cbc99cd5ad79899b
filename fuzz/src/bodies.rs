//! Checks that all ways of reading a body agree with each other and with ciborium.

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

/// A type with a field for each way of reading a value.
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

/// Reads a body in all ways, and checks that the results agree.
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
    assert_eq!(body::decode::<IgnoredAny>(body).is_ok(), well, "ignoring a body agrees with is_well_formed");
}

/// Checks that only a well-formed body is read as a `T`, and that an error has a message.
fn check_type<'de, T: Deserialize<'de>>(body: &'de [u8], well: bool) {
    match body::decode::<T>(body) {
        Ok(_) => assert!(well, "only a well-formed body is read"),
        Err(error) => assert!(!error.to_string().is_empty(), "an error has a message"),
    }
}

/// Checks that a body is read as the same value as by ciborium, and that the value is written as by ciborium.
fn check_value(body: &[u8], well: bool) {
    let ours = body::decode::<Value>(body);
    let mut rest = body;
    // One level more than our limit, so that ciborium reads everything that we read.
    let theirs = ciborium::de::from_reader_with_recursion_limit::<Value, _>(&mut rest, DEPTH_MAX + 1);
    match (ours, theirs) {
        (Ok(ours), theirs) => {
            assert!(well, "only a well-formed body is read");
            let written = body::encode(&ours).expect("a value that was read can be written");
            assert_eq!(written, by_ciborium(&ours), "the written bytes equal those of ciborium");
            let again = body::decode::<Value>(&written).expect("written bytes can be read");
            assert_eq!(by_ciborium(&again), written, "written bytes are read as the same value");
            if let (Ok(theirs), true) = (theirs, rest.is_empty()) {
                assert_eq!(by_ciborium(&plain(theirs)), by_ciborium(&plain(ours)), "the value equals that of ciborium");
            }
        }
        (Err(error), theirs) => {
            let accepted = theirs.is_ok() && rest.is_empty();
            assert!(!accepted || !well, "ciborium reads this body, and the library rejects it: {error}");
            assert!(!well || error.to_string().contains("UTF-8"), "a well-formed body is rejected: {error}");
        }
    }
}

/// Checks that a body whose arguments were all read is well-formed.
fn check_arguments(body: &[u8], well: bool) {
    let names = ["x", "y", "scale"];
    let read = ArgumentReader::new(&names, body).and_then(|mut arguments| {
        arguments.next::<Option<IgnoredAny>>()?;
        arguments.next::<Option<Value>>()?;
        arguments.next::<Option<IgnoredAny>>()
    });
    match read {
        Ok(_) => assert!(well, "only a well-formed body is read as arguments"),
        Err(error) => assert!(!error.to_string().is_empty(), "an error has a message"),
    }
}

/// Returns the value with each bignum converted to a number, if it fits. Ciborium does not convert bignums of more than 16 bytes, even
/// if they have leading zeros, and the library does.
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
    Value::Integer(number.try_into().expect("a CBOR integer has 64 bits and a sign"))
}

fn by_ciborium(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("writing a value to memory does not fail");
    out
}
