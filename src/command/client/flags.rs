//! The flags of every command that is a client of a broker.

use clap::Args;

use crate::settings::Flags;

/// The address of the broker, the timeout, and the key.
#[derive(Debug, Args)]
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
}

impl ConnectionFlags {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        Flags::default()
            .with("--frontend", self.frontend.as_ref())
            .with("--timeout", self.timeout.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref())
    }
}
