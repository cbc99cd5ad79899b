#![allow(clippy::unwrap_used)]

mod depth;

use std::{borrow::Cow, collections::BTreeMap};

use ciborium::Value;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: f64,
    label: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Circle(f64),
    Line(Point, Point),
    Named { name: String, sides: Vec<u16> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Texts(Vec<String>),
    Point(Point),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: (),
    flag: bool,
    letter: char,
    small: i8,
    wide: u128,
    negative: i128,
    single: f32,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    map: BTreeMap<u32, String>,
    tuple: (u8, Option<Box<Everything>>),
    #[serde(flatten)]
    more: BTreeMap<String, u64>,
    shapes: Vec<Shape>,
}

fn ciborium_encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}

fn hex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn assert_decodes<T: DeserializeOwned + PartialEq + std::fmt::Debug>(body: &str, value: T) {
    assert_eq!(decode::<T>(&hex(body)).unwrap(), value, "{body}");
}

fn assert_rejects<T: DeserializeOwned + std::fmt::Debug>(body: &str, sentence: &str) {
    assert_eq!(decode::<T>(&hex(body)).unwrap_err().to_string(), sentence, "{body}");
}

fn points() -> impl Strategy<Value = Point> {
    (any::<i32>(), -1e9..1e9, any::<Option<String>>()).prop_map(|(x, y, label)| Point { x, y, label })
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Nothing),
        (-1e9..1e9).prop_map(Shape::Circle),
        (points(), points()).prop_map(|(from, to)| Shape::Line(from, to)),
        (any::<String>(), any::<Vec<u16>>()).prop_map(|(name, sides)| Shape::Named { name, sides }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<bool>(), any::<char>(), any::<i8>(), any::<u128>(), any::<i128>(), -1e9f32..1e9);
    let lists = (
        any::<Vec<u8>>(),
        prop::collection::btree_map(any::<u32>(), any::<String>(), 0..4),
        prop::collection::btree_map("more_[a-z]{1,9}", any::<u64>(), 0..4),
        prop::collection::vec(shapes(), 0..4),
    );
    let flat = (numbers, lists).prop_map(|(numbers, (bytes, map, more, shapes))| {
        let (flag, letter, small, wide, negative, single) = numbers;
        let tuple = (7, None);
        Everything { unit: (), flag, letter, small, wide, negative, single, bytes, map, tuple, more, shapes }
    });
    let flat = flat.boxed();
    (flat.clone(), prop::option::of(flat)).prop_map(|(mut outer, inner)| {
        outer.tuple.1 = inner.map(Box::new);
        outer
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<u128>().prop_map(Value::from),
        any::<f64>().prop_filter("NaN does not equal itself", |float| !float.is_nan()).prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner.clone()), 0..6).prop_map(Value::Map),
            (4..u64::MAX, inner).prop_map(|(tag, item)| Value::Tag(tag, Box::new(item))),
        ]
    })
}

proptest! {
    #[test]
    fn values_are_encoded_as_by_ciborium_and_decoded_unchanged(value in values()) {
        let body = encode(&value).unwrap();
        prop_assert_eq!(&body[..], &ciborium_encode(&value)[..]);
        prop_assert!(is_well_formed(&body));
        prop_assert_eq!(decode::<Value>(&body).unwrap(), value);
    }

    #[test]
    fn types_are_encoded_as_by_ciborium_and_decoded_unchanged(value in everything()) {
        let body = encode(&value).unwrap();
        prop_assert_eq!(&body[..], &ciborium_encode(&value)[..]);
        prop_assert!(is_well_formed(&body));
        prop_assert_eq!(decode::<Everything>(&body).unwrap(), value);
    }

    #[test]
    fn bytes_that_ciborium_decodes_are_decoded_to_the_same_value(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let ours = decode::<Value>(&bytes);
        let mut rest = &bytes[..];
        let theirs = ciborium::from_reader::<Value, _>(&mut rest);
        if let (Ok(theirs), true) = (theirs, rest.is_empty()) {
            let ours = ours.unwrap();
            prop_assert_eq!(ciborium_encode(&ours), ciborium_encode(&theirs));
            prop_assert!(is_well_formed(&bytes));
        } else if ours.is_ok() {
            prop_assert!(is_well_formed(&bytes));
        } else if let (true, Err(error)) = (is_well_formed(&bytes), ours) {
            prop_assert!(error.to_string().contains("UTF-8"), "{}", error);
        }
        let _ = decode::<Everything>(&bytes);
        let _ = decode::<Untagged>(&bytes);
        let _ = decode::<Vec<Shape>>(&bytes);
    }

    #[test]
    fn a_truncated_or_extended_body_is_rejected(value in everything(), cut in any::<prop::sample::Index>()) {
        let body = encode(&value).unwrap().to_vec();
        let short = &body[..cut.index(body.len())];
        prop_assert!(decode::<Everything>(short).is_err() && !is_well_formed(short));
        let long = [&body[..], &[0]].concat();
        prop_assert!(decode::<Everything>(&long).is_err() && !is_well_formed(&long));
    }

    #[test]
    fn an_integer_is_decoded_as_a_float_only_if_it_is_exact(value in any::<i64>(), shift in 0..64) {
        let value = value >> shift;
        let exact = value as f64 as i128 == i128::from(value);
        prop_assert_eq!(decode::<f64>(&encode(&value).unwrap()).ok(), exact.then_some(value as f64));
        let exact = value as f32 as i128 == i128::from(value);
        prop_assert_eq!(decode::<f32>(&encode(&value).unwrap()).ok(), exact.then_some(value as f32));
    }
}

