//! The text form of types and methods.

use std::fmt;

use super::{
    MethodDescription,
    schema::{Field, Record, Type},
};

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("any"),
            Type::Opaque(rust) => write!(f, "any ({rust})"),
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::U8 => f.write_str("u8"),
            Type::U16 => f.write_str("u16"),
            Type::U32 => f.write_str("u32"),
            Type::U64 => f.write_str("u64"),
            Type::U128 => f.write_str("u128"),
            Type::I8 => f.write_str("i8"),
            Type::I16 => f.write_str("i16"),
            Type::I32 => f.write_str("i32"),
            Type::I64 => f.write_str("i64"),
            Type::I128 => f.write_str("i128"),
            Type::F32 => f.write_str("f32"),
            Type::F64 => f.write_str("f64"),
            Type::Char => f.write_str("char"),
            Type::Text => f.write_str("text"),
            Type::Bytes => f.write_str("bytes"),
            Type::Literal(text) => write!(f, "{text:?}"),
            Type::Optional(inner) => write!(f, "{inner} or null"),
            Type::List(inner) => write!(f, "[{inner}, ...]"),
            Type::Map(inner) => write!(f, "{{{}: {}, ...}}", inner.0, inner.1),
            Type::Tuple(all) => write_list(f, "[", all, ", ", "]"),
            Type::Record(record) => record.fmt(f),
            Type::OneOf(all) => write_list(f, "", all, " or ", ""),
            Type::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, "{", &self.fields, ", ", "}")
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = if self.optional { "?" } else { "" };
        write!(f, "{}{optional}: {}", self.name, self.ty)
    }
}

/// Writes `get_user(id: u32) -> User, or UserError`; with streams `sums(start: i64, stream of i64) -> stream of i64`.
impl fmt::Display for MethodDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (at, argument) in self.arguments.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match argument.ty {
                Type::Any => write!(f, "{comma}{}", argument.name)?,
                ref ty => write!(f, "{comma}{}: {ty}", argument.name)?,
            }
        }
        if let Some(item) = &self.incoming {
            write!(f, "{}stream of {item}", if self.arguments.is_empty() { "" } else { ", " })?;
        }
        f.write_str(")")?;
        match &self.outgoing {
            Some(item) => write!(f, " -> stream of {item}")?,
            None if self.result != Type::Any => write!(f, " -> {}", self.result)?,
            None => {}
        }
        self.error.as_ref().map_or(Ok(()), |error| write!(f, ", or {}", error.name))
    }
}

fn write_list(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    items: &[impl fmt::Display],
    comma: &str,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at > 0 { comma } else { "" })?;
    }
    f.write_str(close)
}
