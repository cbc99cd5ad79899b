//! What every command takes that is a client of a broker.

use clap::Args;

use crate::settings::Flags;

/// Where the broker is, how long to wait for it, and how to be let in.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Give up after this long, or none for never; a broker is looked for as long, too, and for 3s if nothing is set [default: 30s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
    /// Connect to the broker here [default: tcp://127.0.0.1:5559]
    #[arg(long, global = true, value_name = "URL")]
    frontend: Option<String>,
    /// Prove the first key of this file (or of CALLBOARD_AUTHKEY) to the broker
    #[arg(long, global = true, value_name = "FILE")]
    authkey_file: Option<String>,
}

impl Connection {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        Flags::default()
            .with("--frontend", self.frontend.as_ref())
            .with("--timeout", self.timeout.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref())
    }
}
