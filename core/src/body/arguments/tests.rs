#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use ciborium::{Value, cbor};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    body::{decode, encode},
    wire::status::{Code, Executed, Failure},
};

const NAMES: &[&str] = &["x", "y"];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: u8,
}

/// Reads the arguments of `method(x: f64, y: Option<u8>)`.
fn read(body: &[u8]) -> Result<(f64, Option<u8>), ArgumentError> {
    let mut arguments = ArgumentReader::new(NAMES, body)?;
    Ok((arguments.next()?, arguments.next()?))
}

fn error_of(body: Value) -> String {
    read(&encode(&body).unwrap()).unwrap_err().to_string()
}

#[test]
fn arguments_are_encoded_by_position_by_name_or_both() {
    let encoded = |arguments: &dyn Arguments| decode::<Value>(&arguments.encode().unwrap()).unwrap();
    assert_eq!(encoded(&()), cbor!([]).unwrap());
    assert_eq!(encoded(&(2, "three")), cbor!([2, "three"]).unwrap());
    assert_eq!(encoded(&(Point { x: 1 },)), cbor!([{"x" => 1}]).unwrap());
    assert_eq!(
        encoded(&(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)),
        cbor!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]).unwrap()
    );
    assert_eq!(encoded(&named([("x", 2), ("y", 3)])), cbor!({"x" => 2, "y" => 3}).unwrap());
    assert_eq!(encoded(&ArgumentMap::new()), cbor!([]).unwrap());
    assert_eq!(encoded(&ArgumentMap::new().position(2).position("b")), cbor!([2, "b"]).unwrap());
    assert_eq!(encoded(&ArgumentMap::new().name("y", "b").position(2)), cbor!({0 => 2, "y" => "b"}).unwrap());
    assert_eq!(encoded(&EncodedArguments(Bytes::from_static(&[0x81, 7]))), cbor!([7]).unwrap());
}

#[test]
fn a_value_that_cannot_be_encoded_is_reported() {
    let deep = (0..64).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert!((&deep,).encode().is_err());
    assert!(ArgumentMap::new().position(&deep).encode().is_err());
    assert!(named([("x", &deep)]).name("y", 2).encode().is_err());
}

#[test]
fn arguments_by_position_and_by_name_are_decoded_alike() {
    for body in [
        encode(&(2, 3)).unwrap(),
        encode(&cbor!({"x" => 2, "y" => 3}).unwrap()).unwrap(),
        encode(&cbor!({"y" => 3, "x" => 2.0}).unwrap()).unwrap(),
        encode(&cbor!({0 => 2, "y" => 3}).unwrap()).unwrap(),
        encode(&cbor!({1 => 3, 0 => 2}).unwrap()).unwrap(),
        Bytes::from_static(&[0x9f, 2, 3, 0xff]),
        Bytes::from_static(&[0xbf, 0x61, b'x', 2, 1, 3, 0xff]),
    ] {
        assert_eq!(read(&body).unwrap(), (2.0, Some(3)), "{body:x?}");
    }
}

#[test]
fn an_optional_parameter_may_be_omitted() {
    assert_eq!(read(&encode(&(2,)).unwrap()).unwrap(), (2.0, None));
    assert_eq!(read(&named([("x", 2)]).encode().unwrap()).unwrap(), (2.0, None));
    assert_eq!(read(&(2, None::<u8>).encode().unwrap()).unwrap(), (2.0, None));
    assert_eq!(read(&[0x9f, 2, 0xff]).unwrap(), (2.0, None));
}

#[test]
fn a_map_as_the_only_argument_must_be_in_an_array() {
    let body = (Point { x: 1 },).encode().unwrap();
    assert_eq!(ArgumentReader::new(&["point"], &body).unwrap().next::<Point>().unwrap(), Point { x: 1 });
    let bare = encode(&Point { x: 1 }).unwrap();
    let error = ArgumentReader::new(&["point"], &bare).unwrap_err();
    assert_eq!(error.to_string(), "argument x: unknown; the method takes point");
}

