//! The text form of a range of protocol versions, for messages.

/// Returns `version 2`, or `versions 2 to 4`.
pub(crate) fn describe(first: u32, last: u32) -> String {
    if first == last { format!("version {first}") } else { format!("versions {first} to {last}") }
}
