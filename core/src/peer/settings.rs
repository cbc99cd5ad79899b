//! Who a peer says it is.

use std::time::Duration;

use crate::{
    auth::{AuthKey, Nonce},
    wire::{
        handshake::{Hello, Role},
        ids::{ConnectionNumber, SessionId},
        limits,
    },
};

/// What a client or a worker tells the broker about itself, the same on each of its connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its session: random, so it comes from the driver, and secret to its owner.
    pub session: SessionId,
    /// How often it lets itself be heard; default [`limits::HEARTBEAT_DEFAULT`], kept within [`limits::HEARTBEAT_MIN`]
    /// and [`limits::HEARTBEAT_MAX`]. Too low: load; too high: the broker notices late that the peer is gone. It is
    /// also the longest pause between two attempts to connect.
    pub heartbeat: Duration,
    /// A name for people, such as `calculator-3`.
    pub instance: String,
    /// The pool it belongs to.
    pub pool: Option<String>,
    /// Its pool's process, as that machine numbers it.
    pub pool_pid: Option<u32>,
    /// Its process, as its machine numbers it.
    pub pid: Option<u32>,
    /// Its machine's name.
    pub host: String,
    /// The largest message it accepts, in bytes; `None`: the default of the protocol.
    pub message_bytes_max: Option<u64>,
    /// The key that it shares with its broker. With one, it joins no broker that does not know it, too.
    pub key: Option<AuthKey>,
}

impl Settings {
    /// A peer of which nothing but its session is known.
    pub fn new(session: SessionId) -> Settings {
        Settings {
            session,
            heartbeat: limits::HEARTBEAT_DEFAULT,
            instance: String::new(),
            pool: None,
            pool_pid: None,
            pid: None,
            host: String::new(),
            // A DEALER takes whatever its broker does.
            message_bytes_max: Some(u64::MAX),
            key: None,
        }
    }

    /// The heartbeat, within its limits.
    pub(super) fn heartbeat(&self) -> Duration {
        self.heartbeat.clamp(limits::HEARTBEAT_MIN, limits::HEARTBEAT_MAX)
    }

    /// The first word on the connection of that number.
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
