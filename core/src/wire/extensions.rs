//! The extensions of an envelope.

use std::{fmt, ops::Deref};

use bytes::Bytes;

/// The extension keys of a header (64 and above) as encoded pairs, in order. Each hop copies them.
///
/// Most envelopes have none. So they take the size of one pointer in an envelope, and an allocation only if there are some.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Extensions(Option<Box<Bytes>>);

impl Extensions {
    /// No extensions.
    pub const NONE: Extensions = Extensions(None);

    /// Returns the extensions in memory of their own: a slice of a read buffer would keep the whole buffer alive.
    pub(crate) fn detached(&self) -> Extensions {
        Extensions(self.0.as_ref().map(|pairs| Box::new(Bytes::copy_from_slice(pairs))))
    }
}

impl From<Bytes> for Extensions {
    fn from(pairs: Bytes) -> Extensions {
        Extensions((!pairs.is_empty()).then(|| Box::new(pairs)))
    }
}

impl Deref for Extensions {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |pairs| pairs)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(pairs) => fmt::Debug::fmt(pairs, f),
            None => f.write_str("none"),
        }
    }
}
