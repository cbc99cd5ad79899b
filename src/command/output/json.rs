//! Conversion of CBOR to JSON, as RFC 8949 section 6.1 describes.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use callboard_core::body::{self, DecodeError};
use ciborium::Value;

use super::escape::printable;

/// The tag of a bignum.
const TAG_BIGNUM: u64 = 2;
/// The tag of a negative bignum.
const TAG_BIGNUM_NEGATIVE: u64 = 3;
/// The tag of items whose bytes become base64url in JSON.
const TAG_BASE64_URL: u64 = 21;
/// The tag of items whose bytes become base64 in JSON.
const TAG_BASE64: u64 = 22;
/// The tag of items whose bytes become base16 in JSON.
const TAG_BASE16: u64 = 23;

/// The text encoding of byte strings.
#[derive(Clone, Copy)]
enum ByteText {
    Base64Url,
    Base64,
    Base16,
}

/// Converts a body to one compact JSON value.
///
/// # Errors
///
/// If the body is not one CBOR item.
pub(crate) fn json_of(body: &[u8]) -> Result<String, DecodeError> {
    body::decode(body).map(|value| compact(&value))
}

/// Converts a value to one compact JSON value. Values that JSON cannot represent are converted as RFC 8949 describes: bytes and
/// bignums to base64url text; non-finite numbers, undefined and unknown simple values to null; keys to text. Tags are dropped.
pub(crate) fn compact(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, ByteText::Base64Url);
    out
}

/// Returns whether the value has a NaN or an infinity, which is printed as null.
pub(crate) fn has_non_finite(value: &Value) -> bool {
    match value {
        Value::Float(number) => !number.is_finite(),
        Value::Array(items) => items.iter().any(has_non_finite),
        Value::Map(entries) => entries.iter().any(|(key, item)| has_non_finite(key) || has_non_finite(item)),
        Value::Tag(_, item) => has_non_finite(item),
        _ => false,
    }
}

fn write(out: &mut String, value: &Value, bytes_as: ByteText) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(&i128::from(*value).to_string()),
        // serde_json writes a number that is not finite as null, and keeps the ".0" of an integral one.
        Value::Float(value) => out.push_str(&serde_json::json!(value).to_string()),
        Value::Text(text) => write_text(out, text),
        Value::Bytes(bytes) => write_text(out, &bytes_as.text(bytes)),
        Value::Array(items) => write_all(out, ['[', ']'], items, |out, item| write(out, item, bytes_as)),
        Value::Map(entries) => write_all(out, ['{', '}'], entries, |out, (key, item)| {
            write_text(out, &key_text(key, bytes_as));
            out.push(':');
            write(out, item, bytes_as);
        }),
        Value::Tag(tag, item) => write_tagged(out, *tag, item, bytes_as),
        // A kind of value that a later ciborium may add.
        _ => out.push_str("null"),
    }
}

fn write_tagged(out: &mut String, tag: u64, item: &Value, bytes_as: ByteText) {
    match (tag, item) {
        (TAG_BIGNUM, Value::Bytes(digits)) => write_text(out, &ByteText::Base64Url.text(digits)),
        (TAG_BIGNUM_NEGATIVE, Value::Bytes(digits)) => {
            write_text(out, &format!("~{}", ByteText::Base64Url.text(digits)));
        }
        (TAG_BASE64_URL, item) => write(out, item, ByteText::Base64Url),
        (TAG_BASE64, item) => write(out, item, ByteText::Base64),
        (TAG_BASE16, item) => write(out, item, ByteText::Base16),
        (_, item) => write(out, item, bytes_as),
    }
}

fn write_all<T>(out: &mut String, [open, close]: [char; 2], items: &[T], mut item: impl FnMut(&mut String, &T)) {
    out.push(open);
    for (at, next) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        item(out, next);
    }
    out.push(close);
}

fn write_text(out: &mut String, text: &str) {
    // JSON need not escape every character that controls a terminal.
    out.push_str(&printable(&serde_json::Value::from(text).to_string()));
}

/// Returns a key as text: its text if it is text in JSON, else its JSON.
fn key_text(key: &Value, bytes_as: ByteText) -> String {
    let mut json = String::new();
    write(&mut json, key, bytes_as);
    serde_json::from_str::<String>(&json).unwrap_or(json)
}

