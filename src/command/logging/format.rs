//! The formats of the log.

use clap::ValueEnum;

/// The variable with the format, if `--log-format` is not given.
const VARIABLE: &str = "CALLBOARD_LOG_FORMAT";

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// A JSON object on each line
    Json,
    /// key=value on each line
    Logfmt,
}

impl Format {
    /// Returns the format of the variable, or the default one if it is not set.
    ///
    /// # Errors
    /// If the variable is not a format. Returns what to write.
    pub(super) fn from_environment() -> Result<Format, String> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        if text.is_empty() {
            return Ok(Format::default());
        }
        Format::from_str(&text, false)
            .map_err(|_| format!("{VARIABLE}: {text:?} is not a log format; write text, json or logfmt"))
    }

    /// Returns the name of the format, as a value of `--log-format`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Logfmt => "logfmt",
        }
    }
}
