//! The conversion of a description to CDDL (RFC 8610).

use std::fmt::Write as _;

use super::{
    MethodDescription, ServiceDescription,
    schema::{Field, Record, Type},
};
use crate::wire::method::is_identifier;

/// The names that CDDL predefines (RFC 8610 appendix D).
const PRELUDE: &[&str] = &[
    "any",
    "uint",
    "nint",
    "int",
    "bstr",
    "bytes",
    "tstr",
    "text",
    "tdate",
    "time",
    "number",
    "biguint",
    "bignint",
    "bigint",
    "integer",
    "unsigned",
    "decfrac",
    "bigfloat",
    "eb64url",
    "eb64legacy",
    "eb16",
    "uri",
    "b64url",
    "b64legacy",
    "regexp",
    "float16",
    "float32",
    "float64",
    "float",
    "false",
    "true",
    "bool",
    "nil",
    "null",
    "undefined",
];

impl ServiceDescription {
    /// Returns the service in CDDL: for each method its arguments, the items of its streams, its result and the details of its error,
    /// and all named types.
    pub fn cddl(&self) -> String {
        let mut out = String::new();
        comment(&mut out, "", &format!("{}, contract {}", self.name, self.hash()));
        comment(&mut out, "", &self.doc);
        for method in &self.methods {
            self.write_method(&mut out, method);
        }
        for (name, definition) in &self.types {
            out.push('\n');
            comment(&mut out, "", &definition.doc);
            rule(&mut out, &name_of(name), &type_of(&definition.ty));
        }
        out
    }

    fn write_method(&self, out: &mut String, method: &MethodDescription) {
        let name = format!("{}.{}", self.name, method.name);
        out.push('\n');
        comment(out, "", &method.to_string());
        comment(out, "", &method.doc);
        let field = |name: &String, ty: &Type| Field {
            optional: matches!(ty, Type::Optional(_)),
            ..Field::new(name, ty.clone())
        };
        let fields: Vec<_> = method.arguments.iter().map(|argument| field(&argument.name, &argument.ty)).collect();
        let named = Record { fields, closed: true };
        let positions: Vec<_> = named.fields.iter().map(entry).collect();
        rule(out, &format!("{name}.arguments"), &format!("[{}] / {}", positions.join(", "), record(&named)));
        for (direction, item) in [("incoming", &method.incoming), ("outgoing", &method.outgoing)] {
            if let Some(item) = item {
                rule(out, &format!("{name}.{direction}"), &type_of(item));
            }
        }
        rule(out, &format!("{name}.result"), &type_of(&method.result));
        if let Some(error) = &method.error {
            rule(out, &format!("{name}.error"), &type_of(&error.ty));
        }
    }
}

fn rule(out: &mut String, name: &str, definition: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{name} = {definition}");
}

fn comment(out: &mut String, indent: &str, text: &str) {
    for line in text.lines() {
        let line: String = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let _ = writeln!(out, "{indent}; {}", line.trim());
    }
}

fn type_of(ty: &Type) -> String {
    match ty {
        Type::Any | Type::Opaque(_) => "any".to_owned(),
        Type::Null => "null".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::U8 => "0..255".to_owned(),
        Type::U16 => "0..65535".to_owned(),
        Type::U32 => "0..4294967295".to_owned(),
        Type::U64 => "uint".to_owned(),
        Type::U128 => "unsigned".to_owned(),
        Type::I8 => "-128..127".to_owned(),
        Type::I16 => "-32768..32767".to_owned(),
        Type::I32 => "-2147483648..2147483647".to_owned(),
        Type::I64 => "-9223372036854775808..9223372036854775807".to_owned(),
        Type::I128 => "integer".to_owned(),
        Type::F32 | Type::F64 => "number".to_owned(),
        Type::Char => "tstr .size (1..4)".to_owned(),
        Type::Text => "tstr".to_owned(),
        Type::Bytes => "bstr".to_owned(),
        Type::Literal(literal) => text(literal),
        Type::Optional(inner) => format!("{} / null", type_of(inner)),
        Type::List(inner) => format!("[* {}]", single(inner)),
        Type::Map(inner) => format!("{{* {} => {}}}", single(&inner.0), type_of(&inner.1)),
        Type::Tuple(all) => format!("[{}]", all.iter().map(single).collect::<Vec<_>>().join(", ")),
        Type::Record(inner) => record(inner),
        Type::OneOf(all) if all.is_empty() => "any .and undefined".to_owned(),
        Type::OneOf(all) => all.iter().map(type_of).collect::<Vec<_>>().join(" / "),
        Type::Named(name) => name_of(name),
    }
}

/// Returns a type in parentheses, if it needs them next to other types.
fn single(ty: &Type) -> String {
    match ty {
        Type::Optional(_) | Type::OneOf(_) => format!("({})", type_of(ty)),
        _ => type_of(ty),
    }
}

fn record(record: &Record) -> String {
    let rest = (!record.closed).then(|| "* tstr => any".to_owned());
    let entries: Vec<_> = record.fields.iter().map(entry).chain(rest).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn entry(field: &Field) -> String {
    let optional = if field.optional { "? " } else { "" };
    let key = if is_identifier(&field.name) { field.name.clone() } else { text(&field.name) };
    format!("{optional}{key}: {}", type_of(&field.ty))
}

/// Returns a text as a CDDL literal.
fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Returns the name of a type as a CDDL name. Rust names may contain characters that CDDL does not allow.
fn name_of(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() || letter == '_' => letter.to_string(),
        letter => format!("_u{:x}_", u32::from(letter)),
    });
    let name: String = letters.collect();
    let starts_valid = name.starts_with(|first: char| !first.is_ascii_digit());
    if PRELUDE.contains(&name.as_str()) || !starts_valid { format!("_{name}") } else { name }
}
