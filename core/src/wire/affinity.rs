//! Affinity keys: calls with the same key run one at a time, on one worker.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::limits::{AFFINITY_BUCKETS, AFFINITY_KEY_BYTES_MAX};

/// The affinity key of a call: a text of 1 to 128 bytes. Calls of one service with equal keys belong together.
///
/// It owns its memory, because a call may wait for a long time and must not keep its message alive. In a call without a key it takes
/// the size of two pointers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AffinityKey(Arc<str>);

/// The affinity of a dispatched call: its key and the fencing token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// The call's key.
    pub key: AffinityKey,
    /// The fencing token. It increases each time that the bucket of the key loses its worker. If two handlers of one
    /// key run, the one with the lower token is on a worker that the broker has lost.
    pub fence: u64,
}

/// A text is not a valid affinity key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an affinity key must have 1 to {AFFINITY_KEY_BYTES_MAX} bytes, not {bytes}")]
pub struct AffinityKeyError {
    bytes: usize,
}

impl AffinityKey {
    /// Creates the key of that text.
    ///
    /// # Errors
    /// [`AffinityKeyError`] if it is empty or longer than 128 bytes.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<AffinityKey, AffinityKeyError> {
        let text = text.into();
        match text.len() {
            1..=AFFINITY_KEY_BYTES_MAX => Ok(AffinityKey(text)),
            bytes => Err(AffinityKeyError { bytes }),
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the bucket of the key in its service, below [`AFFINITY_BUCKETS`]: both halves of its FNV-1a hash, combined.
    ///
    /// The hash needs no secret: a caller that chooses keys of one bucket only loads the one worker that serves this bucket.
    pub fn bucket(&self) -> u16 {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = self.as_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
        let bucket = (hash ^ hash >> 32) % u64::from(AFFINITY_BUCKETS);
        u16::try_from(bucket).expect("it is below AFFINITY_BUCKETS, which has 16 bits")
    }
}

impl TryFrom<String> for AffinityKey {
    type Error = AffinityKeyError;

    fn try_from(text: String) -> Result<AffinityKey, AffinityKeyError> {
        AffinityKey::parse(text)
    }
}

impl From<AffinityKey> for String {
    fn from(key: AffinityKey) -> String {
        key.as_str().to_owned()
    }
}

impl fmt::Display for AffinityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_128_bytes() {
        assert!(AffinityKey::parse("k").is_ok() && AffinityKey::parse("k".repeat(128)).is_ok());
        assert!(AffinityKey::parse("").is_err());
        let error = AffinityKey::parse("k".repeat(129)).unwrap_err();
        assert_eq!(error.to_string(), "an affinity key must have 1 to 128 bytes, not 129");
    }

    #[test]
    fn sequential_keys_are_distributed_over_all_buckets() {
        let mut calls = vec![0_u32; usize::from(AFFINITY_BUCKETS)];
        (0..20_480)
            .for_each(|user| calls[usize::from(AffinityKey::parse(format!("user-{user}")).unwrap().bucket())] += 1);
        assert!(calls.iter().all(|&calls| (2..60).contains(&calls)), "{calls:?}");
    }
}
