//! A type as data, and how Rust types become that.

use std::{any::type_name, collections::BTreeMap, marker::PhantomData};

use serde::{Deserialize, Serialize};

/// What values of a type look like as CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Anything.
    Any,
    /// Something that Rust knows by this name, and of which nobody told what it looks like.
    Opaque(String),
    /// Null.
    Null,
    /// True or false.
    Bool,
    /// An integer of 8 bits, without a sign; the others likewise.
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
    /// A floating-point number of 32 bits. An integer that it can hold is one, too.
    F32,
    /// The same with 64 bits.
    F64,
    /// A text of one character.
    Char,
    /// A text.
    Text,
    /// A byte string.
    Bytes,
    /// This text.
    Literal(String),
    /// Null, or this.
    Optional(Box<Type>),
    /// An array of any length.
    List(Box<Type>),
    /// A map from the first to the second.
    Map(Box<(Type, Type)>),
    /// An array of just these.
    Tuple(Vec<Type>),
    /// A map whose keys are known.
    Record(Record),
    /// One of these.
    OneOf(Vec<Type>),
    /// The type of this name: see [`super::ServiceDescription::types`].
    Named(String),
}

/// A map whose keys are known texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What is in it.
    pub fields: Vec<Field>,
    /// Whether other keys are refused. Where not, they are ignored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its key.
    pub name: String,
    /// Its value.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether it may be left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What its author says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

/// A type with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What its author says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// What it is.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// A Rust type that can say what its values look like as CBOR. `#[derive(callboard::Schema)]` writes it for types of your own, by
/// their serde attributes.
///
/// It changes nothing on the wire: it is for `callboard describe`, for who writes a caller in another language, and for whoever
/// wants to know whether a new contract breaks old callers.
pub trait Schema {
    /// What it looks like. Types with names of their own go into `types`.
    fn schema(types: &mut Types) -> Type;
}

/// The types with names that a description has met so far.
#[derive(Debug, Default)]
pub struct Types {
    definitions: BTreeMap<String, Definition>,
    /// What each Rust type, by its full name, is called here.
    names: BTreeMap<&'static str, String>,
}

impl Types {
    /// None yet.
    pub fn new() -> Types {
        Types::default()
    }

    /// The type `T` by its name. `make` says what it is, the first time that it is met; it may meet itself on the way. Where
    /// another type has the same name, this one gets a number behind it.
    pub fn named<T: ?Sized>(&mut self, name: &str, doc: &str, make: impl FnOnce(&mut Types) -> Type) -> Type {
        let rust = type_name::<T>();
        if let Some(known) = self.names.get(rust) {
            return Type::Named(known.clone());
        }
        let numbered = (2..).map(|number| format!("{name}{number}"));
        let free = |name: &String| !self.definitions.contains_key(name);
        let name = std::iter::once(name.to_owned()).chain(numbered).find(free).expect("numbers do not run out");
        self.names.insert(rust, name.clone());
        // Its name is taken while it is made.
        self.definitions.insert(name.clone(), Definition { doc: doc.to_owned(), ty: Type::Any });
        let ty = make(self);
        self.definitions.insert(name.clone(), Definition { doc: doc.to_owned(), ty });
        Type::Named(name)
    }

    /// All that were met, by their names.
    pub fn into_definitions(self) -> BTreeMap<String, Definition> {
        self.definitions
    }
}

impl Field {
    /// A field that is always there.
    pub fn new(name: &str, ty: Type) -> Field {
        Field { name: name.to_owned(), ty, optional: false, doc: String::new() }
    }
}

impl Record {
    /// A record of these fields.
    pub fn new(fields: impl Into<Vec<Field>>) -> Record {
        Record { fields: fields.into(), closed: false }
    }
}

/// Asks a type for its schema whether it has one or not: `(&Probe::<T>::new()).type_of(types, "T")`. The compiler takes [`WithSchema`] where
/// `T` is a [`Schema`] and, one reference further, [`WithoutSchema`] where it is not.
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
