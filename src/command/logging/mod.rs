//! The log. It goes to stderr, since stdout is for results.

mod format;
mod line;
mod writer;

use std::{io, time::Duration};

use anstream::{AutoStream, ColorChoice};
use anyhow::anyhow;
use tracing_subscriber::{
    filter::{LevelFilter, ParseError, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

pub(crate) use self::format::Format;
use self::{line::LineFormat, writer::Writer};
use crate::command::output::{self, exit::Exit};

/// The variable with the log filter, such as `debug` or `warn,callboard::broker=trace`.
const LOG_VARIABLE: &str = "CALLBOARD_LOG";
/// The time that the end of the command waits for its last lines to be written.
const LAST_LINES_WAIT: Duration = Duration::from_secs(1);

/// The log target of `callboard broker`.
pub(crate) const BROKER: &str = "callboard::broker";
/// The log target of `callboard pool`.
pub(crate) const POOL: &str = "callboard::pool";
/// The log target of the admin endpoint.
pub(crate) const ADMIN: &str = "callboard::admin";
/// The log target of `callboard up`.
pub(crate) const UP: &str = "callboard::up";

/// The log of this process. Its last lines may still wait to be written: see [`Log::finish`].
pub(crate) struct Log(Writer);

impl Log {
    /// Starts the log with the filter of CALLBOARD_LOG, else with `level`, and in this format, else in that of CALLBOARD_LOG_FORMAT.
    ///
    /// # Errors
    /// If a variable does not hold a filter or a format.
    pub(crate) fn start(level: &str, format: Option<Format>) -> anyhow::Result<Log> {
        let format = format.map_or_else(Format::from_environment, Ok);
        let format = format.map_err(|error| Exit::Usage.because(anyhow!(error)))?;
        let typed = std::env::var(LOG_VARIABLE).ok().filter(|typed| !typed.is_empty());
        let filter = parse(typed.as_deref().unwrap_or(level)).map_err(|error| {
            let typed = typed.clone().unwrap_or_default();
            Exit::Usage.because(anyhow!(
                "{LOG_VARIABLE}: {typed:?} is not a log filter ({error}); write error, warn, info, debug or trace"
            ))
        })?;
        if let Some(word) = typed.as_deref().and_then(unlikely) {
            output::warn(&format!(
                "{LOG_VARIABLE}: {word} is not a level, so it is a target, and nothing else is logged; \
                 write error, warn, info, debug or trace"
            ));
        }
        // The conventions of NO_COLOR, CLICOLOR and CLICOLOR_FORCE.
        let has_colours = format == Format::Text && AutoStream::choice(&io::stderr()) != ColorChoice::Never;
        let writer = Writer::new(io::stderr(), format);
        let lines = writer.clone();
        // The writer reports lines that it cannot write. The subscriber would panic.
        let layer = tracing_subscriber::fmt::layer().log_internal_errors(false).with_ansi(has_colours);
        let layer = layer.event_format(LineFormat(format)).with_writer(move || lines.clone());
        tracing_subscriber::registry().with(layer).with(filter).init();
        Ok(Log(writer))
    }

    /// Waits until the log is written, for a bounded time. Returns false if it is not: then stderr blocks.
    pub(crate) fn finish(&self) -> bool {
        self.0.finish(LAST_LINES_WAIT)
    }
}

/// Parses directives such as `warn` or `callboard::broker=debug` that are separated by commas. Spaces around them, and empty ones, are
/// ignored: `Targets` would take an empty directive as the prefix of every target.
fn parse(filter: &str) -> Result<Targets, ParseError> {
    let directives: Vec<&str> = filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    if directives.is_empty() {
        Ok(Targets::new().with_default(LevelFilter::ERROR))
    } else {
        directives.join(",").parse()
    }
}

/// Returns a filter that is one word, and neither a level nor a target of ours. It is valid, but probably a misspelled level.
fn unlikely(filter: &str) -> Option<&str> {
    let is_level = filter.parse::<LevelFilter>().is_ok();
    let is_word = !filter.contains(['=', ',', '[']) && !filter.starts_with("callboard");
    (is_word && !is_level).then_some(filter)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn spaces_and_empty_directives_of_a_filter_are_ignored() {
        let filter = parse(" warn,, callboard::broker=debug ,").unwrap();
        assert!(filter.would_enable("callboard::broker", &Level::DEBUG));
        assert!(filter.would_enable("tokio", &Level::WARN));
        assert!(!filter.would_enable("tokio", &Level::INFO));
        let none = parse(",").unwrap();
        assert!(none.would_enable("tokio", &Level::ERROR) && !none.would_enable("tokio", &Level::WARN));
    }

    #[test]
    fn a_word_that_is_not_a_level_gets_a_warning() {
        assert_eq!(unlikely("verbose"), Some("verbose"));
        for filter in ["debug", "WARN", "off", "callboard::broker", "warn,callboard::broker=trace", "tokio=debug"] {
            assert_eq!(unlikely(filter), None, "{filter}");
        }
    }
}
