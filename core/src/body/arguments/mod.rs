//! The arguments of a call, as one CBOR item (PROTOCOL.md section 8).
//!
//! The caller has [`Arguments`]: a tuple for positions, an [`ArgumentMap`] for names. The worker has [`ArgumentReader`], which
//! finds each parameter's value, whichever way the caller gave it.

mod encode;
mod error;
mod reader;
#[cfg(test)]
mod tests;

pub use encode::{ArgumentMap, Arguments, EncodedArguments, named};
pub use error::{ArgumentError, ArgumentProblem};
pub use reader::ArgumentReader;
