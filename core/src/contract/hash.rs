//! The hash of a contract.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ServiceDescription, schema::Type};
use crate::body;

/// The hash of a contract: the first eight bytes of a SHA-256, shown as 16 hexadecimal digits.
///
/// It covers the description without its documentation, with the methods ordered by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContractHash(u64);

/// A text is not a [`ContractHash`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid hash of a contract {0:?}: it must be 16 hexadecimal digits in lower case")]
pub struct ContractHashError(String);

impl ServiceDescription {
    /// Returns the hash of the contract. Descriptions that differ only in documentation or in the order of methods have the same hash.
    pub fn hash(&self) -> ContractHash {
        let mut bare = self.clone();
        bare.doc.clear();
        bare.methods.sort_by(|one, other| one.name.cmp(&other.name));
        bare.methods.iter_mut().for_each(|method| method.doc.clear());
        for definition in bare.types.values_mut() {
            definition.doc.clear();
            strip_docs(&mut definition.ty);
        }
        for method in &mut bare.methods {
            method.arguments.iter_mut().for_each(|argument| strip_docs(&mut argument.ty));
            [&mut method.incoming, &mut method.outgoing].into_iter().flatten().for_each(strip_docs);
            strip_docs(&mut method.result);
            method.error.iter_mut().for_each(|error| strip_docs(&mut error.ty));
        }
        // A description that is too deep for a body cannot be sent either, so the hash of its text is enough.
        let canonical = body::encode(&bare).map_or_else(|_| format!("{bare:?}").into_bytes(), |body| body.to_vec());
        let digest = Sha256::digest(canonical);
        let (first, _) = digest.split_at(8);
        ContractHash(u64::from_be_bytes(first.try_into().expect("the first part has 8 bytes")))
    }
}

/// Removes the documentation from a type.
fn strip_docs(ty: &mut Type) {
    match ty {
        Type::Optional(inner) | Type::List(inner) => strip_docs(inner),
        Type::Map(inner) => {
            strip_docs(&mut inner.0);
            strip_docs(&mut inner.1);
        }
        Type::Tuple(all) | Type::OneOf(all) => all.iter_mut().for_each(strip_docs),
        Type::Record(record) => {
            for field in &mut record.fields {
                field.doc.clear();
                strip_docs(&mut field.ty);
            }
        }
        _ => {}
    }
}

impl fmt::Display for ContractHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ContractHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContractHash({self})")
    }
}

impl FromStr for ContractHash {
    type Err = ContractHashError;

    fn from_str(text: &str) -> Result<ContractHash, ContractHashError> {
        let digits = text.len() == 16 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(ContractHash).ok_or_else(|| ContractHashError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for ContractHash {
    type Error = ContractHashError;

    fn try_from(text: String) -> Result<ContractHash, ContractHashError> {
        text.parse()
    }
}

impl From<ContractHash> for String {
    fn from(hash: ContractHash) -> String {
        hash.to_string()
    }
}
