//! The catalogue of all settings: place in the file, flag, variables, default and range.
//!
//! A new setting is one entry here, its field in [`super::resolved`] and its flag in the commands that take it.

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its table in the settings file.
    pub(crate) table: &'static str,
    /// Its key in that table.
    pub(crate) key: &'static str,
    /// Its flag, as a user types it.
    pub(crate) flag: &'static str,
    /// Its environment variables. The first one that is set counts.
    pub(crate) variables: &'static [&'static str],
    /// Its default, as a user would write it; `None`: it may be absent.
    pub(crate) default: Option<&'static str>,
    /// The least and the greatest value, as a user would write them.
    pub(crate) range: Option<[&'static str; 2]>,
}

/// The address on which the broker listens for clients.
pub(crate) static BROKER_FRONTEND: Setting = Setting {
    table: "broker",
    key: "frontend",
    flag: "--frontend",
    variables: &["CALLBOARD_BROKER_FRONTEND", "CALLBOARD_FRONTEND"],
    default: Some("tcp://127.0.0.1:5559"),
    range: None,
};
/// The address on which the broker listens for workers and pools.
pub(crate) static BROKER_BACKEND: Setting = Setting {
    table: "broker",
    key: "backend",
    flag: "--backend",
    variables: &["CALLBOARD_BROKER_BACKEND", "CALLBOARD_BACKEND"],
    default: Some("tcp://127.0.0.1:5560"),
    range: None,
};
/// Whether the broker may listen on an address beyond this machine without authentication.
pub(crate) static BROKER_ALLOW_UNAUTHENTICATED: Setting = Setting {
    table: "broker",
    key: "allow_unauthenticated",
    flag: "--allow-unauthenticated",
    variables: &["CALLBOARD_BROKER_ALLOW_UNAUTHENTICATED"],
    default: Some("false"),
    range: None,
};
/// The file with the broker's keys. Each peer must prove one of them. Absent: the key of CALLBOARD_AUTHKEY, or no authentication.
pub(crate) static BROKER_AUTHKEY_FILE: Setting = Setting {
    table: "broker",
    key: "authkey_file",
    flag: "--authkey-file",
    variables: &["CALLBOARD_BROKER_AUTHKEY_FILE", "CALLBOARD_AUTHKEY_FILE"],
    default: None,
    range: None,
};
/// The file with the broker's secret CURVE key, which encrypts connections. Absent: no connection is encrypted. No other variable sets
/// it, so that a broker never takes the key of a client on its host.
pub(crate) static BROKER_CURVE_SECRET_FILE: Setting = Setting {
    table: "broker",
    key: "curve_secret_file",
    flag: "--curve-secret-file",
    variables: &["CALLBOARD_BROKER_CURVE_SECRET_FILE"],
    default: None,
    range: None,
};
/// Which peers may connect without encryption to a broker with a CURVE key.
pub(crate) static BROKER_PLAIN_CONNECTIONS: Setting = Setting {
    table: "broker",
    key: "plain_connections",
    flag: "--plain-connections",
    variables: &["CALLBOARD_BROKER_PLAIN_CONNECTIONS"],
    default: Some("loopback"),
    range: None,
};
/// The file with the peers that the broker knows, and their rights. With it, only these peers and those of `authkey_file` may connect.
pub(crate) static BROKER_PEERS_FILE: Setting = Setting {
    table: "broker",
    key: "peers_file",
    flag: "--peers-file",
    variables: &["CALLBOARD_BROKER_PEERS_FILE", "CALLBOARD_PEERS_FILE"],
    default: None,
    range: None,
};
/// The largest message that the broker reads. Below the minimum, the broker would reject a full bundle. Above the maximum, a
/// client's credit could not hold one message.
pub(crate) static BROKER_MESSAGE_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "message_bytes_max",
    flag: "--message-bytes-max",
    variables: &["CALLBOARD_BROKER_MESSAGE_BYTES_MAX"],
    default: Some("16MiB"),
    range: Some(["128KiB", "32MiB"]),
};
/// Connections that the broker holds at a time. Further ones wait until one is closed.
pub(crate) static BROKER_CONNECTIONS_MAX: Setting = Setting {
    table: "broker",
    key: "connections_max",
    flag: "--connections-max",
    variables: &["CALLBOARD_BROKER_CONNECTIONS_MAX"],
    default: Some("10000"),
    range: Some(["1", "1000000"]),
};
/// Connections from one address at a time. Further ones are rejected. Loopback is an address like any other.
pub(crate) static BROKER_CONNECTIONS_PER_ADDRESS_MAX: Setting = Setting {
    table: "broker",
    key: "connections_per_address_max",
    flag: "--connections-per-address-max",
    variables: &["CALLBOARD_BROKER_CONNECTIONS_PER_ADDRESS_MAX"],
    default: Some("4096"),
    range: Some(["1", "1000000"]),
};
/// Connections whose handshake is not complete. Above the limit, stalled ones are closed to make room for new ones.
pub(crate) static BROKER_HANDSHAKES_MAX: Setting = Setting {
    table: "broker",
    key: "handshakes_max",
    flag: "--handshakes-max",
    variables: &["CALLBOARD_BROKER_HANDSHAKES_MAX"],
    default: Some("1024"),
    range: Some(["1", "1000000"]),
};
/// Bytes that may wait for one peer that does not read. Above the limit its connection is closed. At least twice `message_bytes_max`.
pub(crate) static BROKER_UNSENT_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "unsent_bytes_max",
    flag: "--unsent-bytes-max",
    variables: &["CALLBOARD_BROKER_UNSENT_BYTES_MAX"],
    default: Some("64MiB"),
    range: Some(["256KiB", "1024GiB"]),
};
/// Bytes that the broker may hold for all connections together. Above the limit, the connection that holds most is closed. At
/// least 16 MiB more than `unsent_bytes_max`.
pub(crate) static BROKER_HELD_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "held_bytes_max",
    flag: "--held-bytes-max",
    variables: &["CALLBOARD_BROKER_HELD_BYTES_MAX"],
    default: Some("1GiB"),
    range: Some(["17MiB", "1024GiB"]),
};
/// Calls that may wait in the queue of one service.
pub(crate) static BROKER_QUEUE_CALLS_MAX: Setting = Setting {
    table: "broker",
    key: "queue_calls_max",
    flag: "--queue-calls-max",
    variables: &["CALLBOARD_BROKER_QUEUE_CALLS_MAX"],
    default: Some("65536"),
    range: Some(["1", "16777216"]),
};
/// Bytes of bodies that may wait in the queue of one service. Below the minimum, the largest message could never wait.
pub(crate) static BROKER_QUEUE_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "queue_bytes_max",
    flag: "--queue-bytes-max",
    variables: &["CALLBOARD_BROKER_QUEUE_BYTES_MAX"],
    default: Some("256MiB"),
    range: Some(["32MiB", "1024GiB"]),
};
/// The maximum age of the oldest call of a key or address that waits for a service. Above it, further calls of that key
/// or address to the service are rejected. Absent: no limit.
pub(crate) static BROKER_QUEUE_AGE_MAX: Setting = Setting {
    table: "broker",
    key: "queue_age_max",
    flag: "--queue-age-max",
    variables: &["CALLBOARD_BROKER_QUEUE_AGE_MAX"],
    default: None,
    range: Some(["1ms", "1h"]),
};
/// The expected handler time of the calls that go to one worker in a turn although others are free. 0s: one call each.
pub(crate) static BROKER_BATCH_TIME: Setting = Setting {
    table: "broker",
    key: "batch_time",
    flag: "--batch-time",
    variables: &["CALLBOARD_BROKER_BATCH_TIME"],
    default: Some("200us"),
    range: Some(["0s", "1s"]),
};
/// The time after which a call is logged as slow, with where the time went. Absent: no call is.
pub(crate) static BROKER_SLOW_CALL: Setting = Setting {
    table: "broker",
    key: "slow_call",
    flag: "--slow-call",
    variables: &["CALLBOARD_BROKER_SLOW_CALL"],
    default: None,
    range: Some(["1ms", "24h"]),
};
/// Calls that may wait in all queues together. One key or address may have a quarter of them.
pub(crate) static BROKER_WAITING_CALLS_MAX: Setting = Setting {
    table: "broker",
    key: "waiting_calls_max",
    flag: "--waiting-calls-max",
    variables: &["CALLBOARD_BROKER_WAITING_CALLS_MAX"],
    default: Some("262144"),
    range: Some(["4", "16777216"]),
};
/// Bytes of bodies that may wait in all queues together. One key or address may have a quarter of them. Below the minimum, the
/// largest message of the default size could never wait.
pub(crate) static BROKER_WAITING_BYTES_MAX: Setting = Setting {
    table: "broker",
    key: "waiting_bytes_max",
    flag: "--waiting-bytes-max",
    variables: &["CALLBOARD_BROKER_WAITING_BYTES_MAX"],
    default: Some("1GiB"),
    range: Some(["64MiB", "1024GiB"]),
};
/// The services that workers may serve. Absent: all. Pools always serve their own control service.
pub(crate) static BROKER_SERVICES: Setting = Setting {
    table: "broker",
    key: "services",
    flag: "--services",
    variables: &["CALLBOARD_BROKER_SERVICES"],
    default: None,
    range: None,
};
/// The broker's heartbeat interval. A peer is lost after three of its own intervals without a message.
pub(crate) static BROKER_HEARTBEAT: Setting = Setting {
    table: "broker",
    key: "heartbeat",
    flag: "--heartbeat",
    variables: &["CALLBOARD_BROKER_HEARTBEAT"],
    default: Some("1s"),
    range: Some(["10ms", "10m"]),
};
/// The address of the broker's admin endpoint, for metrics and health over HTTP. none: no endpoint.
pub(crate) static BROKER_ADMIN: Setting = Setting {
    table: "broker",
    key: "admin",
    flag: "--admin",
    variables: &["CALLBOARD_BROKER_ADMIN"],
    default: Some("none"),
    range: None,
};
/// The time that running calls have to finish when the broker is asked to stop.
pub(crate) static BROKER_DRAIN: Setting = Setting {
    table: "broker",
    key: "drain",
    flag: "--drain",
    variables: &["CALLBOARD_BROKER_DRAIN"],
    default: Some("5s"),
    range: Some(["0s", "24h"]),
};
/// The pool's name. Absent: the name of its program.
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
/// The minimum number of worker processes. Without a size, the pool scales with the load.
pub(crate) static POOL_MIN: Setting = Setting {
    table: "pool",
    key: "min",
    flag: "--min",
    variables: &["CALLBOARD_POOL_MIN"],
    default: None,
    range: Some(["1", "256"]),
};
/// The maximum number of worker processes.
pub(crate) static POOL_MAX: Setting = Setting {
    table: "pool",
    key: "max",
    flag: "--max",
    variables: &["CALLBOARD_POOL_MAX"],
    default: None,
    range: Some(["1", "256"]),
};
/// The broker's address for the pool and its workers.
pub(crate) static POOL_BACKEND: Setting = Setting {
    table: "pool",
    key: "backend",
    flag: "--backend",
    variables: &["CALLBOARD_POOL_BACKEND", "CALLBOARD_BACKEND"],
    default: Some("tcp://127.0.0.1:5560"),
    range: None,
};
/// The file with the key of the pool and its workers. Absent: the key of CALLBOARD_AUTHKEY, or none.
pub(crate) static POOL_AUTHKEY_FILE: Setting = Setting {
    table: "pool",
    key: "authkey_file",
    flag: "--authkey-file",
    variables: &["CALLBOARD_POOL_AUTHKEY_FILE", "CALLBOARD_AUTHKEY_FILE"],
    default: None,
    range: None,
};
/// The broker's public key, or the path of its file: the connections are encrypted. Absent: no encryption.
pub(crate) static POOL_SERVER_KEY: Setting = Setting {
    table: "pool",
    key: "server_key",
    flag: "--server-key",
    variables: &["CALLBOARD_POOL_SERVER_KEY", "CALLBOARD_SERVER_KEY"],
    default: None,
    range: None,
};
/// The file with the secret CURVE key of the pool and its workers. Absent: the key of CALLBOARD_CURVE_SECRET, or a random one.
pub(crate) static POOL_CURVE_SECRET_FILE: Setting = Setting {
    table: "pool",
    key: "curve_secret_file",
    flag: "--curve-secret-file",
    variables: &["CALLBOARD_POOL_CURVE_SECRET_FILE", "CALLBOARD_CURVE_SECRET_FILE"],
    default: None,
    range: None,
};
/// The time that running calls have to finish when the pool is asked to stop.
pub(crate) static POOL_DRAIN: Setting = Setting {
    table: "pool",
    key: "drain",
    flag: "--drain",
    variables: &["CALLBOARD_POOL_DRAIN"],
    default: Some("30s"),
    range: Some(["0s", "24h"]),
};
/// The time that new worker processes have to register. After it, the pool keeps the old ones.
pub(crate) static POOL_STARTUP_TIMEOUT: Setting = Setting {
    table: "pool",
    key: "startup_timeout",
    flag: "--startup-timeout",
    variables: &["CALLBOARD_POOL_STARTUP_TIMEOUT"],
    default: Some("60s"),
    range: Some(["1s", "1h"]),
};
/// The time for which the new workers of a reload serve beside the old ones before the old ones leave.
pub(crate) static POOL_CANARY_PERIOD: Setting = Setting {
    table: "pool",
    key: "canary_period",
    flag: "--canary-period",
    variables: &["CALLBOARD_POOL_CANARY_PERIOD"],
    default: Some("2s"),
    range: Some(["0s", "1h"]),
};
/// The address of the pool's admin endpoint, for metrics and health over HTTP. none: no endpoint.
pub(crate) static POOL_ADMIN: Setting = Setting {
    table: "pool",
    key: "admin",
    flag: "--admin",
    variables: &["CALLBOARD_POOL_ADMIN"],
    default: Some("none"),
    range: None,
};
/// The number of calls after which the pool replaces a worker process. Absent: never.
pub(crate) static POOL_RECYCLE_CALLS: Setting = Setting {
    table: "pool",
    key: "recycle_calls",
    flag: "--recycle-calls",
    variables: &["CALLBOARD_POOL_RECYCLE_CALLS"],
    default: None,
    range: Some(["1", "1000000000000"]),
};
/// The memory above which the pool replaces a worker process. Absent: never.
pub(crate) static POOL_RECYCLE_RSS: Setting = Setting {
    table: "pool",
    key: "recycle_rss",
    flag: "--recycle-rss",
    variables: &["CALLBOARD_POOL_RECYCLE_RSS"],
    default: None,
    range: Some(["1MiB", "1024GiB"]),
};
/// The broker's address for clients.
pub(crate) static CLIENT_FRONTEND: Setting = Setting {
    table: "client",
    key: "frontend",
    flag: "--frontend",
    variables: &["CALLBOARD_CLIENT_FRONTEND", "CALLBOARD_FRONTEND"],
    default: Some("tcp://127.0.0.1:5559"),
    range: None,
};
/// The file with the key of clients. Absent: the key of CALLBOARD_AUTHKEY, or none.
pub(crate) static CLIENT_AUTHKEY_FILE: Setting = Setting {
    table: "client",
    key: "authkey_file",
    flag: "--authkey-file",
    variables: &["CALLBOARD_CLIENT_AUTHKEY_FILE", "CALLBOARD_AUTHKEY_FILE"],
    default: None,
    range: None,
};
/// The broker's public key, or the path of its file: the connections are encrypted. Absent: no encryption.
pub(crate) static CLIENT_SERVER_KEY: Setting = Setting {
    table: "client",
    key: "server_key",
    flag: "--server-key",
    variables: &["CALLBOARD_CLIENT_SERVER_KEY", "CALLBOARD_SERVER_KEY"],
    default: None,
    range: None,
};
/// The file with the secret CURVE key of the client. Absent: the key of CALLBOARD_CURVE_SECRET, or a random one.
pub(crate) static CLIENT_CURVE_SECRET_FILE: Setting = Setting {
    table: "client",
    key: "curve_secret_file",
    flag: "--curve-secret-file",
    variables: &["CALLBOARD_CLIENT_CURVE_SECRET_FILE", "CALLBOARD_CURVE_SECRET_FILE"],
    default: None,
    range: None,
};
/// The timeout of a call, which includes connecting and queueing.
pub(crate) static CLIENT_TIMEOUT: Setting = Setting {
    table: "client",
    key: "timeout",
    flag: "--timeout",
    variables: &["CALLBOARD_CLIENT_TIMEOUT"],
    default: Some("30s"),
    range: Some(["1ms", "8760h"]),
};

