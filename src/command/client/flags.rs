//! The flags of every command that is a client of a broker.

use clap::Args;

use crate::settings::Flags;

/// The address of the broker, the timeout, and the key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionFlags {
    /// Timeout of the command, or none; it includes connecting, which takes at most 3s if no timeout is set [default: 30s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
    /// Address of the broker [default: tcp://127.0.0.1:5559]
    #[arg(long, global = true, value_name = "URL")]
    frontend: Option<String>,
    /// Key file: prove its first key (or that of CALLBOARD_AUTHKEY) to the broker
    #[arg(long, global = true, value_name = "FILE")]
    authkey_file: Option<String>,
    /// The broker's public key, or its file: encrypt the connection
    #[arg(long, global = true, value_name = "KEY|FILE", allow_hyphen_values = true)]
    server_key: Option<String>,
    /// File with the own CURVE key, where the broker knows its peers (or CALLBOARD_CURVE_SECRET)
    #[arg(long, global = true, value_name = "FILE")]
    curve_secret_file: Option<String>,
}

impl ConnectionFlags {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        Flags::default()
            .with("--frontend", self.frontend.as_ref())
            .with("--timeout", self.timeout.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref())
            .with("--server-key", self.server_key.as_ref())
            .with("--curve-secret-file", self.curve_secret_file.as_ref())
    }
}
