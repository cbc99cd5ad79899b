//! Checks arguments against the description of a method. A value whose type is unclear passes, and the worker checks
//! it.

use std::collections::BTreeMap;

use callboard::{
    EncodedArguments,
    core::{
        body::{ArgumentError, ArgumentProblem, ArgumentReader},
        contract::{Definition, MethodDescription, Record, ServiceDescription, Type},
        wire::limits::DEPTH_MAX,
    },
};
use ciborium::Value;

use crate::command::output::json;

/// The longest text that an error shows.
const TEXT_SHOWN_MAX: usize = 40;

/// Checks whether arguments may match a method.
///
/// # Errors
/// The error that a worker would return for them.
pub(crate) fn check(
    arguments: &EncodedArguments,
    method: &MethodDescription,
    service: &ServiceDescription,
) -> Result<(), ArgumentError> {
    let names: Vec<_> = method.arguments.iter().map(|argument| argument.name.as_str()).collect();
    let mut reader = ArgumentReader::new(&names, &arguments.0)?;
    let check = Check { types: &service.types };
    for argument in &method.arguments {
        let value = match check.may_be_left_out(&argument.ty) {
            true => reader.next::<Option<Value>>()?.unwrap_or(Value::Null),
            false => reader.next::<Value>()?,
        };
        check.value(&value, &argument.ty, DEPTH_MAX).map_err(|mismatch| ArgumentError {
            problem: ArgumentProblem::Mismatch,
            argument: format!("{}{}", argument.name, mismatch.place),
            expected: mismatch.expected,
            got: mismatch.got,
        })?;
    }
    Ok(())
}

/// Checks whether an item of a stream may match its type.
///
/// # Errors
/// The expected type, and the item.
pub(crate) fn check_item(value: &Value, ty: &Type, service: &ServiceDescription) -> Result<(), String> {
    let check = Check { types: &service.types };
    check.value(value, ty, DEPTH_MAX).map_err(|Mismatch { place, expected, got }| {
        let place = if place.is_empty() { place } else { format!("{}: ", place.trim_start_matches('.')) };
        format!("{place}expected {expected}, got {got}")
    })
}

struct Check<'a> {
    types: &'a BTreeMap<String, Definition>,
}

/// A value that does not match, with its place in the argument.
struct Mismatch {
    place: String,
    expected: String,
    got: String,
}

impl Mismatch {
    fn within(self, place: &str) -> Mismatch {
        Mismatch { place: format!("{place}{}", self.place), ..self }
    }
}

impl Check<'_> {
    /// Returns the definition of a named type, or the type itself.
    fn resolved<'t>(&'t self, ty: &'t Type) -> &'t Type {
        match ty {
            Type::Named(name) => self.types.get(name).map_or(&Type::Any, |definition| &definition.ty),
            other => other,
        }
    }

    /// Returns whether the value may be missing, which is also so for types without a description.
    fn may_be_left_out(&self, ty: &Type) -> bool {
        matches!(self.resolved(ty), Type::Optional(_) | Type::Any | Type::Opaque(_) | Type::Named(_))
    }

    fn value(&self, value: &Value, ty: &Type, depth: usize) -> Result<(), Mismatch> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        // A type that serde reads gets no tags.
        if let Value::Tag(_, _) = value {
            return Ok(());
        }
        match (self.resolved(ty), value) {
            (Type::Optional(_), Value::Null) => Ok(()),
            (Type::Optional(inner), value) => self.value(value, inner, depth),
            (Type::OneOf(all), value) if all.iter().any(|one| self.value(value, one, depth).is_ok()) => Ok(()),
            (Type::List(inner), Value::Array(items)) => self.items(items, |_| Some(&**inner), depth),
            (Type::Tuple(all), Value::Array(items)) if all.len() == items.len() => {
                self.items(items, |at| all.get(at), depth)
            }
            (Type::Record(record), Value::Map(entries)) => self.record(record, entries, depth),
            (form, value) if is_of_form(form, value) => Ok(()),
            (form, value) => {
                let expected = match ty {
                    // The name alone does not show what to write.
                    Type::Named(name) if is_choice(form) => format!("{name}: {form}"),
                    Type::Named(name) => name.clone(),
                    _ => form.to_string(),
                };
                Err(Mismatch { place: String::new(), expected, got: shown(value) })
            }
        }
    }

    fn items<'t>(&self, items: &[Value], ty: impl Fn(usize) -> Option<&'t Type>, depth: usize) -> Result<(), Mismatch> {
        for (at, item) in items.iter().enumerate() {
            let ty = ty(at).unwrap_or(&Type::Any);
            self.value(item, ty, depth).map_err(|mismatch| mismatch.within(&format!("[{at}]")))?;
        }
        Ok(())
    }

    fn record(&self, record: &Record, entries: &[(Value, Value)], depth: usize) -> Result<(), Mismatch> {
        for field in &record.fields {
            let given = entries.iter().find(|(key, _)| key.as_text() == Some(&field.name));
            let place = format!(".{}", field.name);
            match given {
                Some((_, value)) => self.value(value, &field.ty, depth).map_err(|mismatch| mismatch.within(&place))?,
                None if field.optional || self.may_be_left_out(&field.ty) => {}
                None => return Err(Mismatch { place, expected: field.ty.to_string(), got: "nothing".to_owned() }),
            }
        }
        Ok(())
    }
}

