//! Settings as meant: what a command works with.

use std::time::Duration;

use callboard_core::broker::AllowedServices;
use serde_json::Value;

use super::{
    authkey::{Authkey, VARIABLE},
    catalogue::{self, Setting},
    error::SettingError,
    file::GivenPool,
    flags::Flags,
    kind::{Address, Count, FilePath, Kind, PoolName, ServiceNames, Size, Span, SpanOrNone, Switch},
    source::{Source, Sourced},
    typed::{Given, Typed},
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
    /// The same, to be shown.
    pub(crate) rows: Vec<Row>,
}

/// What the broker goes by. Units, defaults and ranges are in [`catalogue`].
#[derive(Debug)]
pub(crate) struct BrokerSettings {
    /// Where it listens for clients.
    pub(crate) frontend: Sourced<String>,
    /// Where it listens for workers and pools.
    pub(crate) backend: Sourced<String>,
    /// Whether it may listen beyond this machine without asking who is there.
    pub(crate) allow_unauthenticated: Sourced<bool>,
    /// Where its keys are.
    pub(crate) authkey: Authkey,
    /// The largest message it reads, in bytes.
    pub(crate) message_bytes_max: Sourced<usize>,
    /// Connections at a time.
    pub(crate) connections_max: Sourced<usize>,
    /// Connections from one address at a time.
    pub(crate) connections_per_address_max: Sourced<usize>,
    /// Connections that were not let in yet.
    pub(crate) handshakes_max: Sourced<usize>,
    /// Bytes waiting for one peer.
    pub(crate) unsent_bytes_max: Sourced<usize>,
    /// Bytes held for all connections together.
    pub(crate) held_bytes_max: Sourced<usize>,
    /// Calls waiting in one service's queue.
    pub(crate) queue_calls_max: Sourced<usize>,
    /// Bytes of bodies waiting in one service's queue.
    pub(crate) queue_bytes_max: Sourced<usize>,
    /// How long the oldest call of a key or address may have waited; `None`: however long.
    pub(crate) queue_age_max: Option<Sourced<Duration>>,
    /// Calls waiting in all queues together.
    pub(crate) waiting_calls_max: Sourced<usize>,
    /// Bytes of bodies waiting in all queues together.
    pub(crate) waiting_bytes_max: Sourced<usize>,
    /// Services that workers may serve; `None`: all.
    pub(crate) services: Option<Sourced<AllowedServices>>,
    /// How often it lets itself be heard.
    pub(crate) heartbeat: Sourced<Duration>,
    /// How long calls may go on once it was asked to stop.
    pub(crate) drain: Sourced<Duration>,
}

/// What a pool goes by.
#[derive(Debug)]
pub(crate) struct PoolSettings {
    /// Its name; `None`: its program's.
    pub(crate) name: Option<Sourced<String>>,
    /// Worker processes.
    pub(crate) size: Sourced<usize>,
    /// The fewest that may be asked for.
    pub(crate) min: Option<Sourced<usize>>,
    /// The most that may be asked for.
    pub(crate) max: Option<Sourced<usize>>,
    /// Where it and its workers find the broker.
    pub(crate) backend: Sourced<String>,
    /// Where their key is.
    pub(crate) authkey: Authkey,
    /// How long calls may go on once it was asked to stop.
    pub(crate) drain: Sourced<Duration>,
    /// How long new processes have to be registered.
    pub(crate) ready: Sourced<Duration>,
    /// How long the new processes of a reload serve beside the old ones.
    pub(crate) trial: Sourced<Duration>,
    /// Calls after which a process is exchanged.
    pub(crate) recycle_calls: Option<Sourced<usize>>,
    /// Bytes of memory above which a process is exchanged.
    pub(crate) recycle_rss: Option<Sourced<usize>>,
}

/// What clients go by.
#[derive(Debug)]
pub(crate) struct ClientSettings {
    /// Where they find the broker.
    pub(crate) frontend: Sourced<String>,
    /// Where their key is.
    pub(crate) authkey: Authkey,
    /// How long a call may take; `None`: for ever.
    pub(crate) timeout: Sourced<Option<Duration>>,
}

/// One setting to be shown.
#[derive(Debug)]
pub(crate) struct Row {
    /// Which.
    pub(crate) setting: &'static Setting,
    /// Its value as it was written, if it has one.
    pub(crate) text: Option<String>,
    /// Its value for programs.
    pub(crate) json: Value,
    /// Where it was written.
    pub(crate) source: Source,
}

impl Settings {
    /// The settings in effect for a command that was given `flags`, in this process's environment.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of the catalogue.
    pub(crate) fn load(flags: &Flags) -> Result<Settings, SettingError> {
        Settings::from_typed(&Typed::gather(flags, &|variable| std::env::var_os(variable))?)
    }