/// All settings, in the order in which they are shown.
pub(crate) static SETTINGS: [&Setting; 43] = [
    &BROKER_FRONTEND,
    &BROKER_BACKEND,
    &BROKER_ALLOW_UNAUTHENTICATED,
    &BROKER_AUTHKEY_FILE,
    &BROKER_CURVE_SECRET_FILE,
    &BROKER_PLAIN_CONNECTIONS,
    &BROKER_PEERS_FILE,
    &BROKER_MESSAGE_BYTES_MAX,
    &BROKER_CONNECTIONS_MAX,
    &BROKER_CONNECTIONS_PER_ADDRESS_MAX,
    &BROKER_HANDSHAKES_MAX,
    &BROKER_UNSENT_BYTES_MAX,
    &BROKER_HELD_BYTES_MAX,
    &BROKER_QUEUE_CALLS_MAX,
    &BROKER_QUEUE_BYTES_MAX,
    &BROKER_QUEUE_AGE_MAX,
    &BROKER_BATCH_TIME,
    &BROKER_SLOW_CALL,
    &BROKER_WAITING_CALLS_MAX,
    &BROKER_WAITING_BYTES_MAX,
    &BROKER_SERVICES,
    &BROKER_HEARTBEAT,
    &BROKER_ADMIN,
    &BROKER_DRAIN,
    &POOL_NAME,
    &POOL_SIZE,
    &POOL_MIN,
    &POOL_MAX,
    &POOL_BACKEND,
    &POOL_AUTHKEY_FILE,
    &POOL_SERVER_KEY,
    &POOL_CURVE_SECRET_FILE,
    &POOL_DRAIN,
    &POOL_STARTUP_TIMEOUT,
    &POOL_CANARY_PERIOD,
    &POOL_ADMIN,
    &POOL_RECYCLE_CALLS,
    &POOL_RECYCLE_RSS,
    &CLIENT_FRONTEND,
    &CLIENT_AUTHKEY_FILE,
    &CLIENT_SERVER_KEY,
    &CLIENT_CURVE_SECRET_FILE,
    &CLIENT_TIMEOUT,
];

/// Former keys of settings in the file, by table. They are read for one more version.
pub(crate) static FORMER_KEYS: [(&str, &str, &Setting); 2] =
    [("pool", "ready", &POOL_STARTUP_TIMEOUT), ("pool", "trial", &POOL_CANARY_PERIOD)];

/// Former environment variables of settings. They are read for one more version.
pub(crate) static FORMER_VARIABLES: [(&str, &Setting); 2] =
    [("CALLBOARD_POOL_READY", &POOL_STARTUP_TIMEOUT), ("CALLBOARD_POOL_TRIAL", &POOL_CANARY_PERIOD)];

/// The tables of the settings file.
pub(crate) const TABLES: [&str; 3] = ["broker", "pool", "client"];

/// Returns the settings of one table.
pub(crate) fn settings_of(table: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.into_iter().filter(move |setting| setting.table == table)
}

/// Returns the variables of all settings.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    SETTINGS
        .into_iter()
        .flat_map(|setting| setting.variables)
        .copied()
        .chain(FORMER_VARIABLES.into_iter().map(|(variable, _)| variable))
}
