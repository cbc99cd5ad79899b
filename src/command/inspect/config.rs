//! `callboard config`: prints the settings in effect, each with its source.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    command::{
        output::{self, exit::Exit, table},
        run::broker::BrokerLimits,
    },
    settings::{Flags, Row, Settings},
};

/// Shown below `callboard config --help`.
const AFTER_HELP: &str = "\
The flags are those of broker, pool and the commands that query a broker. The output shows the settings that such a
command would use with these flags.

The sources of a setting, the strongest first, are a flag, an environment variable, the file named by --config or else by
CALLBOARD_CONFIG, and its default. [broker] message_bytes_max is --message-bytes-max as a flag and
CALLBOARD_BROKER_MESSAGE_BYTES_MAX as a variable. CALLBOARD_FRONTEND and CALLBOARD_BACKEND are addresses to connect to; a
broker binds them too, unless CALLBOARD_BROKER_FRONTEND or CALLBOARD_BROKER_BACKEND is set. An empty variable counts as unset.
A key is read from authkey_file or from the variable CALLBOARD_AUTHKEY, and never printed.

An example file:
  [broker]
  frontend = \"tcp://127.0.0.1:7000\"
  message_bytes_max = \"1MiB\"
  [pool]
  size = 8
  [client]
  frontend = \"tcp://127.0.0.1:7000\"
  timeout = \"5s\"";

/// Print the settings in effect, each with its source
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Config {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// As for broker, and for each command that queries one
    #[arg(long, value_name = "URL")]
    frontend: Option<String>,
    /// As for broker and pool
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// As for broker and pool, and for each command that queries a broker
    #[arg(long, value_name = "FILE")]
    authkey_file: Option<String>,
    /// As for pool, and for each command that queries a broker
    #[arg(long, value_name = "KEY|FILE", allow_hyphen_values = true)]
    server_key: Option<String>,
    /// As for broker and pool, and for each command that queries a broker
    #[arg(long, value_name = "FILE")]
    curve_secret_file: Option<String>,
    /// As for broker
    #[arg(long, value_name = "FILE")]
    peers_file: Option<String>,
    /// As for broker and pool
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
    /// As for broker and pool
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// As for pool
    #[arg(long)]
    name: Option<String>,
    /// As for pool
    #[arg(short = 'n', value_name = "NUMBER")]
    size: Option<String>,
    /// As for each command that queries a broker
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    #[command(flatten, next_help_heading = "As for broker")]
    broker: BrokerLimits,
}

impl Config {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        let flags = Flags::default()
            .with("--frontend", self.frontend.as_ref())
            .with("--backend", self.backend.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref())
            .with("--server-key", self.server_key.as_ref())
            .with("--curve-secret-file", self.curve_secret_file.as_ref())
            .with("--peers-file", self.peers_file.as_ref())
            .with("--drain", self.drain.as_ref())
            .with("--admin", self.admin.as_ref())
            .with("--name", self.name.as_ref())
            .with("-n", self.size.as_ref())
            .with("--timeout", self.timeout.as_ref());
        self.broker.add_to(flags)
    }

    /// Prints the settings.
    pub(crate) fn run(self, settings: &Settings) -> anyhow::Result<Exit> {
        let text = if self.json { as_json(&settings.rows) } else { as_table(&settings.rows) };
        output::print(&text)?;
        Ok(Exit::Success)
    }
}

/// Formats one line per setting, with aligned columns.
fn as_table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| {
        let name = format!("{}.{}", row.setting.table, row.setting.key);
        [name, row.text.clone().unwrap_or_else(|| "-".to_owned()), row.source.to_string()]
    });
    table::render(["SETTING", "VALUE", "SOURCE"], lines)
}

/// Formats `{"broker": {"frontend": {"value": ..., "source": ...}, ...}, ...}`.
fn as_json(rows: &[Row]) -> String {
    let mut tables = Map::new();
    for row in rows {
        let table = tables.entry(row.setting.table).or_insert_with(|| json!({}));
        table[row.setting.key] = json!({ "value": row.json, "source": row.source.to_string() });
    }
    format!("{:#}", Value::Object(tables))
}
