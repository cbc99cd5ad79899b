//! The text of `/metrics`: OpenMetrics, or Prometheus' older text format.
//!
//! prometheus-client encodes the text. Its collectors take the values at the time of a scrape, which fits a snapshot: the broker counts
//! without it, and nothing is counted twice. docs/guide/metrics.md lists every metric, and a test compares it with a scrape.

mod broker;
mod families;
mod methods;
mod pools;
mod processes;
mod services;

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text::encode},
    registry::Registry,
};

use self::families::Families;
use super::snapshot::Snapshot;

/// What all names begin with.
const PREFIX: &str = "callboard";

/// A format of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which `promtool check metrics` and some older scrapers read.
    Prometheus,
}

impl Format {
    /// Returns the format for a client with this header `Accept`: OpenMetrics, unless the client accepts only plain text.
    pub(super) fn accepted(accept: &str) -> Format {
        match accept.contains("text/plain") && !accept.contains("application/openmetrics-text") {
            true => Format::Prometheus,
            false => Format::OpenMetrics,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Returns the text of a snapshot.
///
/// # Errors
/// Those of the encoder, for a value that it cannot write.
pub(super) fn text(snapshot: Arc<Snapshot>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Exposition(snapshot)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Prometheus => in_prometheus_format(&text),
    })
}

#[derive(Debug)]
struct Exposition(Arc<Snapshot>);

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut families = Families::new(encoder);
        processes::encode(&self.0, &mut families)?;
        if let Some(Ok(broker)) = &self.0.broker {
            broker::encode(&broker.metrics, &mut families)?;
            services::encode(&broker.metrics, &mut families)?;
            methods::encode(&broker.metrics, &mut families)?;
        }
        if !self.0.pools.is_empty() {
            pools::encode(&self.0, &mut families)?;
        }
        Ok(())
    }
}

/// Converts OpenMetrics to the older format: the name of a counter ends with `_total` in its comments, too, and there are neither
/// units nor an end.
fn in_prometheus_format(text: &str) -> String {
    let is_counter = |help: Option<&str>| help.is_some_and(|line| line.ends_with(" counter"));
    let mut lines = text.lines().peekable();
    let mut converted = String::with_capacity(text.len());
    while let Some(line) = lines.next() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let counter = match line.strip_prefix("# HELP ") {
            Some(_) => is_counter(lines.peek().copied()),
            None => line.starts_with("# TYPE ") && is_counter(Some(line)),
        };
        match line.splitn(4, ' ').collect::<Vec<_>>().as_slice() {
            [hash, kind, name, rest] if counter => converted += &format!("{hash} {kind} {name}_total {rest}\n"),
            _ => {
                converted += line;
                converted.push('\n');
            }
        }
    }
    converted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_in_full_and_has_no_units() {
        let text = "# HELP callboard_sent_bytes Bytes sent.\n# TYPE callboard_sent_bytes counter\n# UNIT callboard_sent_bytes bytes\n\
                    callboard_sent_bytes_total 7\n# HELP callboard_workers Workers.\n# TYPE callboard_workers gauge\n\
                    callboard_workers 3\n# EOF\n";
        let converted = "# HELP callboard_sent_bytes_total Bytes sent.\n# TYPE callboard_sent_bytes_total counter\n\
                         callboard_sent_bytes_total 7\n# HELP callboard_workers Workers.\n# TYPE callboard_workers gauge\n\
                         callboard_workers 3\n";
        assert_eq!(in_prometheus_format(text), converted);
    }

    #[test]
    fn a_client_gets_openmetrics_unless_it_asks_for_plain_text_only() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in ["", "*/*", prometheus] {
            assert_eq!(Format::accepted(accept), Format::OpenMetrics, "{accept}");
        }
        assert_eq!(Format::accepted("text/plain"), Format::Prometheus);
    }

    #[test]
    fn an_empty_snapshot_is_a_complete_text() {
        let text = text(Arc::default(), Format::OpenMetrics).expect("it can be encoded");
        assert!(text.contains("\ncallboard_build_info{version=") && text.ends_with("# EOF\n"), "{text}");
    }
}
