//! The environment variables that a pool sets for its workers.

/// The URL of the broker's backend.
pub const BACKEND: &str = "CALLBOARD_BACKEND";
/// The key with which a worker authenticates to the broker.
pub const AUTHKEY: &str = callboard_transport::AUTHKEY_VARIABLE;
/// Variables that name a key file instead. The pool removes them when it sets a key: with both set, `callboard call` in a worker
/// would report a conflict.
pub(super) const AUTHKEY_FILES: [&str; 2] = ["CALLBOARD_AUTHKEY_FILE", "CALLBOARD_CLIENT_AUTHKEY_FILE"];
/// The broker's public key, with which a worker encrypts its connection.
pub const SERVER_KEY: &str = callboard_transport::SERVER_KEY_VARIABLE;
/// The worker's own CURVE key.
pub const CURVE_SECRET: &str = callboard_transport::CURVE_SECRET_VARIABLE;
/// Variables that name the keys of clients instead. The pool removes them when it sets keys.
pub(super) const CURVE_FILES: [&str; 3] =
    ["CALLBOARD_CURVE_SECRET_FILE", "CALLBOARD_CLIENT_CURVE_SECRET_FILE", "CALLBOARD_CLIENT_SERVER_KEY"];
/// The name of the worker's pool.
pub const POOL: &str = "CALLBOARD_POOL";
/// The process id of the worker's pool.
pub const POOL_PID: &str = "CALLBOARD_POOL_PID";
/// The worker's own name: `calculator-3`, and after the second restart of its replica `calculator-3.2`.
pub const INSTANCE: &str = "CALLBOARD_INSTANCE";
/// The worker's end of the lifeline: see [`super::lifeline`].
pub const LIFELINE: &str = "CALLBOARD_LIFELINE";
