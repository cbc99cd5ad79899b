//! Affinity keys: calls of one key run one at a time, on one worker.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::limits::{AFFINITY_BUCKETS, AFFINITY_KEY_BYTES_MAX};

/// A call's affinity key: a text of 1 to 128 bytes, by which its service sees which calls belong together. It has memory of its own, for
/// it may wait for long; a call without one has room for two pointers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AffinityKey(Arc<str>);

/// What a dispatch says of a call that has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// The call's key.
    pub key: AffinityKey,
    /// Rises each time that the bucket of the key loses its worker: of two handlers of one key, the one with the lower fence is the
    /// one that the broker lost sight of.
    pub fence: u64,
}

/// The text is no affinity key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an affinity key has 1 to {AFFINITY_KEY_BYTES_MAX} bytes, not {bytes}")]
pub struct AffinityKeyError {
    bytes: usize,
}

impl AffinityKey {
    /// The key of that text.
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

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of its service's buckets it is in, below [`AFFINITY_BUCKETS`]: FNV-1a, both halves of it. Whoever chooses keys that
    /// share a bucket makes a worker of his own busy with them, and nothing else: a keyed hash would protect nobody.
    pub fn bucket(&self) -> u16 {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = self.as_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
        let bucket = (hash ^ hash >> 32) % u64::from(AFFINITY_BUCKETS);
        u16::try_from(bucket).expect("it is below a number of 16 bits")
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
    fn a_key_has_a_byte_at_least_and_128_at_most() {
        assert!(AffinityKey::parse("k").is_ok() && AffinityKey::parse("k".repeat(128)).is_ok());
        assert!(AffinityKey::parse("").is_err());
        let error = AffinityKey::parse("k".repeat(129)).unwrap_err();
        assert_eq!(error.to_string(), "an affinity key has 1 to 128 bytes, not 129");
    }

    #[test]
    fn keys_that_count_up_spread_over_all_buckets() {
        let mut calls = vec![0_u32; usize::from(AFFINITY_BUCKETS)];
        (0..20_480)
            .for_each(|user| calls[usize::from(AffinityKey::parse(format!("user-{user}")).unwrap().bucket())] += 1);
        assert!(calls.iter().all(|&calls| (2..60).contains(&calls)), "{calls:?}");
    }
}
