//! The bounds of the types in a service's trait. The macro's code checks each type at its place in the trait.

use std::fmt::Display;

use serde::{Serialize, de::DeserializeOwned};

/// Checks an argument or a result: one side serializes it, the other deserializes it.
pub fn value<T: Serialize + DeserializeOwned + 'static>() {}

/// Checks an application error. Its text is for callers without its type.
pub fn error<E: Serialize + DeserializeOwned + Display + Send + 'static>() {}
