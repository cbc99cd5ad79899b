//! The settings, by precedence: flags, the variables of Callboard, those of this program, a JSON file, defaults.

use std::{
    env, fs,
    io::{self, IsTerminal as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use serde::Deserialize;
use tracing_subscriber::filter::LevelFilter;

/// The command line. Missing values come from the other sources.
#[derive(Debug, Parser)]
struct Flags {
    /// JSON file with settings [variable: POSITION_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the broker [variables: CALLBOARD_BACKEND for the worker, CALLBOARD_FRONTEND for the client, POSITION_ADDRESS]
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// Log level: error, warn, info, debug [variable: POSITION_LOG]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Interval of the steps or requests, in milliseconds [variable: POSITION_EVERY_MS]
    #[arg(long, value_name = "MS")]
    every_ms: Option<u64>,
    /// Size of a step, in degrees [variable: POSITION_DEGREES]
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    degrees: Option<f64>,
    /// Client: read a stream of positions instead of requesting them
    #[arg(long)]
    watch: bool,
}

/// The JSON file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    address: Option<String>,
    log: Option<String>,
    every_ms: Option<u64>,
    degrees: Option<f64>,
}

/// The resolved settings.
pub(crate) struct Settings {
    pub(crate) address: String,
    pub(crate) every: Duration,
    #[allow(dead_code)] // used by the worker
    pub(crate) degrees: f64,
    #[allow(dead_code)] // used by the client
    pub(crate) watch: bool,
}

impl Settings {
    /// Loads the settings and starts the log. `(variable, address)`: the variable of Callboard with the address, and the default.
    ///
    /// # Errors
    /// If a file or a value is invalid.
    pub(crate) fn load((variable_of_address, address): (&str, &str), every_ms: u64) -> anyhow::Result<Settings> {
        let flags = Flags::parse();
        let path = flags.config.or_else(|| env::var_os("POSITION_CONFIG").map(PathBuf::from));
        let file: File = match path {
            Some(path) => {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                serde_json::from_str(&text).with_context(|| format!("cannot use {}", path.display()))?
            }
            None => File::default(),
        };
        let log = flags.log.or(variable("POSITION_LOG")?).or(file.log).unwrap_or_else(|| "info".to_owned());
        let level: LevelFilter = log.parse().with_context(|| format!("{log} is no level of logging"))?;
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .init();
        let every_ms = flags.every_ms.or(variable("POSITION_EVERY_MS")?).or(file.every_ms).unwrap_or(every_ms);
        Ok(Settings {
            address: flags
                .address
                .or(variable(variable_of_address)?)
                .or(variable("POSITION_ADDRESS")?)
                .or(file.address)
                .unwrap_or(address.to_owned()),
            every: Duration::from_millis(every_ms.max(1)),
            degrees: flags.degrees.or(variable("POSITION_DEGREES")?).or(file.degrees).unwrap_or(5.0),
            watch: flags.watch,
        })
    }
}

/// Returns the value of a variable, if it is set.
fn variable<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &str,
) -> anyhow::Result<Option<T>> {
    let Some(text) = env::var(name).ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).with_context(|| format!("{name}={text} cannot be used"))
}