#[test]
fn errors_name_the_argument() {
    assert_eq!(error_of(cbor!([[1, 2], 4]).unwrap()), "argument x: expected a number, got an array");
    assert_eq!(error_of(cbor!({"x" => [1, 2]}).unwrap()), "argument x: expected a number, got an array");
    assert_eq!(error_of(cbor!([1, 300]).unwrap()), "argument y: expected an integer (u8), got the integer 300");
    assert_eq!(error_of(cbor!([]).unwrap()), "argument x: missing");
    assert_eq!(error_of(cbor!({"y" => 1}).unwrap()), "argument x: missing");
    assert_eq!(error_of(cbor!({"x" => 1, "z" => 2}).unwrap()), "argument z: unknown; the method takes x, y");
    assert_eq!(error_of(cbor!({"x" => 1, 0 => 2}).unwrap()), "argument x: given twice");
    assert_eq!(error_of(cbor!([1, 2, 3]).unwrap()), "arguments: 3 given, which is too many; the method takes x, y");
    assert_eq!(
        error_of(cbor!({0 => 1, 2 => 3}).unwrap()),
        "arguments: 3 given, which is too many; the method takes x, y"
    );
    assert_eq!(
        error_of(cbor!(7).unwrap()),
        "arguments: expected an array of positions, or a map of names and positions, got an integer"
    );
}

#[test]
fn errors_have_the_path_inside_an_argument() {
    let body = encode(&cbor!([[{"x" => 1}, {"x" => "two"}]]).unwrap()).unwrap();
    let error = ArgumentReader::new(&["points"], &body).unwrap().next::<Vec<Point>>().unwrap_err();
    assert_eq!(error.argument, "points[1].x");
    assert_eq!(error.problem, ArgumentProblem::Mismatch);
    let body = encode(&cbor!([{"z" => 1}]).unwrap()).unwrap();
    let error = ArgumentReader::new(&["point"], &body).unwrap().next::<Point>().unwrap_err();
    assert_eq!(error.to_string(), "argument point: missing field `x`; got a map");
}

#[test]
fn bytes_that_are_not_arguments_are_rejected() {
    for body in [
        &[][..],
        &[0x80, 0],
        &[0x82, 1],
        &[0x81, 1, 1],
        &[0x9f, 1],
        &[0x9f, 1, 0xff, 0],
        &[0xa1, 0, 1, 0],
        &[0xa1, 0],
        &[0xff],
    ] {
        assert!(read(body).is_err(), "{body:x?}");
    }
    let error_of = |body| read(body).unwrap_err().to_string();
    assert_eq!(
        error_of(&[0x81, 0x18]),
        "argument x: expected well-formed CBOR, got a body that ends in the middle of an item"
    );
    assert_eq!(
        error_of(&[0x81, 1, 1]),
        "arguments: expected well-formed CBOR, got a body that has more bytes after its item"
    );
    assert!(ArgumentReader::new(&[] as &[&str], &[0x80]).is_ok());
    let huge = [0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(read(&huge).unwrap_err().problem, ArgumentProblem::TooMany);
    let owned = ["x".to_owned(), "y".to_owned()];
    assert_eq!(ArgumentReader::new(&owned, &[0x82, 1, 2]).unwrap().next::<u8>().unwrap(), 1);
}

#[test]
fn an_argument_error_is_a_failure_with_details() {
    let failure = Failure::from(read(&encode(&cbor!([[], 4]).unwrap()).unwrap()).unwrap_err());
    assert_eq!((failure.code, failure.executed), (Code::InvalidArgument, Executed::No));
    assert_eq!(failure.type_name, "ArgumentError");
    assert_eq!(failure.message, "argument x: expected a number, got an array");
    let details = cbor!({"argument" => "x", "expected" => "a number", "got" => "an array"}).unwrap();
    assert_eq!(decode::<Value>(&failure.details).unwrap(), details);
}

#[test]
fn an_error_repeats_only_an_excerpt_of_the_arguments() {
    let name = "\u{e4}".repeat(100_000);
    let failure = Failure::from(read(&named([(name, 1)]).encode().unwrap()).unwrap_err());
    assert!(failure.message.len() < 200 && failure.details.len() < 400, "{failure}");
}

proptest! {
    #[test]
    fn any_bytes_decode_to_arguments_or_an_error(body in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = read(&body);
    }
}
