//! What can be set, and where: flags, else variables, else a JSON file, else the defaults.

use std::{env, fs, io, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use serde::Deserialize;
use tracing_subscriber::filter::LevelFilter;

/// What was typed. What is not there is looked for elsewhere.
#[derive(Debug, Parser)]
struct Flags {
    /// Read settings from this JSON file [variable: POSITION_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The broker's address for us [variable: POSITION_ADDRESS]
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// What is logged: error, warn, info, debug [variable: POSITION_LOG]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Milliseconds from one step, or one question, to the next [variable: POSITION_EVERY_MS]
    #[arg(long, value_name = "MS")]
    every_ms: Option<u64>,
    /// Degrees of a step [variable: POSITION_DEGREES]
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    degrees: Option<f64>,
    /// Client: read the newest positions as they come, in the place of asking for them
    #[arg(long)]
    watch: bool,
}

/// The same in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    address: Option<String>,
    log: Option<String>,
    every_ms: Option<u64>,
    degrees: Option<f64>,
}

/// What is meant.
pub(crate) struct Settings {
    pub(crate) address: String,
    pub(crate) every: Duration,
    #[allow(dead_code)] // the worker's
    pub(crate) degrees: f64,
    #[allow(dead_code)] // the client's
    pub(crate) watch: bool,
}

impl Settings {
    /// Reads them, and begins to log.
    ///
    /// # Errors
    /// A file or a value that cannot be read.
    pub(crate) fn load(address: &str, every_ms: u64) -> anyhow::Result<Settings> {
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
        tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).init();
        let every_ms = flags.every_ms.or(variable("POSITION_EVERY_MS")?).or(file.every_ms).unwrap_or(every_ms);
        Ok(Settings {
            address: flags.address.or(variable("POSITION_ADDRESS")?).or(file.address).unwrap_or(address.to_owned()),
            every: Duration::from_millis(every_ms.max(1)),
            degrees: flags.degrees.or(variable("POSITION_DEGREES")?).or(file.degrees).unwrap_or(5.0),
            watch: flags.watch,
        })
    }
}

/// The value of a variable, if it is set.
fn variable<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &str,
) -> anyhow::Result<Option<T>> {
    let Ok(text) = env::var(name) else { return Ok(None) };
    text.parse().map(Some).with_context(|| format!("{name}={text} cannot be used"))
}
