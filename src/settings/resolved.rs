//! Settings after parsing: the values that commands use.

use std::time::Duration;

use callboard_core::{broker::AllowedServices, text::excerpt};
use serde_json::Value;

use super::{
    authkey::Authkey,
    catalogue::{self, Setting},
    credentials::CredentialSources,
    curve::BrokerCurve,
    environment::{AUTHKEY_VARIABLE, CURVE_SECRET_VARIABLE},
    error::SettingError,
    file::RawPool,
    flags::Flags,
    kind::{
        Address, AdminAddress, Count, FilePath, Kind, PlainConnectionsKind, PoolName, ServerKey, ServiceNames, Size,
        Span, SpanOrNone, Switch,
    },
    raw::RawSettings,
    source::{RawValue, Source, Sourced},
};

/// All settings in effect.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Table `[broker]`.
    pub(crate) broker: BrokerSettings,
    /// Table `[pool]`.
    pub(crate) pool: PoolSettings,
    /// Table `[client]`.
    pub(crate) client: ClientSettings,
    /// The same, for `callboard config`.
    pub(crate) rows: Vec<Row>,
}

/// The settings of the broker. [`catalogue`] has units, defaults and ranges.
#[derive(Debug)]
pub(crate) struct BrokerSettings {
    /// The address for clients.
    pub(crate) frontend: Sourced<String>,
    /// The address for workers and pools.
    pub(crate) backend: Sourced<String>,
    /// Whether it may listen on an address beyond this machine without authentication.
    pub(crate) allow_unauthenticated: Sourced<bool>,
    /// The source of its keys.
    pub(crate) authkey: Authkey,
    /// Its encryption.
    pub(crate) curve: BrokerCurve,
    /// The file of the peers that it knows, if one is set.
    pub(crate) peers_file: Option<Sourced<String>>,
    /// The largest message that it reads, in bytes.
    pub(crate) message_bytes_max: Sourced<usize>,
    /// Connections at a time.
    pub(crate) connections_max: Sourced<usize>,
    /// Connections from one address at a time.
    pub(crate) connections_per_address_max: Sourced<usize>,
    /// Connections whose handshake is not complete.
    pub(crate) handshakes_max: Sourced<usize>,
    /// Bytes waiting for one peer.
    pub(crate) unsent_bytes_max: Sourced<usize>,
    /// Bytes held for all connections together.
    pub(crate) held_bytes_max: Sourced<usize>,
    /// Calls waiting in the queue of one service.
    pub(crate) queue_calls_max: Sourced<usize>,
    /// Bytes of bodies waiting in the queue of one service.
    pub(crate) queue_bytes_max: Sourced<usize>,
    /// The age limit of the oldest waiting call of a key or address; `None`: no limit.
    pub(crate) queue_age_max: Option<Sourced<Duration>>,
    /// The expected handler time of the calls that go to one worker in a turn.
    pub(crate) batch_time: Sourced<Duration>,
    pub(crate) slow_call: Option<Sourced<Duration>>,
    /// Calls waiting in all queues together.
    pub(crate) waiting_calls_max: Sourced<usize>,
    /// Bytes of bodies waiting in all queues together.
    pub(crate) waiting_bytes_max: Sourced<usize>,
    /// Services that workers may serve; `None`: all.
    pub(crate) services: Option<Sourced<AllowedServices>>,
    /// The heartbeat interval.
    pub(crate) heartbeat: Sourced<Duration>,
    /// The address of its admin endpoint; `None`: no endpoint.
    pub(crate) admin: Sourced<Option<String>>,
    /// The time that running calls have to finish at a stop.
    pub(crate) drain: Sourced<Duration>,
}

