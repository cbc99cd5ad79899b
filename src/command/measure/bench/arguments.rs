//! The flags of `callboard bench`, and the plan that they describe.

use std::path::PathBuf;

use anyhow::anyhow;
use callboard_core::wire::method::MethodName;
use clap::Args;

use super::parameters::{Parameters, Style, Transport, Work};
use crate::{
    command::{call::arguments::arguments, output::exit::Exit},
    settings::{Credentials, Flags, Settings},
};

/// More slots than any window, so that no call waits in the broker.
const SLOTS_DEFAULT: u32 = 8_192;
/// The default warm-up time in milliseconds.
const WARM_UP_MS_DEFAULT: u64 = 200;

/// Shown below `callboard bench --help`.
pub(super) const AFTER_HELP: &str = "\
Each call echoes {id, name, payload}; the worker decodes and encodes it. A latency is that of a whole call or stream.
With --rate it counts from the scheduled time. Rates and CPU times of streams count items. Results are medians of all
repeats, each with new processes.

With --frontend, or with --config and its [client] and [pool], a running broker is measured. --method calls any worker
of it. A client has at most 4,096 calls at the broker. With --fill the others wait in the client: --clients 250 fills a
queue of a million.
To measure on one processor: taskset -c 0 callboard bench

Examples:
  callboard bench --window 512 --repeat 3
  callboard bench --clients 2 --workers 4 --seconds 10 --json | tail -1
  callboard bench --rate 20000 --plot latency.svg
  callboard bench --style server-stream --items 10000 --window 1
  callboard bench --json > before.json; callboard bench --baseline before.json
  callboard bench --config callboard.toml --method calculator.add --args 2 3";

/// The flags of the command.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Arguments {
    /// Clients, each a process
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = number::<1, 1_000>)]
    clients: u32,
    /// Workers, each a process
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = number::<1, 1_000>)]
    workers: u32,
    /// Pools, each with --workers workers
    #[arg(long, default_value_t = 0, value_name = "NUMBER", value_parser = number::<0, 1_000>)]
    pools: u32,
    /// One process for all clients and one for all workers, with a thread for each
    #[arg(long)]
    threads: bool,
    /// Outstanding calls per client
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = number::<1, 4_096>)]
    window: u32,
    /// Bytes of payload in each call or item
    #[arg(long, default_value_t = 64, value_name = "BYTES", value_parser = number::<0, { 8 * 1024 * 1024 }>)]
    size: u32,
    /// How calls end [default: await; callback with --fill]
    #[arg(long, value_enum)]
    style: Option<Style>,
    /// Items of each stream
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER", value_parser = number::<1, 10_000_000>)]
    items: u32,
    /// Affinity keys of the calls; 0: none
    #[arg(long, default_value_t = 0, value_name = "NUMBER", value_parser = number::<0, 1_000_000>)]
    keys: u32,
    /// Time of each handler: spin:100us or sleep:10ms
    #[arg(long, default_value_t = Work::None, value_name = "KIND:TIME")]
    work: Work,
    /// Slots of each worker
    #[arg(long, default_value_t = SLOTS_DEFAULT, value_name = "NUMBER", value_parser = number::<1, 65_536>)]
    slots: u32,
    /// Calls per second of all clients, whatever the latency (open loop)
    #[arg(long, value_name = "NUMBER", value_parser = number::<1, 10_000_000>)]
    rate: Option<u32>,
    /// Queue this many calls before the workers start, and measure until all have ended
    #[arg(long, value_name = "NUMBER", value_parser = number::<1, 4_000_000>)]
    fill: Option<u32>,
    /// Connections of the broker
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    transport: Transport,
    /// Encrypt the connections with CURVE
    #[arg(long)]
    curve: bool,
    /// Run the connections on the runtimes of the clients and workers, not on threads of their own
    #[arg(long)]
    inline: bool,
    /// Measure the running broker at this address
    #[arg(long, value_name = "URL")]
    frontend: Option<String>,
    /// Its address for the bench's workers
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Call this method of a running worker
    #[arg(long, value_name = "SERVICE.METHOD")]
    method: Option<String>,
    /// Its arguments, as for `callboard call`
    #[arg(long, value_name = "ARGUMENT", num_args = 1..)]
    args: Vec<String>,
    /// Seconds to measure
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = number::<1, 3_600>)]
    seconds: u32,
    /// Time of calls before the measurement
    #[arg(long, default_value_t = format!("{WARM_UP_MS_DEFAULT}ms"), value_name = "DURATION", value_parser = warm_up)]
    warm_up: String,
    /// Measurements; the results are their medians
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = number::<1, 100>)]
    repeat: u32,
    #[command(flatten)]
    pub(super) output: OutputFlags,
}