#[test]
fn every_well_formed_encoding_is_decoded() {
    assert_decodes("1b0000000000000007", 7u8);
    assert_decodes("9f 01 02 ff", (1, 2));
    assert_decodes("bf 6178 01 6179 f93e00 ff", Point { x: 1, y: 1.5, label: None });
    assert_decodes("7f 6161 626263 ff", "abc".to_owned());
    assert_decodes("5f 4101 420203 ff", serde_bytes::ByteBuf::from([1, 2, 3]));
    assert_decodes("bf 66436972636c65 fa40200000 ff", Shape::Circle(2.5));
    assert_decodes("a1 674e6f7468696e67 f6", Shape::Nothing);
    assert_decodes("f7", ());
    assert_decodes("f7", None::<u8>);
}

#[test]
fn a_byte_string_is_decoded_as_a_sequence_of_its_bytes() {
    assert_decodes("43 010203", vec![1u8, 2, 3]);
    assert_decodes("5f 4101 420203 ff", vec![1u8, 2, 3]);
    assert_decodes("83 010203", serde_bytes::ByteBuf::from([1, 2, 3]));
    assert_rejects::<(u8, u8)>("43 010203", "expected 2 elements in sequence, got 3 items (before byte 4)");
}

#[test]
fn texts_and_byte_strings_of_definite_length_are_borrowed() {
    let body = encode("0123456789".repeat(1000).as_str()).unwrap();
    assert_eq!(decode::<&str>(&body).unwrap().len(), 10_000);
    let body = encode(serde_bytes::Bytes::new(&[7; 5000])).unwrap();
    assert_eq!(decode::<&[u8]>(&body).unwrap(), [7; 5000]);
    #[derive(Deserialize)]
    struct Borrowing<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let body = hex("a1 646e616d65 626869");
    assert!(matches!(decode::<Borrowing<'_>>(&body).unwrap().name, Cow::Borrowed("hi")));
}

#[test]
fn tags_are_skipped_for_types_without_tags() {
    assert_decodes("c1 1a514b67b0", 1_363_896_240u64);
    assert_decodes("c0 c1 6161", "a".to_owned());
    assert_decodes("d9d9f7 82 01 c4 02", vec![1, 2]);
    assert_decodes("c1 07", Untagged::Number(7.0));
    assert_decodes("c1 07", serde_json::json!(7));
    assert_decodes("c1 07", ciborium::tag::Required::<u8, 1>(7));
    assert_decodes("82 c1 07 07", vec![ciborium::tag::Captured(Some(1), 7u8), ciborium::tag::Captured(None, 7)]);
}

#[test]
fn a_value_keeps_its_tags() {
    let dated = Value::Tag(1, Box::new(Value::Array(vec![Value::Tag(0, Box::new(Value::Text("x".to_owned())))])));
    assert_eq!(decode::<Value>(&encode(&dated).unwrap()).unwrap(), dated);
    // A bignum that no integer type holds stays a tagged byte string.
    let huge = Value::Tag(2, Box::new(Value::Bytes(vec![1; 17])));
    assert_eq!(decode::<Value>(&encode(&huge).unwrap()).unwrap(), huge);
}

#[test]
fn bignums_are_decoded_as_integers_and_floats_that_can_hold_them() {
    assert_decodes("c2 41 07", 7u8);
    assert_decodes("c2 42 0007", 7u8);
    assert_decodes("c3 41 07", -8i8);
    assert_decodes("c2 49 010000000000000000", 1u128 << 64);
    assert_decodes("c2 49 010000000000000000", 18_446_744_073_709_551_616f64);
    assert_decodes("3bffffffffffffffff", -1i128 << 64);
    assert_rejects::<i64>(
        "3bffffffffffffffff",
        "expected an integer (i64), got integer `-18446744073709551616` as i128 (before byte 9)",
    );
    assert_rejects::<u64>(
        "c2 51 0100000000000000000000000000000000",
        "expected an integer (u64), got an integer that is too large for any type (before byte 19)",
    );
    assert_rejects::<f64>(
        "c2 50 7fffffffffffffffffffffffffffffff",
        "expected a number, got an integer that is not exact as this type (before byte 18)",
    );
}

#[test]
fn errors_have_a_path_a_position_and_a_description() {
    assert_rejects::<f64>("80", "expected a number, got an array (before byte 1)");
    assert_rejects::<u8>("19012c", "expected an integer (u8), got the integer 300 (before byte 3)");
    assert_rejects::<String>("07", "expected text, got an integer (before byte 1)");
    assert_rejects::<Vec<Point>>(
        "82 a2 6178 01 6179 02 a2 6178 f5",
        "[1].x: expected an integer (i32), got a boolean (before byte 12)",
    );
    assert_rejects::<Shape>("a1 66436972636c65 6161", "Circle: expected a number, got text (before byte 9)");
    assert_rejects::<Shape>(
        "66537175617265",
        "expected one of Nothing, Circle, Line, Named, got Square (before byte 7)",
    );
    assert_rejects::<Shape>("66436972636c65", "expected newtype variant, got a name alone (before byte 7)");
    assert_rejects::<Point>("a1 6178 01", "missing field `y` (before byte 4)");
    assert_rejects::<(u8, u8)>("83 01 02 03", "expected 2 items, got 3 items (before byte 3)");
    assert_rejects::<(u8, u8)>("9f 01 02 03 ff", "expected 2 items, got more (before byte 3)");
    assert_rejects::<u8>("", "not one well-formed CBOR item: it ends in the middle of an item (before byte 0)");
    assert_rejects::<u8>("01 02", "not one well-formed CBOR item: it has more bytes after its item (before byte 1)");
    assert_rejects::<String>("62 c328", "not one well-formed CBOR item: it has text that is not UTF-8 (before byte 3)");
}

#[test]
fn malformed_bodies_are_rejected() {
    for body in [
        "",
        "18",
        "1c",
        "3c",
        "ff",
        "81",
        "81ff",
        "9f",
        "a101",
        "bf01ff",
        "c1",
        "5f6161ff",
        "7f4101ff",
        "5f5f4101ffff",
        "f818",
        "f800",
        "0000",
        "fc",
    ] {
        let body = hex(body);
        assert!(!is_well_formed(&body), "{body:x?}");
        assert!(decode::<Value>(&body).is_err(), "{body:x?}");
        assert!(decode::<serde::de::IgnoredAny>(&body).is_err(), "{body:x?}");
    }
    for body in ["f0", "f8ff", "9fff", "bfff", "5fff", "7f60ff", "c1c2f6", "82 9fff bf0001ff"] {
        assert!(is_well_formed(&hex(body)), "{body}");
    }
}

#[test]
fn announced_lengths_allocate_nothing_before_their_bytes_arrive() {
    for body in
        ["9b1000000000000000", "bb1000000000000000", "5b1000000000000000", "7b1000000000000000", "9a7fffffff 00"]
    {
        let body = hex(body);
        assert!(!is_well_formed(&body));
        assert!(decode::<Value>(&body).is_err());
        assert!(decode::<Vec<[u64; 32]>>(&body).is_err());
        assert!(decode::<Everything>(&body).is_err());
    }
}

#[test]
fn a_body_and_its_clone_are_intact_at_every_size() {
    for len in [0, 1, 100, 120, 125, 126, 127, 128, 129, 4090, 4093, 4094, 5000, 100_000] {
        let text = "x".repeat(len);
        let body = encode(&text).unwrap();
        let copy = body.clone();
        assert_eq!(body, ciborium_encode(&Value::Text(text)), "{len}");
        drop(body);
        assert_eq!(decode::<String>(&copy).unwrap().len(), len);
    }
}

#[test]
fn a_head_that_was_written_is_read_as_the_same() {
    for head in [
        Head::Unsigned(23),
        Head::Unsigned(u64::MAX),
        Head::Negative(0),
        Head::Bytes(Some(300)),
        Head::Bytes(None),
        Head::Text(Some(0)),
        Head::Text(None),
        Head::Array(Some(70_000)),
        Head::Array(None),
        Head::Map(Some(2)),
        Head::Map(None),
        Head::Tag(258),
        Head::Bool(true),
        Head::Bool(false),
        Head::Null,
        Head::Undefined,
        Head::Simple(7),
        Head::Simple(255),
        Head::Float(1.5),
        Head::Float(1e300),
        Head::Break,
    ] {
        let mut out = Vec::new();
        head.write(&mut out);
        let mut reader = Reader::new(&out);
        assert_eq!((reader.head(), reader.rest()), (Ok(head), &[][..]));
    }
}

#[test]
fn a_failed_build_leaves_nothing_to_the_next() {
    let failed = build(|out| {
        out.push(1);
        Err("unable")
    });
    assert_eq!(failed, Err("unable"));
    assert_eq!(encode(&2).unwrap()[..], [2]);
}