/// The settings of a pool.
#[derive(Debug)]
pub(crate) struct PoolSettings {
    /// Its name; `None`: that of its program.
    pub(crate) name: Option<Sourced<String>>,
    /// Worker processes.
    pub(crate) size: Sourced<usize>,
    /// The minimum number of them.
    pub(crate) min: Option<Sourced<usize>>,
    /// The maximum number of them.
    pub(crate) max: Option<Sourced<usize>>,
    /// The broker's address.
    pub(crate) backend: Sourced<String>,
    /// The sources of what the pool and its workers show to the broker.
    pub(crate) credentials: CredentialSources,
    /// The time that running calls have to finish at a stop.
    pub(crate) drain: Sourced<Duration>,
    /// The time that new processes have to register.
    pub(crate) startup_timeout: Sourced<Duration>,
    /// The time for which the new processes of a reload serve beside the old ones.
    pub(crate) canary_period: Sourced<Duration>,
    /// The address of its admin endpoint; `None`: no endpoint.
    pub(crate) admin: Sourced<Option<String>>,
    /// The number of calls after which a process is replaced.
    pub(crate) recycle_calls: Option<Sourced<usize>>,
    /// The memory, in bytes, above which a process is replaced.
    pub(crate) recycle_rss: Option<Sourced<usize>>,
}

/// The settings of clients.
#[derive(Debug)]
pub(crate) struct ClientSettings {
    /// The broker's address.
    pub(crate) frontend: Sourced<String>,
    /// The sources of what the client shows to the broker.
    pub(crate) credentials: CredentialSources,
    /// The timeout of a call; `None`: no timeout.
    pub(crate) timeout: Sourced<Option<Duration>>,
}

/// One setting, as `callboard config` shows it.
#[derive(Debug)]
pub(crate) struct Row {
    /// The setting.
    pub(crate) setting: &'static Setting,
    /// Its value as it was written, if any.
    pub(crate) text: Option<String>,
    /// Its value for JSON output.
    pub(crate) json: Value,
    /// The place where it was written.
    pub(crate) source: Source,
}

impl Settings {
    /// Returns the settings in effect for a command with these `flags`, in this process's environment.
    ///
    /// # Errors
    /// The first invalid setting, in the order of the catalogue.
    pub(crate) fn load(flags: &Flags) -> Result<Settings, SettingError> {
        Settings::resolve(&RawSettings::gather(flags, &|variable| std::env::var_os(variable))?)
    }

    /// Returns the settings in effect for one pool of the settings file that `flags` names.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn load_pool(flags: &Flags, pool: &RawPool) -> Result<Settings, SettingError> {
        let mut raw = RawSettings::gather(flags, &|variable| std::env::var_os(variable))?;
        raw.add_pool(pool);
        Settings::resolve(&raw)
    }

    /// Parses the raw values.
    ///
    /// # Errors
    /// If a value is not valid for its setting, or out of its range.
    pub(crate) fn resolve(raw: &RawSettings) -> Result<Settings, SettingError> {
        let mut reader = Reader { raw, rows: Vec::new() };
        Ok(Settings {
            broker: BrokerSettings::read(&mut reader)?,
            pool: PoolSettings::read(&mut reader)?,
            client: ClientSettings::read(&mut reader)?,
            rows: reader.rows,
        })
    }
}

