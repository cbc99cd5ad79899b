//! The arguments of a call: one CBOR item (PROTOCOL.md section 8).
//!
//! A caller encodes [`Arguments`]: a tuple for positions, an [`ArgumentMap`] for names. A worker reads them with an
//! [`ArgumentReader`], which finds each parameter's value by position or by name.

mod encode;
mod error;
mod reader;
#[cfg(test)]
mod tests;

pub use encode::{ArgumentMap, Arguments, EncodedArguments, named};
pub use error::{ArgumentError, ArgumentProblem};
pub use reader::ArgumentReader;
