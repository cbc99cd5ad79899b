//! Where a driver runs.

/// Where a driver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On a thread of its own, so that heartbeats do not depend on the program.
    IoThread,
    /// As a task of the program's runtime, so that a call wakes no other thread of the process.
    Inline,
}
