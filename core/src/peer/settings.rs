//! The settings of a peer, and the hello that it sends to the broker.

use std::time::Duration;

use crate::{
    auth::{AuthKey, Nonce},
    wire::{
        handshake::{Hello, Role},
        ids::{ConnectionNumber, SessionId},
        limits,
    },
};

/// The settings of a client or worker: what its hello contains on each connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its session. It is random, so the driver chooses it, and it is secret.
    pub session: SessionId,
    /// The heartbeat interval. Default: [`limits::HEARTBEAT_DEFAULT`], clamped to [`limits::HEARTBEAT_MIN`] and
    /// [`limits::HEARTBEAT_MAX`]. Too low: more load. Too high: the broker detects the loss of the peer late. It is also the
    /// longest pause between two attempts to connect.
    pub heartbeat: Duration,
    /// A readable name, such as `calculator-3`.
    pub instance: String,
    /// The pool that it belongs to.
    pub pool: Option<String>,
    /// The process id of its pool.
    pub pool_pid: Option<u32>,
    /// Its process id.
    pub pid: Option<u32>,
    /// The name of its host.
    pub host: String,
    /// The largest message that it accepts, in bytes. `None` means the protocol's default.
    pub message_bytes_max: Option<u64>,
    /// The key that it shares with its broker. With a key, the peer rejects a broker that does not know it.
    pub key: Option<AuthKey>,
}

impl Settings {
    /// Creates settings with this session and defaults for everything else.
    pub fn new(session: SessionId) -> Settings {
        Settings {
            session,
            heartbeat: limits::HEARTBEAT_DEFAULT,
            instance: String::new(),
            pool: None,
            pool_pid: None,
            pid: None,
            host: String::new(),
            // A DEALER accepts messages of any size that its broker sends.
            message_bytes_max: Some(u64::MAX),
            key: None,
        }
    }

    /// Returns the heartbeat, clamped to its limits.
    pub(super) fn heartbeat(&self) -> Duration {
        self.heartbeat.clamp(limits::HEARTBEAT_MIN, limits::HEARTBEAT_MAX)
    }

    /// Returns the hello for the connection with that number.
    pub(super) fn hello(&self, role: Role, connection: ConnectionNumber, nonce: Nonce) -> Hello {
        Hello {
            versions: (limits::VERSION_MIN, limits::VERSION_MAX),
            role,
            session: self.session,
            connection,
            heartbeat_ms: u64::try_from(self.heartbeat().as_millis()).expect("a heartbeat is at most ten minutes"),
            instance: self.instance.clone(),
            pool: self.pool.clone(),
            pool_pid: self.pool_pid,
            pid: self.pid,
            host: self.host.clone(),
            capabilities: Vec::new(),
            message_bytes_max: self.message_bytes_max,
            nonce: self.key.as_ref().map(|_| nonce),
        }
    }
}