    /// The settings in effect for one pool of the settings file that `flags` name.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn load_pool(flags: &Flags, pool: &GivenPool) -> Result<Settings, SettingError> {
        let mut typed = Typed::gather(flags, &|variable| std::env::var_os(variable))?;
        typed.add_pool(pool);
        Settings::from_typed(&typed)
    }

    /// What `typed` means.
    ///
    /// # Errors
    /// If a text means nothing for its setting, or something out of its range.
    pub(crate) fn from_typed(typed: &Typed) -> Result<Settings, SettingError> {
        let mut reader = Reader { typed, rows: Vec::new() };
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
            message_bytes_max: reader.read::<Size>(&catalogue::BROKER_MESSAGE_BYTES_MAX)?,
            connections_max: reader.read::<Count>(&catalogue::BROKER_CONNECTIONS_MAX)?,
            connections_per_address_max: reader.read::<Count>(&catalogue::BROKER_CONNECTIONS_PER_ADDRESS_MAX)?,
            handshakes_max: reader.read::<Count>(&catalogue::BROKER_HANDSHAKES_MAX)?,
            unsent_bytes_max: reader.read::<Size>(&catalogue::BROKER_UNSENT_BYTES_MAX)?,
            held_bytes_max: reader.read::<Size>(&catalogue::BROKER_HELD_BYTES_MAX)?,
            queue_calls_max: reader.read::<Count>(&catalogue::BROKER_QUEUE_CALLS_MAX)?,
            queue_bytes_max: reader.read::<Size>(&catalogue::BROKER_QUEUE_BYTES_MAX)?,
            queue_age_max: reader.read_optional::<Span>(&catalogue::BROKER_QUEUE_AGE_MAX)?,
            waiting_calls_max: reader.read::<Count>(&catalogue::BROKER_WAITING_CALLS_MAX)?,
            waiting_bytes_max: reader.read::<Size>(&catalogue::BROKER_WAITING_BYTES_MAX)?,
            services: reader.read_optional::<ServiceNames>(&catalogue::BROKER_SERVICES)?,
            heartbeat: reader.read::<Span>(&catalogue::BROKER_HEARTBEAT)?,
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
            authkey: reader.authkey(&catalogue::POOL_AUTHKEY_FILE)?,
            drain: reader.read::<Span>(&catalogue::POOL_DRAIN)?,
            ready: reader.read::<Span>(&catalogue::POOL_READY)?,
            trial: reader.read::<Span>(&catalogue::POOL_TRIAL)?,
            recycle_calls: reader.read_optional::<Count>(&catalogue::POOL_RECYCLE_CALLS)?,
            recycle_rss: reader.read_optional::<Size>(&catalogue::POOL_RECYCLE_RSS)?,
        })
    }
}

impl ClientSettings {
    fn read(reader: &mut Reader<'_>) -> Result<ClientSettings, SettingError> {
        Ok(ClientSettings {
            frontend: reader.read::<Address>(&catalogue::CLIENT_FRONTEND)?,
            authkey: reader.authkey(&catalogue::CLIENT_AUTHKEY_FILE)?,
            timeout: reader.read::<SpanOrNone>(&catalogue::CLIENT_TIMEOUT)?,
        })
    }
}

/// Turns texts into values, and notes each for those who look.
struct Reader<'a> {
    typed: &'a Typed,
    rows: Vec<Row>,
}

impl Reader<'_> {
    /// A setting that always has a value.
    fn read<K: Kind>(&mut self, setting: &'static Setting) -> Result<Sourced<K::Meant>, SettingError> {
        let value = self.read_optional::<K>(setting)?;
        Ok(value.expect("a setting that is read so has a default: every test that loads settings would end here"))
    }

    /// Where keys are: in a file, or in a variable, which then is the source that is shown.
    fn authkey(&mut self, setting: &'static Setting) -> Result<Authkey, SettingError> {
        let file = self.read_optional::<FilePath>(setting)?;
        let in_environment = self.typed.has_authkey();
        if file.is_none()
            && in_environment
            && let Some(row) = self.rows.last_mut()
        {
            row.source = Source::Environment(VARIABLE);
        }
        Ok(Authkey { file, in_environment })
    }

    /// A setting that may be absent.
    fn read_optional<K: Kind>(&mut self, setting: &'static Setting) -> Result<Option<Sourced<K::Meant>>, SettingError> {
        let default = || Some(Given { text: setting.default?.to_owned(), source: Source::Default });
        let Some(given) = self.typed.given(setting).cloned().or_else(default) else {
            self.rows.push(Row { setting, text: None, json: Value::Null, source: Source::Default });
            return Ok(None);
        };
        let Given { text, source } = given;
        let value = parse::<K>(setting, &text).map_err(|wrong| SettingError::Value {
            place: source.clone(),
            wrong: in_file::<K>(setting, &source, wrong),
        })?;
        let json = K::json(&value, &text);
        self.rows.push(Row { setting, text: Some(text), json, source: source.clone() });
        Ok(Some(Sourced { value, source }))
    }
}

/// What `text` means for `setting`, or what is wrong with it.
fn parse<K: Kind>(setting: &Setting, text: &str) -> Result<K::Meant, String> {
    let wrong = || match setting.range {
        // Of a number with a sign it would not be true that it is none.
        Some([min, _]) if text.strip_prefix('-').is_some_and(|rest| K::parse(rest).is_some()) => too_little(text, min),
        _ => format!("{text:?} is not {}; {}", K::NOUN, K::WRITE),
    };
    let value = K::parse(text).ok_or_else(wrong)?;
    let Some([min, max]) = setting.range else { return Ok(value) };
    let magnitude = K::magnitude(&value);
    let bound = |text| K::parse(text).and_then(|value| K::magnitude(&value));
    if magnitude.zip(bound(min)).is_some_and(|(value, min)| value < min) {
        return Err(too_little(text, min));
    }
    // A bound beyond this machine's numbers bounds nothing.
    if magnitude.zip(bound(max)).is_some_and(|(value, max)| value > max) {
        return Err(format!("{text} is too much; write at most {max}"));
    }
    Ok(value)
}

fn too_little(text: &str, min: &str) -> String {
    format!("{text} is too little; write at least {min}")
}

/// In a file the line alone does not say which setting is meant, and quotes matter.
fn in_file<K: Kind>(setting: &Setting, source: &Source, wrong: String) -> String {
    match source {
        Source::File(..) if K::QUOTED => format!("{}: {wrong}, in quotes", setting.key),
        Source::File(..) => format!("{}: {wrong}", setting.key),
        _ => wrong,
    }
}
