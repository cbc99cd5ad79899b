//! The log: on stderr, since stdout is for answers.

use std::io::{self, IsTerminal as _};

use anyhow::anyhow;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{exit::Exit, output};

/// Says what is logged, as `debug` or `warn,callboard_broker=trace`.
const LOG_VARIABLE: &str = "CALLBOARD_LOG";

/// Starts logging what CALLBOARD_LOG asks for, else `level` and what is worse.
///
/// # Errors
/// If the variable holds something else than a filter.
pub(crate) fn start(level: &str) -> anyhow::Result<()> {
    let typed = std::env::var(LOG_VARIABLE).ok().filter(|typed| !typed.is_empty());
    let filter = EnvFilter::try_new(typed.as_deref().unwrap_or(level)).map_err(|error| {
        let typed = typed.clone().unwrap_or_default();
        Exit::Usage.because(anyhow!(
            "{LOG_VARIABLE}: {typed:?} is not a log filter ({error}); write error, warn, info, debug or trace"
        ))
    })?;
    if let Some(word) = typed.as_deref().and_then(unlikely) {
        output::warn(&format!(
            "{LOG_VARIABLE}: {word} is no level, so it is the name of a part of a program, and nothing of others is logged; \
             write error, warn, info, debug or trace"
        ));
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
    Ok(())
}

/// A filter that is one word, and neither a level nor a part of ours: a filter it is, but hardly what was meant.
fn unlikely(filter: &str) -> Option<&str> {
    let is_level = filter.parse::<LevelFilter>().is_ok();
    let is_word = !filter.contains(['=', ',', '[']) && !filter.starts_with("callboard");
    (is_word && !is_level).then_some(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_hardly_meant() {
        assert_eq!(unlikely("verbose"), Some("verbose"));
        for meant in ["debug", "WARN", "off", "callboard_broker", "warn,callboard_broker=trace", "zeromq=debug"] {
            assert_eq!(unlikely(meant), None, "{meant}");
        }
    }
}
