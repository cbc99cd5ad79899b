//! Types as data, and the conversion of Rust types.

use std::{any::type_name, collections::BTreeMap, marker::PhantomData};

use serde::{Deserialize, Serialize};

/// A type, by the form of its values in CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Any value.
    Any,
    /// Values of the Rust type of this name, which has no schema.
    Opaque(String),
    /// Null.
    Null,
    /// True or false.
    Bool,
    /// An unsigned integer of 8 bits. The names of the other integers follow the same scheme.
    U8,
    #[allow(missing_docs)]
    U16,
    #[allow(missing_docs)]
    U32,
    #[allow(missing_docs)]
    U64,
    #[allow(missing_docs)]
    U128,
    #[allow(missing_docs)]
    I8,
    #[allow(missing_docs)]
    I16,
    #[allow(missing_docs)]
    I32,
    #[allow(missing_docs)]
    I64,
    #[allow(missing_docs)]
    I128,
    /// A floating-point number of 32 bits, or an integer that it can represent.
    F32,
    /// A floating-point number of 64 bits, or an integer that it can represent.
    F64,
    /// A text of one character.
    Char,
    /// A text.
    Text,
    /// A byte string.
    Bytes,
    /// Exactly this text.
    Literal(String),
    /// Null, or a value of this type.
    Optional(Box<Type>),
    /// An array of any length.
    List(Box<Type>),
    /// A map from keys of the first type to values of the second.
    Map(Box<(Type, Type)>),
    /// An array of exactly these types.
    Tuple(Vec<Type>),
    /// A map with known keys.
    Record(Record),
    /// A value of one of these types.
    OneOf(Vec<Type>),
    /// The named type of this name: see [`super::ServiceDescription::types`].
    Named(String),
}

/// A map with known texts as keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The fields.
    pub fields: Vec<Field>,
    /// Whether other keys are rejected. Otherwise they are ignored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The key.
    pub name: String,
    /// The type of the value.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether the field may be omitted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// The documentation by its author.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

/// The definition of a named type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The documentation by its author.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The type.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// A Rust type with a schema: a description of its values in CBOR. `#[derive(callboard::Schema)]` implements it for your types, from
/// their serde attributes.
///
/// It does not change the wire format. `callboard describe` shows schemas, callers in other languages can be written from them, and
/// `callboard contract diff` uses them to detect changes that break callers.
pub trait Schema {
    /// Returns the schema of the type. Adds named types to `types`.
    fn schema(types: &mut Types) -> Type;
}

/// The named types of a description that is being built.
#[derive(Debug, Default)]
pub struct Types {
    definitions: BTreeMap<String, Definition>,
    /// The name of each Rust type in the description, by its full Rust name.
    names: BTreeMap<&'static str, String>,
}

impl Types {
    /// Creates an empty collection.
    pub fn new() -> Types {
        Types::default()
    }

    /// Returns the type `T` by its name, and defines it with `make` the first time. `make` may refer to `T` again. If another type has
    /// the same name, a number is appended to the name of `T`.
    pub fn named<T: ?Sized>(&mut self, name: &str, doc: &str, make: impl FnOnce(&mut Types) -> Type) -> Type {
        let rust = type_name::<T>();
        if let Some(known) = self.names.get(rust) {
            return Type::Named(known.clone());
        }
        let numbered = (2..).map(|number| format!("{name}{number}"));
        let free = |name: &String| !self.definitions.contains_key(name);
        let name = std::iter::once(name.to_owned()).chain(numbered).find(free).expect("numbers do not run out");
        self.names.insert(rust, name.clone());
        // The name must be in use while `make` runs, which may refer to it.
        self.definitions.insert(name.clone(), Definition { doc: doc.to_owned(), ty: Type::Any });
        let ty = make(self);
        self.definitions.insert(name.clone(), Definition { doc: doc.to_owned(), ty });
        Type::Named(name)
    }

    /// Returns all named types, by name.
    pub fn into_definitions(self) -> BTreeMap<String, Definition> {
        self.definitions
    }
}

impl Field {
    /// Creates a required field.
    pub fn new(name: &str, ty: Type) -> Field {
        Field { name: name.to_owned(), ty, optional: false, doc: String::new() }
    }
}

impl Record {
    /// Creates a record of these fields.
    pub fn new(fields: impl Into<Vec<Field>>) -> Record {
        Record { fields: fields.into(), closed: false }
    }
}

/// Returns the schema of a type, or an opaque type if it has none: `(&Probe::<T>::new()).type_of(types, "T")`. The compiler selects
/// [`WithSchema`] if `T` is a [`Schema`] and otherwise, one reference further, [`WithoutSchema`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Probe<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> Probe<T> {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Probe<T> {
        Probe(PhantomData)
    }
}

#[doc(hidden)]
pub trait WithSchema {
    fn type_of(&self, types: &mut Types, rust: &str) -> Type;
}

#[doc(hidden)]
pub trait WithoutSchema {
    fn type_of(&self, types: &mut Types, rust: &str) -> Type;
}

impl<T: Schema + ?Sized> WithSchema for Probe<T> {
    fn type_of(&self, types: &mut Types, _rust: &str) -> Type {
        T::schema(types)
    }
}

impl<T: ?Sized> WithoutSchema for &Probe<T> {
    fn type_of(&self, _types: &mut Types, rust: &str) -> Type {
        Type::Opaque(rust.to_owned())
    }
}
