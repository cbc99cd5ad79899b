//! One line of the log, in each format.
//!
//! Peers choose some values, such as names. A value in text and logfmt is a plain word, or else a JSON string, so that it can neither
//! begin another line nor control a terminal.

use std::fmt::{self, Debug, Write as _};

use serde_json::Value;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use super::format::Format;
use crate::command::output::escape::{printable, printable_lines};

/// Formats the events of the log.
pub(super) struct LineFormat(pub(super) Format);

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Line::new(*metadata.level(), metadata.target());
        event.record(&mut line);
        let has_colours = writer.has_ansi_escapes();
        line.write(&mut writer, self.0, has_colours)
    }
}

/// One line of the log.
pub(super) struct Line<'a> {
    level: Level,
    target: &'a str,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl<'a> Line<'a> {
    /// Creates a line without a message and fields.
    pub(super) fn new(level: Level, target: &'a str) -> Line<'a> {
        Line { level, target, message: String::new(), fields: Vec::new() }
    }

    /// Sets the message.
    pub(super) fn with_message(self, message: String) -> Line<'a> {
        Line { message, ..self }
    }

    /// Writes the line with its newline.
    pub(super) fn write(&self, out: &mut impl fmt::Write, format: Format, has_colours: bool) -> fmt::Result {
        let time = time_now();
        match format {
            Format::Text => self.write_text(out, &time, has_colours),
            Format::Json => self.write_json(out, &time),
            Format::Logfmt => self.write_logfmt(out, &time),
        }
    }

    fn write_text(&self, out: &mut impl fmt::Write, time: &str, has_colours: bool) -> fmt::Result {
        let Line { level, target, .. } = self;
        match colour(*level).filter(|_| has_colours) {
            Some(colour) => {
                write!(out, "\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m \x1b[2m{target}:\x1b[0m ")?
            }
            None => write!(out, "{time} {level:>5} {target}: ")?,
        }
        out.write_str(&printable_lines(&self.message))?;
        self.fields.iter().try_for_each(|(name, value)| write!(out, " {name}={}", quoted(value)))?;
        out.write_char('\n')
    }

    fn write_logfmt(&self, out: &mut impl fmt::Write, time: &str) -> fmt::Result {
        let level = self.level.as_str().to_lowercase();
        write!(out, "time={time} level={level} target={} message={}", self.target, quoted(&self.message[..].into()))?;
        self.fields.iter().try_for_each(|(name, value)| write!(out, " {name}={}", quoted(value)))?;
        out.write_char('\n')
    }

    fn write_json(&self, out: &mut impl fmt::Write, time: &str) -> fmt::Result {
        let level = self.level.as_str().to_lowercase();
        let (target, message) = (Value::from(self.target), Value::from(&self.message[..]));
        let mut json = format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"target\":{target},\"message\":{message}");
        for (name, value) in &self.fields {
            write!(json, ",{}:{value}", Value::from(*name))?;
        }
        writeln!(out, "{}}}", printable(&json))
    }

    fn push(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.push((field.name(), value.into()));
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            _ => self.push(field, text),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.push(field, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }
}

/// Returns a value as a plain word, or else as a JSON string.
fn quoted(value: &Value) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/@+*".contains(letter);
    match value {
        Value::String(text) if !text.is_empty() && text.chars().all(is_plain) => text.clone(),
        other => printable(&other.to_string()),
    }
}

/// Returns the colour of a level, as the number of an escape sequence; `None` for those without one.
fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::INFO => Some(32),
        Level::DEBUG => Some(34),
        Level::TRACE => Some(35),
    }
}

fn time_now() -> String {
    let mut time = String::new();
    // A text always has room.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> String {
        quoted(&Value::from(value))
    }

    fn line(format: Format) -> String {
        let mut line = Line::new(Level::INFO, "callboard::broker").with_message("worker \"joined\"".to_owned());
        line.fields = vec![("name", "two words".into()), ("running", 3.into())];
        let mut out = String::new();
        line.write(&mut out, format, false).expect("a text has room");
        out
    }

    #[test]
    fn a_value_is_a_plain_word_or_a_json_string() {
        for (value, shown) in [
            ("calculator-3.1", "calculator-3.1"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a\n2026 WARN worker lost", "\"a\\n2026 WARN worker lost\""),
            ("\u{1b}[2J", "\"\\u001b[2J\""),
            ("\u{202e}", "\"\\u202e\""),
        ] {
            assert_eq!(text(value), shown);
        }
        assert_eq!(quoted(&Value::from(3)), "3");
    }

    #[test]
    fn a_line_has_the_same_parts_in_each_format() {
        assert!(
            line(Format::Text).ends_with("Z  INFO callboard::broker: worker \"joined\" name=\"two words\" running=3\n")
        );
        let logfmt =
            " level=info target=callboard::broker message=\"worker \\\"joined\\\"\" name=\"two words\" running=3\n";
        assert!(line(Format::Logfmt).starts_with("time=20") && line(Format::Logfmt).ends_with(logfmt));
        let json: Value = serde_json::from_str(&line(Format::Json)).expect("the line is JSON");
        assert_eq!((&json["level"], &json["message"]), (&"info".into(), &"worker \"joined\"".into()));
        assert_eq!((&json["name"], &json["running"]), (&"two words".into(), &3.into()));
    }
}
