//! The parameters of a measurement. The JSON report has them, and the processes of the bench receive them as JSON.

use std::{fmt, str::FromStr, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is measured. Two measurements compare if these are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) clients: u32,
    /// Workers, or workers of each pool. 0 with `method`.
    pub(crate) workers: u32,
    /// 0: the workers have no pool.
    pub(crate) pools: u32,
    /// Whether all clients share a process, and all workers another one, with a thread for each.
    pub(crate) threads: bool,
    /// The limit of outstanding calls of a client.
    pub(crate) window: u32,
    /// Bytes of payload in each call or item.
    pub(crate) size: u32,
    pub(crate) style: Style,
    /// Items of each stream.
    pub(crate) items: u32,
    /// 0: the calls have no affinity key.
    pub(crate) keys: u32,
    pub(crate) work: Work,
    /// Slots of each worker.
    pub(crate) slots: u32,
    /// Calls per second of all clients together. `None`: each outstanding call is followed by the next.
    pub(crate) rate: Option<u32>,
    /// Calls of all clients together that wait when the workers start.
    pub(crate) fill: Option<u32>,
    pub(crate) transport: Transport,
    pub(crate) curve: bool,
    /// Whether the connections run on the runtimes of the clients and workers. Absent in reports of earlier versions.
    #[serde(default)]
    pub(crate) inline: bool,
    pub(crate) running_broker: bool,
    /// The method of another worker.
    pub(crate) method: Option<String>,
    /// Its arguments, as written on the command line.
    pub(crate) args: Vec<String>,
    pub(crate) seconds: u64,
    pub(crate) warm_up_ms: u64,
    pub(crate) repeat: u32,
}

impl Parameters {
    /// Returns the interval between two calls of one client; `None` without a rate.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_secs_f64(f64::from(self.clients) / f64::from(rate)))
    }

    /// Returns how many waiting calls the client with this number makes.
    pub(crate) fn share_of_fill(&self, client: u32) -> u32 {
        let calls = self.fill.unwrap_or_default();
        calls / self.clients + u32::from(client < calls % self.clients)
    }
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Style {
    /// The caller awaits the result
    Await,
    /// A callback receives the result
    Callback,
    /// A one-way call; the measurement ends when all casts have run
    Cast,
    /// The worker sends items
    ServerStream,
    /// The caller sends items
    ClientStream,
    /// Both send items at once: the worker returns each item
    Bidirectional,
    /// Each worker gets the call
    Broadcast,
}

impl Style {
    /// Returns the spelling of the command line.
    pub(crate) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Returns the plural of what `cpu_s_per_100k` counts.
    pub(crate) fn operations(self) -> &'static str {
        match self {
            Style::Await | Style::Callback => "calls",
            Style::Cast => "casts",
            Style::Broadcast => "broadcasts",
            Style::ServerStream | Style::ClientStream | Style::Bidirectional => "items",
        }
    }
}

/// The connections of a private broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// TCP over the loopback interface
    Tcp,
    /// Unix domain sockets
    Ipc,
}

/// The time that a handler takes in addition to decoding and encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Work {
    #[default]
    None,
    /// It keeps its processor busy.
    Spin(Duration),
    /// It waits, and other calls run meanwhile.
    Sleep(Duration),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::None => write!(f, "none"),
            Work::Spin(time) => write!(f, "spin:{}us", time.as_micros()),
            Work::Sleep(time) => write!(f, "sleep:{}us", time.as_micros()),
        }
    }
}

impl From<Work> for String {
    fn from(work: Work) -> String {
        work.to_string()
    }
}

impl TryFrom<String> for Work {
    type Error = String;

    fn try_from(text: String) -> Result<Work, String> {
        text.parse()
    }
}

impl FromStr for Work {
    type Err = String;

    fn from_str(text: &str) -> Result<Work, String> {
        if text == "none" {
            return Ok(Work::None);
        }
        let parsed = text.split_once(':').and_then(|(kind, time)| Some((kind, time_of(time)?)));
        match parsed {
            Some(("spin", time)) => Ok(Work::Spin(time)),
            Some(("sleep", time)) => Ok(Work::Sleep(time)),
            _ => {
                Err("write spin or sleep, a colon and a time of at most 60s, such as spin:100us or sleep:10ms"
                    .to_owned())
            }
        }
    }
}

/// Parses a whole number with us, ms or s, of at most a minute.
fn time_of(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let micros = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return None,
    };
    let time = Duration::from_micros(number.parse::<u64>().ok()?.checked_mul(micros)?);
    (time <= Duration::from_secs(60)).then_some(time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn work_is_a_kind_and_a_time() {
        assert_eq!("spin:100us".parse(), Ok(Work::Spin(Duration::from_micros(100))));
        assert_eq!("sleep:10ms".parse(), Ok(Work::Sleep(Duration::from_millis(10))));
        for wrong in ["", "spin", "spin:", "spin:10", "doze:1s", "sleep:-1ms", "sleep:61s", "spin:ms"] {
            assert!(wrong.parse::<Work>().unwrap_err().contains("spin:100us"), "{wrong}");
        }
        let json = serde_json::to_string(&Work::Sleep(Duration::from_millis(10))).unwrap();
        assert_eq!(serde_json::from_str::<Work>(&json).unwrap(), Work::Sleep(Duration::from_millis(10)));
    }
}