impl BrokerSettings {
    fn read(reader: &mut Reader<'_>) -> Result<BrokerSettings, SettingError> {
        Ok(BrokerSettings {
            frontend: reader.read::<Address>(&catalogue::BROKER_FRONTEND)?,
            backend: reader.read::<Address>(&catalogue::BROKER_BACKEND)?,
            allow_unauthenticated: reader.read::<Switch>(&catalogue::BROKER_ALLOW_UNAUTHENTICATED)?,
            authkey: reader.authkey(&catalogue::BROKER_AUTHKEY_FILE)?,
            curve: BrokerCurve {
                secret_file: reader.read_optional::<FilePath>(&catalogue::BROKER_CURVE_SECRET_FILE)?,
                plain: reader.read::<PlainConnectionsKind>(&catalogue::BROKER_PLAIN_CONNECTIONS)?,
            },
            peers_file: reader.read_optional::<FilePath>(&catalogue::BROKER_PEERS_FILE)?,
            message_bytes_max: reader.read::<Size>(&catalogue::BROKER_MESSAGE_BYTES_MAX)?,
            connections_max: reader.read::<Count>(&catalogue::BROKER_CONNECTIONS_MAX)?,
            connections_per_address_max: reader.read::<Count>(&catalogue::BROKER_CONNECTIONS_PER_ADDRESS_MAX)?,
            handshakes_max: reader.read::<Count>(&catalogue::BROKER_HANDSHAKES_MAX)?,
            unsent_bytes_max: reader.read::<Size>(&catalogue::BROKER_UNSENT_BYTES_MAX)?,
            held_bytes_max: reader.read::<Size>(&catalogue::BROKER_HELD_BYTES_MAX)?,
            queue_calls_max: reader.read::<Count>(&catalogue::BROKER_QUEUE_CALLS_MAX)?,
            queue_bytes_max: reader.read::<Size>(&catalogue::BROKER_QUEUE_BYTES_MAX)?,
            queue_age_max: reader.read_optional::<Span>(&catalogue::BROKER_QUEUE_AGE_MAX)?,
            batch_time: reader.read::<Span>(&catalogue::BROKER_BATCH_TIME)?,
            slow_call: reader.read_optional::<Span>(&catalogue::BROKER_SLOW_CALL)?,
            waiting_calls_max: reader.read::<Count>(&catalogue::BROKER_WAITING_CALLS_MAX)?,
            waiting_bytes_max: reader.read::<Size>(&catalogue::BROKER_WAITING_BYTES_MAX)?,
            services: reader.read_optional::<ServiceNames>(&catalogue::BROKER_SERVICES)?,
            heartbeat: reader.read::<Span>(&catalogue::BROKER_HEARTBEAT)?,
            admin: reader.read::<AdminAddress>(&catalogue::BROKER_ADMIN)?,
            drain: reader.read::<Span>(&catalogue::BROKER_DRAIN)?,
        })
    }
}

impl PoolSettings {
    fn read(reader: &mut Reader<'_>) -> Result<PoolSettings, SettingError> {
        Ok(PoolSettings {
            name: reader.read_optional::<PoolName>(&catalogue::POOL_NAME)?,
            size: reader.read::<Count>(&catalogue::POOL_SIZE)?,
            min: reader.read_optional::<Count>(&catalogue::POOL_MIN)?,
            max: reader.read_optional::<Count>(&catalogue::POOL_MAX)?,
            backend: reader.read::<Address>(&catalogue::POOL_BACKEND)?,
            credentials: CredentialSources {
                authkey: reader.authkey(&catalogue::POOL_AUTHKEY_FILE)?,
                server_key: reader.read_optional::<ServerKey>(&catalogue::POOL_SERVER_KEY)?,
                curve_secret_file: reader.read_optional::<FilePath>(&catalogue::POOL_CURVE_SECRET_FILE)?,
                curve_secret_in_environment: reader.has_curve_secret(),
            },
            drain: reader.read::<Span>(&catalogue::POOL_DRAIN)?,
            startup_timeout: reader.read::<Span>(&catalogue::POOL_STARTUP_TIMEOUT)?,
            canary_period: reader.read::<Span>(&catalogue::POOL_CANARY_PERIOD)?,
            admin: reader.read::<AdminAddress>(&catalogue::POOL_ADMIN)?,
            recycle_calls: reader.read_optional::<Count>(&catalogue::POOL_RECYCLE_CALLS)?,
            recycle_rss: reader.read_optional::<Size>(&catalogue::POOL_RECYCLE_RSS)?,
        })
    }
}

impl ClientSettings {
    fn read(reader: &mut Reader<'_>) -> Result<ClientSettings, SettingError> {
        Ok(ClientSettings {
            frontend: reader.read::<Address>(&catalogue::CLIENT_FRONTEND)?,
            credentials: CredentialSources {
                authkey: reader.authkey(&catalogue::CLIENT_AUTHKEY_FILE)?,
                server_key: reader.read_optional::<ServerKey>(&catalogue::CLIENT_SERVER_KEY)?,
                curve_secret_file: reader.read_optional::<FilePath>(&catalogue::CLIENT_CURVE_SECRET_FILE)?,
                curve_secret_in_environment: reader.has_curve_secret(),
            },
            timeout: reader.read::<SpanOrNone>(&catalogue::CLIENT_TIMEOUT)?,
        })
    }
}

