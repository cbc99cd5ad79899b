//! Randomness for the machines, which have none of their own.

use callboard_core::{auth::Nonce, wire::ids::SessionId};

/// Returns a random number for a machine's `Disconnected` event, which derives the reconnect backoff from it.
pub fn random_u32() -> u32 {
    rand::random()
}

/// Returns a random nonce for a machine's `Connected` event, from the thread's generator, which is fit for keys.
pub fn new_nonce() -> Nonce {
    Nonce(rand::random())
}

/// Returns a random session id for a new client or worker.
pub fn new_session_id() -> SessionId {
    SessionId(uuid::Uuid::new_v4().into_bytes())
}
