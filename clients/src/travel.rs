//! What the types of a service's trait must be: the macro's code asks it of each, where the trait writes it.

use std::fmt::Display;

use serde::{Serialize, de::DeserializeOwned};

/// An argument or a result: one side writes it, the other reads it.
pub fn value<T: Serialize + DeserializeOwned + 'static>() {}

/// An error of a method's own. Its text is for callers who do not know its type.
pub fn error<E: Serialize + DeserializeOwned + Display + Send + 'static>() {}