impl ByteText {
    fn text(self, bytes: &[u8]) -> String {
        match self {
            ByteText::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
            ByteText::Base64 => STANDARD.encode(bytes),
            ByteText::Base16 => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ciborium::cbor;

    use super::*;

    fn bytes(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.to_vec())
    }

    fn tagged(tag: u64, item: Value) -> Value {
        Value::Tag(tag, Box::new(item))
    }

    #[test]
    fn json_values_stay_the_same() {
        let value = cbor!({"a" => [1, -2, 2.5, true, null, "x\n\"y\" \u{e4}"], "b" => {}, "c" => []}).unwrap();
        let json = r#"{"a":[1,-2,2.5,true,null,"x\n\"y\" ä"],"b":{},"c":[]}"#;
        assert_eq!(compact(&value), json);
        assert_eq!(json_of(&body::encode(&value).unwrap()).unwrap(), json);
    }

    #[test]
    fn text_is_safe_on_a_terminal_and_keeps_its_meaning() {
        let text = "\u{9b}2J\u{7f}\x1b";
        assert_eq!(compact(&Value::from(text)), r#""\u009b2J\u007f\u001b""#);
        assert_eq!(serde_json::from_str::<String>(&compact(&Value::from(text))).unwrap(), text);
    }

    #[test]
    fn numbers_keep_their_value() {
        assert_eq!(compact(&cbor!([5, 5.0, -0.0, 1e300]).unwrap()), "[5,5.0,-0.0,1e+300]");
        assert_eq!(compact(&cbor!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).unwrap()), "[null,null,null]");
        assert!(has_non_finite(&cbor!({"a" => [1, f64::INFINITY]}).unwrap()));
        assert!(!has_non_finite(&cbor!({"a" => [1, 2.5, null]}).unwrap()));
        assert_eq!(json_of(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap(), "-18446744073709551616");
        assert_eq!(json_of(&body::encode(&u64::MAX).unwrap()).unwrap(), "18446744073709551615");
    }

    #[test]
    fn bytes_become_base64url_unless_a_tag_says_otherwise() {
        let content = bytes(&[0xfb, 0xff, 1, 2]);
        assert_eq!(compact(&content), r#""-_8BAg""#);
        assert_eq!(compact(&tagged(21, content.clone())), r#""-_8BAg""#);
        assert_eq!(compact(&tagged(22, Value::Array(vec![content.clone()]))), r#"["+/8BAg=="]"#);
        assert_eq!(compact(&tagged(23, content.clone())), r#""FBFF0102""#);
        assert_eq!(compact(&tagged(23, tagged(22, content))), r#""+/8BAg==""#);
    }

    #[test]
    fn bignums_become_base64url() {
        assert_eq!(json_of(&body::encode(&(1u128 << 64)).unwrap()).unwrap(), r#""AQAAAAAAAAAA""#);
        assert_eq!(json_of(&body::encode(&(-1i128 - (1i128 << 64))).unwrap()).unwrap(), r#""~AQAAAAAAAAAA""#);
    }

    #[test]
    fn tags_are_dropped() {
        assert_eq!(compact(&tagged(0, Value::Text("2013-03-21".to_owned()))), r#""2013-03-21""#);
        assert_eq!(compact(&tagged(1, tagged(55799, Value::from(7)))), "7");
    }

    #[test]
    fn undefined_and_simple_values_become_null() {
        assert_eq!(json_of(&[0xf7]).unwrap(), "null");
        assert_eq!(json_of(&[0x82, 0xf8, 0x63, 0xf0]).unwrap(), "[null,null]");
    }

    #[test]
    fn every_key_becomes_text() {
        let entries =
            [Value::from(1), Value::Bool(true), Value::Null, bytes(&[1]), cbor!([1, "a"]).unwrap(), "k".into()];
        let map = Value::Map(entries.into_iter().map(|key| (key, Value::from(0))).collect());
        assert_eq!(compact(&map), r#"{"1":0,"true":0,"null":0,"AQ":0,"[1,\"a\"]":0,"k":0}"#);
    }

    #[test]
    fn invalid_cbor_is_an_error() {
        assert!(json_of(&[]).is_err());
        assert!(json_of(&[1, 2]).is_err());
        assert!(json_of(&[0x62, 0xff, 0xff]).is_err());
    }
}