/// Parses values, and records a row for each.
struct Reader<'a> {
    raw: &'a RawSettings,
    rows: Vec<Row>,
}

impl Reader<'_> {
    /// Reads a setting that has a default.
    fn read<K: Kind>(&mut self, setting: &'static Setting) -> Result<Sourced<K::Value>, SettingError> {
        let value = self.read_optional::<K>(setting)?;
        Ok(value.expect("the setting has a default: every test that loads settings would fail otherwise"))
    }

    /// Reads the source of keys: a file, or the variable, which the row then shows as the source.
    fn authkey(&mut self, setting: &'static Setting) -> Result<Authkey, SettingError> {
        let file = self.read_optional::<FilePath>(setting)?;
        let in_environment = self.raw.has_authkey();
        if file.is_none()
            && in_environment
            && let Some(row) = self.rows.last_mut()
        {
            row.source = Source::Environment(AUTHKEY_VARIABLE);
        }
        Ok(Authkey { file, in_environment })
    }

    /// Returns whether the variable with the secret CURVE key is set. The row of the file, which was read last, then shows it as the source.
    fn has_curve_secret(&mut self) -> bool {
        let is_set = self.raw.has_curve_secret();
        if let Some(row) = self.rows.last_mut().filter(|row| is_set && row.text.is_none()) {
            row.source = Source::Environment(CURVE_SECRET_VARIABLE);
        }
        is_set
    }

    /// Reads a setting that may be absent.
    fn read_optional<K: Kind>(&mut self, setting: &'static Setting) -> Result<Option<Sourced<K::Value>>, SettingError> {
        let default = || Some(RawValue { text: setting.default?.to_owned(), source: Source::Default });
        let Some(raw) = self.raw.value(setting).cloned().or_else(default) else {
            self.rows.push(Row { setting, text: None, json: Value::Null, source: Source::Default });
            return Ok(None);
        };
        let RawValue { text, source } = raw;
        let value = parse::<K>(setting, &text).map_err(|wrong| SettingError::Value {
            place: source.clone(),
            wrong: in_file::<K>(setting, &source, wrong),
        })?;
        let json = K::json(&value, &text);
        self.rows.push(Row { setting, text: Some(text), json, source: source.clone() });
        Ok(Some(Sourced { value, source }))
    }
}

/// Parses `text` as a value of `setting`; the error states the problem and what to write.
fn parse<K: Kind>(setting: &Setting, text: &str) -> Result<K::Value, String> {
    let wrong = || match setting.range {
        // A negative number must be reported as too small, and not as an invalid number.
        Some([min, _]) if text.strip_prefix('-').is_some_and(|rest| K::parse(rest).is_some()) => too_small(text, min),
        _ => format!("{:?} is not {}; {}", excerpt(text), K::NOUN, K::WRITE),
    };
    let value = K::parse(text).ok_or_else(wrong)?;
    let Some([min, max]) = setting.range else { return Ok(value) };
    let magnitude = K::magnitude(&value);
    let bound = |text| K::parse(text).and_then(|value| K::magnitude(&value));
    if magnitude.zip(bound(min)).is_some_and(|(value, min)| value < min) {
        return Err(too_small(text, min));
    }
    // A bound that this machine's integers cannot hold is no bound.
    if magnitude.zip(bound(max)).is_some_and(|(value, max)| value > max) {
        return Err(format!("{} is too large; must be at most {max}", excerpt(text)));
    }
    Ok(value)
}

fn too_small(text: &str, min: &str) -> String {
    format!("{} is too small; must be at least {min}", excerpt(text))
}

/// Adds the key to an error in a file: the line alone does not name the setting. Also adds whether to write quotes.
fn in_file<K: Kind>(setting: &Setting, source: &Source, wrong: String) -> String {
    match source {
        Source::File(..) if K::QUOTED => format!("{}: {wrong}, in quotes", setting.key),
        Source::File(..) => format!("{}: {wrong}", setting.key),
        _ => wrong,
    }
}
