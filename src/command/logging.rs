//! The log: on stderr, since stdout is for answers.

use std::io::{self, IsTerminal as _};

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use super::exit::Exit;

/// Says what is logged, as `debug` or `warn,callboard_broker=trace`.
const LOG_VARIABLE: &str = "CALLBOARD_LOG";

/// Starts logging what CALLBOARD_LOG asks for, else `level` and what is worse.
///
/// # Errors
/// If the variable holds something else than a filter.
pub(crate) fn start(level: &str) -> anyhow::Result<()> {
    let typed = std::env::var(LOG_VARIABLE).ok().filter(|typed| !typed.is_empty());
    let filter = EnvFilter::try_new(typed.as_deref().unwrap_or(level)).map_err(|error| {
        let typed = typed.unwrap_or_default();
        Exit::Usage.because(anyhow!(
            "{LOG_VARIABLE}: {typed:?} is not a log filter ({error}); write error, warn, info, debug or trace"
        ))
    })?;
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
    Ok(())
}