/// Returns whether a value may be of a type without parts, or whose parts cannot be checked: every form that a serde
/// reader accepts.
fn is_of_form(ty: &Type, value: &Value) -> bool {
    let whole = |least: i128, most: i128| match value {
        Value::Integer(integer) => (least..=most).contains(&i128::from(*integer)),
        _ => false,
    };
    match ty {
        Type::Any | Type::Opaque(_) | Type::Named(_) => true,
        Type::Null => value.is_null() || value.is_array() || value.is_map(),
        Type::Bool => value.is_bool(),
        Type::U8 => whole(0, u8::MAX.into()),
        Type::U16 => whole(0, u16::MAX.into()),
        Type::U32 => whole(0, u32::MAX.into()),
        Type::U64 => whole(0, u64::MAX.into()),
        Type::I8 => whole(i8::MIN.into(), i8::MAX.into()),
        Type::I16 => whole(i16::MIN.into(), i16::MAX.into()),
        Type::I32 => whole(i32::MIN.into(), i32::MAX.into()),
        Type::I64 => whole(i64::MIN.into(), i64::MAX.into()),
        Type::U128 | Type::I128 => value.is_integer(),
        Type::F32 | Type::F64 => value.is_float() || value.is_integer(),
        Type::Char => value.as_text().is_some_and(|text| text.chars().count() == 1),
        Type::Text => value.is_text() || value.is_bytes(),
        Type::Bytes => value.is_bytes() || value.is_text() || value.is_array(),
        // A variant without content may be written as a map, too.
        Type::Literal(text) => value.as_text() == Some(text) || value.is_map(),
        // A struct may be an array of its fields.
        Type::Record(_) => value.is_array(),
        Type::Map(_) => value.is_map(),
        Type::Optional(_) | Type::List(_) | Type::Tuple(_) | Type::OneOf(_) => false,
    }
}

/// Returns whether a type is a choice of literals.
fn is_choice(ty: &Type) -> bool {
    matches!(ty, Type::OneOf(all) if all.iter().all(|one| matches!(one, Type::Literal(_))))
}

/// Returns a short value as it is, else its kind, in the terms of a worker's errors.
fn shown(value: &Value) -> String {
    match value {
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Null => json::compact(value),
        Value::Text(text) if text.chars().count() <= TEXT_SHOWN_MAX => format!("text {}", json::compact(value)),
        Value::Text(_) => "text".to_owned(),
        Value::Bytes(_) => "bytes".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        _ => "another value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use callboard::core::contract::{ArgumentDescription, Field};

    use super::{super::arguments, *};

    fn checked(words: &[&str]) -> Result<(), String> {
        let mut service = ServiceDescription::new("users", "");
        let kind = Type::OneOf(vec![Type::Literal("ADMIN".to_owned()), Type::Literal("GUEST".to_owned())]);
        let fields = vec![
            Field::new("id", Type::U8),
            Field { optional: true, ..Field::new("kind", kind) },
            Field::new("tags", Type::List(Box::new(Type::Text))),
        ];
        let definition = Definition { doc: String::new(), ty: Type::Record(Record::new(fields)) };
        service.types.insert("User".to_owned(), definition);
        let argument = |name: &str, ty| ArgumentDescription { name: name.to_owned(), ty };
        let mut method = MethodDescription::untyped("add", callboard::Effect::Once, &[]);
        method.arguments = vec![
            argument("user", Type::Named("User".to_owned())),
            argument("scale", Type::Optional(Box::new(Type::F64))),
        ];
        let arguments = arguments::arguments(words).unwrap();
        check(&arguments, &method, &service).map_err(|error| error.to_string())
    }

    #[test]
    fn a_match_passes() {
        assert_eq!(checked(&[r#"{"id": 1, "tags": []}"#]), Ok(()));
        assert_eq!(checked(&[r#"user={"id": 1, "kind": "GUEST", "tags": ["a"], "more": 1}"#, "scale=2"]), Ok(()));
        assert_eq!(checked(&["[1, null, []]", "null"]), Ok(()), "a struct may be an array");
    }

    #[test]
    fn a_mismatch_names_the_place_the_expected_type_and_the_value() {
        let mismatches = [
            (vec![r#"{"id": 300, "tags": []}"#], "argument user.id: expected u8, got 300"),
            (vec![r#"{"id": 1, "tags": ["a", 2]}"#], "argument user.tags[1]: expected text, got 2"),
            (vec![r#"{"id": 1}"#], "argument user.tags: expected [text, ...], got nothing"),
            (
                vec![r#"{"id": 1, "kind": "OWNER", "tags": []}"#],
                "argument user.kind: expected \"ADMIN\" or \"GUEST\", got text \"OWNER\"",
            ),
            (vec!["Ann"], "argument user: expected User, got text \"Ann\""),
            (vec![r#"{"id": 1, "tags": []}"#, "much"], "argument scale: expected f64, got text \"much\""),
            (vec!["scale=1"], "argument user: missing"),
            (vec!["size=1"], "argument size: unknown; the method takes user, scale"),
        ];
        for (words, mismatch) in mismatches {
            assert_eq!(checked(&words), Err(mismatch.to_owned()));
        }
    }
}
