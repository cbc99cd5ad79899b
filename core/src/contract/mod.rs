//! What a service is, in a form that programs can read: its methods, their arguments, results and errors, and their types.
//!
//! A worker registers the description of what it serves; the broker keeps it without looking into it, and whoever asks gets it.
//!
//! | file | what it holds |
//! |---|---|
//! | `schema` | a type as data, and how Rust types become that |
//! | `foreign` | the types of the standard library |
//! | `hash` | what tells two contracts apart |
//! | `fits`, `changes` | whether callers of one contract can go on with another |
//! | `words`, `cddl` | a description as people read it, and in CDDL |

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

/// A service, as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDescription {
    /// Its name.
    pub name: String,
    /// What its author says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// Its methods.
    pub methods: Vec<MethodDescription>,
    /// The types that have names, by these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Definition>,
}

/// One method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodDescription {
    /// Its name.
    pub name: String,
    /// What its author says of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// What it may do to the world.
    pub effect: Effect,
    /// How values travel.
    #[serde(default)]
    pub style: Style,
    /// Its arguments, in order.
    pub arguments: Vec<ArgumentDescription>,
    /// What each item is that its caller sends; only where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Type>,
    /// What each item is that it sends; only where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<Type>,
    /// What it returns; null where it sends items.
    pub result: Type,
    /// Its own error, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDescription>,
}

/// How values travel in a call.
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
    /// A style of a later version.
    #[serde(other)]
    Unknown,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgumentDescription {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// A method's own error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDescription {
    /// What it is called on the wire.
    pub name: String,
    /// What travels as its details.
    #[serde(rename = "type")]
    pub ty: Type,
}

impl ServiceDescription {
    /// A service without methods yet.
    pub fn new(name: impl Into<String>, doc: impl Into<String>) -> ServiceDescription {
        ServiceDescription { name: name.into(), doc: doc.into(), methods: Vec::new(), types: BTreeMap::new() }
    }

    /// The method of this name.
    pub fn method(&self, name: &str) -> Option<&MethodDescription> {
        self.methods.iter().find(|method| method.name == name)
    }
}

impl MethodDescription {
    /// A method of which nothing is known but its name, its effect, and the names of its arguments.
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

    /// The same with streams, of which nothing is known but that they are there.
    #[must_use]
    pub fn streaming(self, style: wire::streams::Style) -> MethodDescription {
        let style = Style::from(style);
        let any = |flows: bool| flows.then_some(Type::Any);
        let (incoming, outgoing) = (any(style.takes_items()), any(style.sends_items()));
        let result = if style.sends_items() { Type::Null } else { self.result };
        MethodDescription { style, incoming, outgoing, result, ..self }
    }
}

impl Style {
    /// Whether the caller sends items.
    pub fn takes_items(self) -> bool {
        matches!(self, Style::Client | Style::Bidi)
    }

    /// Whether the handler does.
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
            Style::Unknown => "of a style that this version does not know",
        })
    }
}
