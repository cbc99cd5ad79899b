//! How a worker stands with its broker.

/// How a worker stands with its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is not connected; it keeps trying.
    Apart,
    /// The broker has let it in, and it has registered.
    Joined {
        /// Where clients of the same broker connect: for the worker's own calls.
        frontend: String,
    },
}
