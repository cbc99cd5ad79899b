//! Contracts: machine-readable descriptions of services, with their methods, arguments, results, errors and types.
//!
//! A worker registers the descriptions of its services. The broker stores them without decoding them, and returns them on request.
//!
//! | file | what it holds |
//! |---|---|
//! | `schema` | types as data, and the conversion of Rust types |
//! | `std_types` | the schemas of the types of the standard library |
//! | `hash` | the hash of a contract |
//! | `fits` | whether values of one type can be read as another |
//! | `changes`, `verdict` | the differences of two contracts, and whether they break callers |
//! | `display`, `cddl` | a description as text, and in CDDL |

mod cddl;
mod changes;
mod display;
mod fits;
mod hash;
mod schema;
mod std_types;
#[cfg(test)]
mod tests;
mod verdict;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

pub use self::{
    changes::Change,
    hash::{ContractHash, ContractHashError},
    schema::{Definition, Field, Probe, Record, Schema, Type, Types, WithSchema, WithoutSchema},
    verdict::Verdict,
};
use crate::wire::{self, envelope::Effect};

/// The description of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDescription {
    /// The name.
    pub name: String,
    /// The documentation by its author.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The methods.
    pub methods: Vec<MethodDescription>,
    /// The named types, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Definition>,
}

/// The description of a method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodDescription {
    /// The name.
    pub name: String,
    /// The documentation by its author.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The side effects of the method.
    pub effect: Effect,
    /// The streams of the method.
    #[serde(default)]
    pub style: Style,
    /// The arguments, in order.
    pub arguments: Vec<ArgumentDescription>,
    /// The type of the items that the caller sends, if it sends items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Type>,
    /// The type of the items that the handler sends, if it sends items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<Type>,
    /// The type of the result. Null if the handler sends items.
    pub result: Type,
    /// The application error of the method, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDescription>,
}

/// The streams of a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Style {
    /// One request, one reply.
    #[default]
    Unary,
    /// The handler sends items.
    Server,
    /// The caller sends items.
    Client,
    /// Both send items.
    #[serde(rename = "both")]
    Bidi,
    /// A style that a later version has added.
    #[serde(other)]
    Unknown,
}

/// The description of an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgumentDescription {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// The description of a method's application error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDescription {
    /// The type name of the error on the wire.
    pub name: String,
    /// The type of the error's details.
    #[serde(rename = "type")]
    pub ty: Type,
}

impl ServiceDescription {
    /// Creates the description of a service without methods.
    pub fn new(name: impl Into<String>, doc: impl Into<String>) -> ServiceDescription {
        ServiceDescription { name: name.into(), doc: doc.into(), methods: Vec::new(), types: BTreeMap::new() }
    }

    /// Returns the method of this name.
    pub fn method(&self, name: &str) -> Option<&MethodDescription> {
        self.methods.iter().find(|method| method.name == name)
    }
}

impl MethodDescription {
    /// Creates the description of a method of which only the name, the effect and the names of the arguments are known.
    pub fn untyped(name: impl Into<String>, effect: Effect, arguments: &[String]) -> MethodDescription {
        let argument = |name: &String| ArgumentDescription { name: name.clone(), ty: Type::Any };
        MethodDescription {
            name: name.into(),
            doc: String::new(),
            effect,
            style: Style::Unary,
            arguments: arguments.iter().map(argument).collect(),
            incoming: None,
            outgoing: None,
            result: Type::Any,
            error: None,
        }
    }

    /// Returns the same description with streams of an unknown type.
    #[must_use]
    pub fn streaming(self, style: wire::streams::Style) -> MethodDescription {
        let style = Style::from(style);
        let any_if = |has_items: bool| has_items.then_some(Type::Any);
        let (incoming, outgoing) = (any_if(style.takes_items()), any_if(style.sends_items()));
        let result = if style.sends_items() { Type::Null } else { self.result };
        MethodDescription { style, incoming, outgoing, result, ..self }
    }
}

impl Style {
    /// Returns whether the caller sends items.
    pub fn takes_items(self) -> bool {
        matches!(self, Style::Client | Style::Bidi)
    }

    /// Returns whether the handler sends items.
    pub fn sends_items(self) -> bool {
        matches!(self, Style::Server | Style::Bidi)
    }
}

impl From<wire::streams::Style> for Style {
    fn from(style: wire::streams::Style) -> Style {
        match style {
            wire::streams::Style::Unary => Style::Unary,
            wire::streams::Style::Server => Style::Server,
            wire::streams::Style::Client => Style::Client,
            wire::streams::Style::Bidi => Style::Bidi,
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Style::Unary => "unary",
            Style::Server => "server stream",
            Style::Client => "client stream",
            Style::Bidi => "bidirectional stream",
            Style::Unknown => "unknown style",
        })
    }
}
