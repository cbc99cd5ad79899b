//! The log: on stderr, since stdout is for answers.

mod writer;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::anyhow;
use tracing_subscriber::{
    filter::{LevelFilter, ParseError, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use self::writer::Writer;
use crate::command::output::{self, exit::Exit};

/// Says what is logged, as `debug` or `warn,callboard_broker=trace`.
const LOG_VARIABLE: &str = "CALLBOARD_LOG";
/// How long the end of the command waits for its last lines: whoever does not read by then does not want them.
const LAST_LINES_WAIT: Duration = Duration::from_secs(1);

/// The log of this process. Its last lines may still wait to be written: see [`Log::finish`].
pub(crate) struct Log(Writer);

impl Log {
    /// Starts logging what CALLBOARD_LOG asks for, else `level` and what is worse.
    ///
    /// # Errors
    /// If the variable holds something else than a filter.
    pub(crate) fn start(level: &str) -> anyhow::Result<Log> {
        let typed = std::env::var(LOG_VARIABLE).ok().filter(|typed| !typed.is_empty());
        let filter = parse(typed.as_deref().unwrap_or(level)).map_err(|error| {
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
        let writer = Writer::new(io::stderr());
        let lines = writer.clone();
        // A log that cannot be written is told of by the writer; the subscriber would do it by a panic.
        let format = tracing_subscriber::fmt::layer().log_internal_errors(false).with_ansi(colours);
        let format = format.with_writer(move || lines.clone());
        tracing_subscriber::registry().with(format).with(filter).init();
        Ok(Log(writer))
    }

    /// Waits until all that was logged is written, for a bounded time. Whether it was: if not, stderr takes nothing.
    pub(crate) fn finish(&self) -> bool {
        self.0.finish(LAST_LINES_WAIT)
    }
}

/// Parses directives such as `warn` or `callboard_broker=debug` that are separated by commas. Spaces around them, and empty ones, are
/// ignored: `Targets` would take an empty directive as the prefix of every target.
fn parse(filter: &str) -> Result<Targets, ParseError> {
    let directives: Vec<&str> = filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    if directives.is_empty() {
        Ok(Targets::new().with_default(LevelFilter::ERROR))
    } else {
        directives.join(",").parse()
    }
}

/// A filter that is one word, and neither a level nor a part of ours: a filter it is, but hardly what was meant.
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
        let filter = parse(" warn,, callboard_broker=debug ,").unwrap();
        assert!(filter.would_enable("callboard_broker::gate", &Level::DEBUG));
        assert!(filter.would_enable("tokio", &Level::WARN));
        assert!(!filter.would_enable("tokio", &Level::INFO));
        let none = parse(",").unwrap();
        assert!(none.would_enable("tokio", &Level::ERROR) && !none.would_enable("tokio", &Level::WARN));
    }

    #[test]
    fn a_word_that_is_no_level_is_hardly_meant() {
        assert_eq!(unlikely("verbose"), Some("verbose"));
        for meant in ["debug", "WARN", "off", "callboard_broker", "warn,callboard_broker=trace", "tokio=debug"] {
            assert_eq!(unlikely(meant), None, "{meant}");
        }
    }
}
