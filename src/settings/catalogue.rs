//! Every setting there is: its place in the file, its flag, its variables, its default and its range.
//!
//! A new setting is one entry here, its field in [`super::meant`] and its flag in the commands that take it.

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its table in the settings file.
    pub(crate) table: &'static str,
    /// Its key in that table.
    pub(crate) key: &'static str,
    /// Its flag, as people type it.
    pub(crate) flag: &'static str,
    /// Its environment variables; the first one that is set counts.
    pub(crate) variables: &'static [&'static str],
    /// Its value where nobody wrote one, as somebody would write it; `None`: it may be absent.
    pub(crate) default: Option<&'static str>,
    /// The least and the greatest value, as somebody would write them.
    pub(crate) range: Option<[&'static str; 2]>,
}

/// Where the broker listens for clients.
pub(crate) static BROKER_FRONTEND: Setting = Setting {
    table: "broker",
    key: "frontend",
    flag: "--frontend",
    variables: &["CALLBOARD_BROKER_FRONTEND", "CALLBOARD_FRONTEND"],
    default: Some("tcp://127.0.0.1:5559"),
    range: None,
};
/// Where the broker listens for workers and pools.
pub(crate) static BROKER_BACKEND: Setting = Setting {
    table: "broker",
    key: "backend",
    flag: "--backend",
    variables: &["CALLBOARD_BROKER_BACKEND", "CALLBOARD_BACKEND"],
    default: Some("tcp://127.0.0.1:5560"),
    range: None,
};
/// Whether the broker may listen beyond this machine though nobody there proves who they are.
pub(crate) static BROKER_ALLOW_UNAUTHENTICATED: Setting = Setting {
    table: "broker",
    key: "allow_unauthenticated",
    flag: "--allow-unauthenticated",
    variables: &["CALLBOARD_BROKER_ALLOW_UNAUTHENTICATED"],
    default: Some("false"),
    range: None,
};
/// The file with the keys of which every peer must know one; absent: CALLBOARD_AUTHKEY, or nobody is asked.
pub(crate) static BROKER_AUTHKEY_FILE: Setting = Setting {
    table: "broker",
    key: "authkey_file",
    flag: "--authkey-file",
    variables: &["CALLBOARD_BROKER_AUTHKEY_FILE", "CALLBOARD_AUTHKEY_FILE"],
    default: None,
    range: None,
};
/// The largest message that the broker reads. Below the least a full bundle would be refused; above the greatest a client's
/// credit would not hold one message.
pub(crate) static BROKER_MESSAGE_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "message_bytes_max",
    flag: "--message-bytes-max",
    variables: &["CALLBOARD_BROKER_MESSAGE_BYTES_MAX"],
    default: Some("16MiB"),
    range: Some(["128KiB", "32MiB"]),
};
/// Connections that the broker holds at a time; further ones wait until one is closed.
pub(crate) static BROKER_CONNECTIONS_MAX: Setting = Setting {
    table: "broker",
    key: "connections_max",
    flag: "--connections-max",
    variables: &["CALLBOARD_BROKER_CONNECTIONS_MAX"],
    default: Some("10000"),
    range: Some(["1", "1000000"]),
};
/// Connections from one address at a time; further ones are refused. Loopback is an address like others.
pub(crate) static BROKER_CONNECTIONS_PER_ADDRESS_MAX: Setting = Setting {
    table: "broker",
    key: "connections_per_address_max",
    flag: "--connections-per-address-max",
    variables: &["CALLBOARD_BROKER_CONNECTIONS_PER_ADDRESS_MAX"],
    default: Some("4096"),
    range: Some(["1", "1000000"]),
};
/// Connections that were not let in yet; when there are more, those that stall make way for new ones.
pub(crate) static BROKER_HANDSHAKES_MAX: Setting = Setting {
    table: "broker",
    key: "handshakes_max",
    flag: "--handshakes-max",
    variables: &["CALLBOARD_BROKER_HANDSHAKES_MAX"],
    default: Some("1024"),
    range: Some(["1", "1000000"]),
};
/// Bytes that may wait for one peer that does not read; it is closed above it. At least twice `message_bytes_max`.
pub(crate) static BROKER_UNSENT_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "unsent_bytes_max",
    flag: "--unsent-bytes-max",
    variables: &["CALLBOARD_BROKER_UNSENT_BYTES_MAX"],
    default: Some("64MiB"),
    range: Some(["256KiB", "1024GiB"]),
};
/// Bytes that all connections together may make the broker hold; above it the one that holds most is closed. At least 16 MiB
/// more than `unsent_bytes_max`.
pub(crate) static BROKER_HELD_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "held_bytes_max",
    flag: "--held-bytes-max",
    variables: &["CALLBOARD_BROKER_HELD_BYTES_MAX"],
    default: Some("1GiB"),
    range: Some(["17MiB", "1024GiB"]),
};
/// Calls that may wait in one service's queue.
pub(crate) static BROKER_QUEUE_CALLS_MAX: Setting = Setting {
    table: "broker",
    key: "queue_calls_max",
    flag: "--queue-calls-max",
    variables: &["CALLBOARD_BROKER_QUEUE_CALLS_MAX"],
    default: Some("65536"),
    range: Some(["1", "16777216"]),
};
/// Bytes of bodies that may wait in one service's queue. Below the least the largest message could never wait.
pub(crate) static BROKER_QUEUE_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "queue_bytes_max",
    flag: "--queue-bytes-max",
    variables: &["CALLBOARD_BROKER_QUEUE_BYTES_MAX"],
    default: Some("256MiB"),
    range: Some(["32MiB", "1024GiB"]),
};
/// How long a key's or address's oldest call may have waited for a service before no more are taken; absent: however long.
pub(crate) static BROKER_QUEUE_AGE_MAX: Setting = Setting {
    table: "broker",
    key: "queue_age_max",
    flag: "--queue-age-max",
    variables: &["CALLBOARD_BROKER_QUEUE_AGE_MAX"],
    default: None,
    range: Some(["1ms", "1h"]),
};
/// Calls that may wait in all queues together, a quarter of them of one key or address.
pub(crate) static BROKER_WAITING_CALLS_MAX: Setting = Setting {
    table: "broker",
    key: "waiting_calls_max",
    flag: "--waiting-calls-max",
    variables: &["CALLBOARD_BROKER_WAITING_CALLS_MAX"],
    default: Some("262144"),
    range: Some(["4", "16777216"]),
};
/// Bytes of bodies that may wait in all queues together, a quarter of them of one key or address. Below the least the largest message
/// of the default could never wait.
pub(crate) static BROKER_WAITING_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "waiting_bytes_max",
    flag: "--waiting-bytes-max",
    variables: &["CALLBOARD_BROKER_WAITING_BYTES_MAX"],
    default: Some("1GiB"),
    range: Some(["64MiB", "1024GiB"]),
};
/// The services that workers may serve; absent: all. Pools serve their own besides.
pub(crate) static BROKER_SERVICES: Setting = Setting {
    table: "broker",
    key: "services",
    flag: "--services",
    variables: &["CALLBOARD_BROKER_SERVICES"],
    default: None,
    range: None,
};
/// How often the broker lets itself be heard; a peer is lost after three of its own.
pub(crate) static BROKER_HEARTBEAT: Setting = Setting {
    table: "broker",
    key: "heartbeat",
    flag: "--heartbeat",
    variables: &["CALLBOARD_BROKER_HEARTBEAT"],
    default: Some("1s"),
    range: Some(["10ms", "10m"]),
};
/// How long the broker lets calls finish when it is asked to stop.
pub(crate) static BROKER_DRAIN: Setting = Setting {
    table: "broker",
    key: "drain",
    flag: "--drain",
    variables: &["CALLBOARD_BROKER_DRAIN"],
    default: Some("5s"),
    range: Some(["0s", "24h"]),
};
/// The pool's name; absent: its program's.
pub(crate) static POOL_NAME: Setting = Setting {
    table: "pool",
    key: "name",
    flag: "--name",
    variables: &["CALLBOARD_POOL_NAME"],
    default: None,
    range: None,
};
/// Worker processes of the pool.
pub(crate) static POOL_SIZE: Setting = Setting {
    table: "pool",
    key: "size",
    flag: "-n",
    variables: &["CALLBOARD_POOL_SIZE"],
    default: Some("4"),
    range: Some(["1", "256"]),
};
/// The fewest worker processes that anybody may ask of the pool. Written without a size, the load says how many there are.
pub(crate) static POOL_MIN: Setting = Setting {
    table: "pool",
    key: "min",
    flag: "--min",
    variables: &["CALLBOARD_POOL_MIN"],
    default: None,
    range: Some(["1", "256"]),
};
/// The most worker processes that anybody may ask of the pool.
pub(crate) static POOL_MAX: Setting = Setting {
    table: "pool",
    key: "max",
    flag: "--max",
    variables: &["CALLBOARD_POOL_MAX"],
    default: None,
    range: Some(["1", "256"]),
};
/// Where the pool and its workers find the broker.
pub(crate) static POOL_BACKEND: Setting = Setting {
    table: "pool",
    key: "backend",
    flag: "--backend",
    variables: &["CALLBOARD_POOL_BACKEND", "CALLBOARD_BACKEND"],
    default: Some("tcp://127.0.0.1:5560"),
    range: None,
};
/// The file with the key by which the pool and its workers prove themselves; absent: CALLBOARD_AUTHKEY, or none.
pub(crate) static POOL_AUTHKEY_FILE: Setting = Setting {
    table: "pool",
    key: "authkey_file",
    flag: "--authkey-file",
    variables: &["CALLBOARD_POOL_AUTHKEY_FILE", "CALLBOARD_AUTHKEY_FILE"],
    default: None,
    range: None,
};
/// How long the pool lets calls finish when it is asked to stop.
pub(crate) static POOL_DRAIN: Setting = Setting {
    table: "pool",
    key: "drain",
    flag: "--drain",
    variables: &["CALLBOARD_POOL_DRAIN"],
    default: Some("30s"),
    range: Some(["0s", "24h"]),
};
/// How long new worker processes have to be registered before the old ones are kept after all.
pub(crate) static POOL_READY: Setting = Setting {
    table: "pool",
    key: "ready",
    flag: "--ready",
    variables: &["CALLBOARD_POOL_READY"],
    default: Some("60s"),
    range: Some(["1s", "1h"]),
};
/// How long the new worker processes of a reload serve beside the old ones before these leave.
pub(crate) static POOL_TRIAL: Setting = Setting {
    table: "pool",
    key: "trial",
    flag: "--trial",
    variables: &["CALLBOARD_POOL_TRIAL"],
    default: Some("2s"),
    range: Some(["0s", "1h"]),
};
/// Calls after which a worker process is exchanged for a new one; absent: never.
pub(crate) static POOL_RECYCLE_CALLS: Setting = Setting {
    table: "pool",
    key: "recycle_calls",
    flag: "--recycle-calls",
    variables: &["CALLBOARD_POOL_RECYCLE_CALLS"],
    default: None,
    range: Some(["1", "1000000000000"]),
};
/// Memory above which a worker process is exchanged for a new one; absent: never.
pub(crate) static POOL_RECYCLE_RSS: Setting = Setting {
    table: "pool",
    key: "recycle_rss",
    flag: "--recycle-rss",
    variables: &["CALLBOARD_POOL_RECYCLE_RSS"],
    default: None,
    range: Some(["1MiB", "1024GiB"]),
};
/// Where clients find the broker.
pub(crate) static CLIENT_FRONTEND: Setting = Setting {
    table: "client",
    key: "frontend",
    flag: "--frontend",
    variables: &["CALLBOARD_CLIENT_FRONTEND", "CALLBOARD_FRONTEND"],
    default: Some("tcp://127.0.0.1:5559"),
    range: None,
};
/// The file with the key by which clients prove themselves; absent: CALLBOARD_AUTHKEY, or none.
pub(crate) static CLIENT_AUTHKEY_FILE: Setting = Setting {
    table: "client",
    key: "authkey_file",
    flag: "--authkey-file",
    variables: &["CALLBOARD_CLIENT_AUTHKEY_FILE", "CALLBOARD_AUTHKEY_FILE"],
    default: None,
    range: None,
};
/// How long a call may take, connecting and queueing included.
pub(crate) static CLIENT_TIMEOUT: Setting = Setting {
    table: "client",
    key: "timeout",
    flag: "--timeout",
    variables: &["CALLBOARD_CLIENT_TIMEOUT"],
    default: Some("30s"),
    range: Some(["1ms", "8760h"]),
};

