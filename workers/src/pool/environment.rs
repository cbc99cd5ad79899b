//! What a pool tells its workers: environment variables.

/// Where a worker finds the broker: the URL of its backend.
pub const BACKEND: &str = "CALLBOARD_BACKEND";
/// The key by which a worker proves itself to the broker.
pub const AUTHKEY: &str = callboard_transport::AUTHKEY_VARIABLE;
/// Variables that name a file with a key instead: with both set, `callboard call` in a worker would not know which one counts.
pub(super) const AUTHKEY_FILES: [&str; 2] = ["CALLBOARD_AUTHKEY_FILE", "CALLBOARD_CLIENT_AUTHKEY_FILE"];
/// The name of the worker's pool.
pub const POOL: &str = "CALLBOARD_POOL";
/// The process id of the worker's pool.
pub const POOL_PID: &str = "CALLBOARD_POOL_PID";
/// The worker's own name: `calculator-3`, and after its seat's second restart `calculator-3.2`.
pub const INSTANCE: &str = "CALLBOARD_INSTANCE";
/// The worker's end of its lifeline: see [`super::lifeline`].
pub const LIFELINE: &str = "CALLBOARD_LIFELINE";