/// The flags for the results.
#[derive(Debug, Args)]
pub(crate) struct OutputFlags {
    /// Print one JSON object as the last line
    #[arg(long)]
    pub(super) json: bool,
    /// Print a line of CSV for each measurement and one for the medians
    #[arg(long, conflicts_with_all = ["json", "baseline"])]
    pub(super) csv: bool,
    /// Draw the latencies
    #[arg(long, value_name = "FILE.svg")]
    pub(super) plot: Option<PathBuf>,
    /// Compare with the --json of an earlier measurement
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
}

/// What to measure, and the broker.
pub(crate) struct Plan {
    pub(crate) parameters: Parameters,
    /// `None`: the measurement has a broker of its own, which no setting affects.
    pub(crate) running_broker: Option<RunningBroker>,
}

/// A broker that runs already.
pub(crate) struct RunningBroker {
    pub(crate) frontend: String,
    pub(crate) backend: String,
    pub(crate) credentials: Credentials,
}

impl Arguments {
    /// Returns the settings that were given as flags.
    pub(super) fn flags(&self) -> Flags {
        Flags::default().with("--frontend", self.frontend.as_ref()).with("--backend", self.backend.as_ref())
    }

    /// Checks the flags together. `has_config`: `--config` names the settings of a running broker.
    ///
    /// # Errors
    /// If flags exclude each other, or the keys of a running broker cannot be read. The exit code is 2.
    pub(super) fn plan(&self, settings: &Settings, has_config: bool) -> anyhow::Result<Plan> {
        let parameters = self.parameters(self.frontend.is_some() || has_config);
        if let Some(conflict) = self.conflict(&parameters, has_config) {
            return Err(Exit::Usage.because(anyhow!(conflict)));
        }
        if let Some(method) = &parameters.method {
            MethodName::parse(method.clone())
                .map_err(|error| Exit::Usage.because(anyhow!("--method {method}: {error}")))?;
            arguments(&parameters.args).map_err(|error| Exit::Usage.because(error))?;
        }
        let running_broker = parameters.running_broker.then(|| RunningBroker::of(settings)).transpose()?;
        Ok(Plan { parameters, running_broker })
    }

    fn parameters(&self, running_broker: bool) -> Parameters {
        let style = if self.fill.is_some() { Style::Callback } else { Style::Await };
        Parameters {
            clients: self.clients,
            workers: if self.method.is_some() { 0 } else { self.workers },
            pools: self.pools,
            threads: self.threads,
            window: self.window,
            size: self.size,
            style: self.style.unwrap_or(style),
            items: self.items,
            keys: self.keys,
            work: self.work,
            slots: self.slots,
            rate: self.rate,
            fill: self.fill,
            transport: self.transport,
            curve: self.curve,
            inline: self.inline,
            running_broker,
            method: self.method.clone(),
            args: self.args.clone(),
            seconds: self.seconds.into(),
            warm_up_ms: warm_up_ms(&self.warm_up).unwrap_or(WARM_UP_MS_DEFAULT),
            repeat: self.repeat,
        }
    }

    /// Returns what is wrong with the combination of flags.
    fn conflict(&self, parameters: &Parameters, has_config: bool) -> Option<&'static str> {
        let broker = if parameters.running_broker {
            self.conflict_with_running_broker(parameters, has_config)
        } else {
            self.conflict_with_own_broker()
        };
        broker.or_else(|| self.conflict_with_method(parameters)).or_else(|| self.conflict_of_load(parameters))
    }

    fn conflict_with_own_broker(&self) -> Option<&'static str> {
        first([
            (self.method.is_some(), "--method calls a running worker: add --frontend or --config"),
            (self.backend.is_some(), "--backend belongs to a running broker: add --frontend"),
        ])
    }

    fn conflict_with_running_broker(&self, parameters: &Parameters, has_config: bool) -> Option<&'static str> {
        let needs_backend = !has_config && self.method.is_none();
        let is_ipc = parameters.transport == Transport::Ipc;
        first([
            (
                needs_backend && self.backend.is_none(),
                "--frontend needs --backend for the bench's workers, or --method",
            ),
            (self.curve, "--curve is for the bench's own broker: a running one has its own keys (--config)"),
            (is_ipc, "--transport is for the bench's own broker: a running one has its own addresses"),
            (self.fill.is_some(), "--fill needs the bench's own broker, whose queue has room for the calls"),
        ])
    }

    fn conflict_with_method(&self, parameters: &Parameters) -> Option<&'static str> {
        let method = self.method.is_some();
        let sends_items = matches!(parameters.style, Style::ClientStream | Style::Bidirectional);
        first([
            (
                method && self.pools > 0,
                "--pools starts the bench's workers, and --method calls others: remove one of them",
            ),
            (method && sends_items, "the bench's items are for its own workers: remove --method or change --style"),
            (!method && !self.args.is_empty(), "--args are those of a method: add --method"),
        ])
    }

    fn conflict_of_load(&self, parameters: &Parameters) -> Option<&'static str> {
        let (fill, pools, keys) = (self.fill.is_some(), self.pools > 0, self.keys > 0);
        let processes = u64::from(self.workers) * u64::from(self.pools);
        first([
            (fill && parameters.style != Style::Callback, "--fill makes calls with callbacks: remove --style"),
            (fill && self.rate.is_some(), "--fill makes all calls at once: remove --rate"),
            (fill && pools, "--fill starts workers at a given moment, and a pool starts its own: remove --pools"),
            (fill && keys, "--fill makes calls without keys: remove --keys"),
            (self.threads && pools, "--threads is for one process, and --pools starts several: remove one of them"),
            (parameters.style == Style::Broadcast && keys, "a broadcast has no key: remove --keys"),
            (processes > 1_000, "--workers times --pools must be at most 1000"),
        ])
    }
}