/// All of them, in the order in which they are shown.
pub(crate) static SETTINGS: [&Setting; 32] = [
    &BROKER_FRONTEND,
    &BROKER_BACKEND,
    &BROKER_ALLOW_UNAUTHENTICATED,
    &BROKER_AUTHKEY_FILE,
    &BROKER_MESSAGE_BYTES_MAX,
    &BROKER_CONNECTIONS_MAX,
    &BROKER_CONNECTIONS_PER_ADDRESS_MAX,
    &BROKER_HANDSHAKES_MAX,
    &BROKER_UNSENT_BYTES_MAX,
    &BROKER_HELD_BYTES_MAX,
    &BROKER_QUEUE_CALLS_MAX,
    &BROKER_QUEUE_BYTES_MAX,
    &BROKER_QUEUE_AGE_MAX,
    &BROKER_WAITING_CALLS_MAX,
    &BROKER_WAITING_BYTES_MAX,
    &BROKER_SERVICES,
    &BROKER_HEARTBEAT,
    &BROKER_DRAIN,
    &POOL_NAME,
    &POOL_SIZE,
    &POOL_MIN,
    &POOL_MAX,
    &POOL_BACKEND,
    &POOL_AUTHKEY_FILE,
    &POOL_DRAIN,
    &POOL_READY,
    &POOL_TRIAL,
    &POOL_RECYCLE_CALLS,
    &POOL_RECYCLE_RSS,
    &CLIENT_FRONTEND,
    &CLIENT_AUTHKEY_FILE,
    &CLIENT_TIMEOUT,
];

/// The tables of the settings file.
pub(crate) const TABLES: [&str; 3] = ["broker", "pool", "client"];

/// The settings of one table.
pub(crate) fn settings_of(table: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.into_iter().filter(move |setting| setting.table == table)
}

/// The variables of all settings.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    SETTINGS.into_iter().flat_map(|setting| setting.variables).copied()
}