/// Returns the text of the first conflict that exists.
fn first<const COUNT: usize>(conflicts: [(bool, &'static str); COUNT]) -> Option<&'static str> {
    conflicts.into_iter().find_map(|(exists, text)| exists.then_some(text))
}

impl RunningBroker {
    fn of(settings: &Settings) -> anyhow::Result<RunningBroker> {
        Ok(RunningBroker {
            frontend: settings.client.frontend.value.clone(),
            backend: settings.pool.backend.value.clone(),
            credentials: settings.client.credentials.read()?,
        })
    }
}

/// Parses a whole number from `MIN` to `MAX`.
fn number<const MIN: u32, const MAX: u32>(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
    number.ok_or_else(|| format!("write a whole number from {MIN} to {MAX}"))
}

fn warm_up(text: &str) -> Result<String, String> {
    let wrong = || "write a whole number and ms or s, of at most 600s, such as 500ms or 2s".to_owned();
    warm_up_ms(text).filter(|millis| *millis <= 600_000).map(|_| text.to_owned()).ok_or_else(wrong)
}

fn warm_up_ms(text: &str) -> Option<u64> {
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1_000),
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(words: &str) -> Result<Arguments, String> {
        let line = Line::try_parse_from(["bench"].into_iter().chain(words.split_whitespace()));
        line.map(|line| line.arguments).map_err(|error| error.to_string())
    }

    fn conflict(words: &str) -> Option<&'static str> {
        let arguments = parse(words).unwrap();
        arguments.conflict(&arguments.parameters(arguments.frontend.is_some()), false)
    }

    #[test]
    fn a_value_out_of_range_names_its_range() {
        for words in ["--clients 0", "--clients 1001", "--workers x", "--window -1", "--repeat 1.5"] {
            let error = parse(words).unwrap_err();
            assert!(error.contains("write a whole number from "), "{words}: {error}");
        }
        assert!(parse("--work doze:1s").unwrap_err().contains("spin:100us"));
        assert!(parse("--warm-up 2").unwrap_err().contains("such as 500ms"));
        assert!(parse("--style loud").unwrap_err().contains("server-stream"));
    }

    #[test]
    fn flags_that_exclude_each_other_are_named() {
        let pairs = [
            ("--method a.b", "--frontend"),
            ("--frontend tcp://h:1", "--backend"),
            ("--backend tcp://h:1", "--frontend"),
            ("--args 1", "--method"),
            ("--fill 10 --rate 5", "--rate"),
            ("--fill 10 --style cast", "--style"),
            ("--threads --pools 2", "--pools"),
            ("--style broadcast --keys 2", "--keys"),
            ("--workers 500 --pools 3", "1000"),
        ];
        for (words, named) in pairs {
            let text = conflict(words).unwrap_or_else(|| panic!("{words} has no conflict"));
            assert!(text.contains(named), "{words}: {text}");
        }
        for words in ["", "--fill 10", "--frontend tcp://h:1 --method a.b --args 1", "--pools 2 --workers 500"] {
            assert_eq!(conflict(words), None, "{words}");
        }
    }

    #[test]
    fn the_rate_and_the_waiting_calls_are_shared_by_the_clients() {
        let parameters = parse("--clients 3 --rate 100 --fill 10").unwrap().parameters(false);
        assert_eq!(parameters.interval().unwrap().as_millis(), 30);
        assert_eq!([0, 1, 2].map(|client| parameters.share_of_fill(client)), [4, 3, 3]);
        assert_eq!(parameters.style, Style::Callback);
    }
}
