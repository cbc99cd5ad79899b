//! `callboard bench`: measures the throughput of calls over TCP, with a process for the broker and for each worker and client.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use callboard::{SERVER_KEY_VARIABLE, SecretKey};
use clap::{Args, value_parser};
use hdrhistogram::Histogram;
use rand::random;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::bench_client::Measured;
use crate::{
    command::{
        output::{self, exit::Exit, table},
        process::{
            child::{self, Child},
            usage::Usage,
        },
    },
    settings::Settings,
};

/// The address with a port that the system chooses.
const ANY_PORT: &str = "tcp://127.0.0.1:0";

/// Shown below `callboard bench --help`.
const AFTER_HELP: &str = "\
Each call echoes {id, name, payload}; the worker decodes and encodes it.

Examples:
  callboard bench --window 512
  callboard bench --clients 2 --workers 4 --seconds 10 --json | tail -1";

/// Measure calls per second, latency, CPU and memory on this machine
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Bench {
    /// Client processes
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=64))]
    clients: u32,
    /// Worker processes
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Outstanding calls per client
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=4096))]
    window: u32,
    /// Bytes of payload in each call
    #[arg(long, default_value_t = 64, value_name = "BYTES", value_parser = value_parser!(u32).range(..=8 * 1024 * 1024))]
    size: u32,
    /// Seconds to measure
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Encrypt the connections with CURVE
    #[arg(long)]
    curve: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// The broker's key pair of an encrypted measurement.
struct Encryption {
    /// The file with the secret key, which only this user can read. It is removed with this value.
    secret: NamedTempFile,
    server_key: String,
}

impl Encryption {
    fn new() -> anyhow::Result<Encryption> {
        let key = SecretKey::from_bytes(random());
        let mut secret = NamedTempFile::new().context("cannot create a file for the secret key")?;
        secret.write_all(key.to_file().as_bytes())?;
        Ok(Encryption { secret, server_key: key.public_key().to_string() })
    }
}

/// The variables of the measured processes.
struct Variables<'a>(Option<&'a Encryption>);

impl<'a> Variables<'a> {
    fn of_broker(&self) -> anyhow::Result<Vec<(&'static str, &'a str)>> {
        let Some(encryption) = self.0 else { return Ok(child::QUIET.to_vec()) };
        let path = encryption.secret.path().to_str().context("the path of the temporary folder is not text")?;
        Ok([child::QUIET, &[("CALLBOARD_BROKER_CURVE_SECRET_FILE", path)]].concat())
    }

    fn of_peer(&self) -> Vec<(&'static str, &'a str)> {
        let server_key = self.0.map(|encryption| (SERVER_KEY_VARIABLE, encryption.server_key.as_str()));
        child::QUIET.iter().copied().chain(server_key).collect()
    }
}

impl Bench {
    /// Runs the measurement.
    pub(crate) async fn run(self, _settings: Settings) -> anyhow::Result<Exit> {
        let encryption = self.curve.then(Encryption::new).transpose()?;
        let variables = Variables(encryption.as_ref());
        let arguments = ["broker", "--frontend", ANY_PORT, "--backend", ANY_PORT];
        let mut broker = Child::start(arguments, &variables.of_broker()?)?;
        let line = broker.line("broker").await?;
        let (frontend, backend) = child::addresses(&line)?;
        let workers = (0..self.workers).map(|_| worker(backend, &variables)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut clients = self.clients(frontend, &variables).await?;
        let report = self.measure(&broker, &workers, &mut clients).await?;
        for process in clients.into_iter().chain(workers).chain([broker]) {
            process.end().await;
        }
        output::print(&if self.json { report.json().to_string() } else { report.table() })?;
        Ok(if report.errors == 0 { Exit::Success } else { Exit::Failed })
    }

    /// Starts the clients. Each makes some calls before it is ready, so that connections and memory are warm.
    async fn clients(&self, frontend: &str, variables: &Variables<'_>) -> anyhow::Result<Vec<Child>> {
        let numbers = [u64::from(self.window), u64::from(self.size), self.seconds].map(|number| number.to_string());
        let [window, size, seconds] = &numbers;
        let arguments = ["internal", "bench-client", "--frontend", frontend];
        let sizes = ["--window", window, "--size", size, "--seconds", seconds];
        let mut clients = Vec::new();
        for _ in 0..self.clients {
            let mut client = Child::start_with_input(arguments.iter().chain(&sizes), &variables.of_peer())?;
            expect_ready(&client.line("client").await?)?;
            clients.push(client);
        }
        Ok(clients)
    }

    /// Starts the calls of all clients at once, and reads the resource usage of the processes.
    async fn measure(&self, broker: &Child, workers: &[Child], clients: &mut [Child]) -> anyhow::Result<Report> {
        let mut pids = vec![("broker".to_owned(), broker.pid())];
        pids.extend(workers.iter().enumerate().map(|(at, worker)| (format!("worker{at}"), worker.pid())));
        pids.extend(clients.iter().enumerate().map(|(at, client)| (format!("client{at}"), client.pid())));
        let before = pids.iter().map(|(_, pid)| Usage::of(*pid)).collect::<anyhow::Result<Vec<_>>>()?;
        let started = Instant::now();
        for client in clients.iter_mut() {
            client.resume().await?;
        }
        let mut measured = Vec::new();
        for client in clients.iter_mut() {
            measured.push(serde_json::from_str::<Measured>(&client.line("client").await?)?);
        }
        let elapsed = started.elapsed();
        let after = pids.iter().map(|(_, pid)| Usage::of(*pid)).collect::<anyhow::Result<Vec<_>>>()?;
        let used =
            before.iter().zip(&after).map(|(before, after)| Usage { cpu_s: after.cpu_s - before.cpu_s, ..*after });
        let processes = pids.into_iter().map(|(name, _)| name).zip(used).collect();
        Report::new(elapsed, measured, processes)
    }
}

fn worker(backend: &str, variables: &Variables<'_>) -> anyhow::Result<Child> {
    let variables = [variables.of_peer(), vec![("CALLBOARD_BACKEND", backend)]].concat();
    Child::start(["internal", "echo-worker"], &variables)
}

fn expect_ready(line: &str) -> anyhow::Result<()> {
    anyhow::ensure!(line == "ready", "a client printed {line:?} instead of \"ready\"");
    Ok(())
}

/// The measurements.
struct Report {
    calls_per_s: f64,
    p50_us: u64,
    p99_us: u64,
    errors: u64,
    calls: u64,
    processes: Vec<(String, Usage)>,
}

impl Report {
    fn new(elapsed: Duration, measured: Vec<Measured>, processes: Vec<(String, Usage)>) -> anyhow::Result<Report> {
        let mut latencies = Histogram::<u64>::new(3)?; // grows as it is filled
        for (micros, calls) in measured.iter().flat_map(|client| &client.latencies) {
            latencies.record_n(*micros, *calls)?;
        }
        let calls: u64 = measured.iter().map(|client| client.calls).sum();
        Ok(Report {
            calls_per_s: calls as f64 / elapsed.as_secs_f64(),
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            errors: measured.iter().map(|client| client.errors).sum(),
            calls,
            processes,
        })
    }

    /// Returns CPU seconds per 100,000 calls.
    fn per_100k(&self, cpu_s: f64) -> f64 {
        cpu_s * 100_000.0 / self.calls.max(1) as f64
    }

    fn cpu_s_per_100k(&self) -> f64 {
        self.per_100k(self.processes.iter().map(|(_, usage)| usage.cpu_s).sum())
    }

    fn json(&self) -> Value {
        let by_process = |figure: &dyn Fn(&Usage) -> f64| -> Value {
            self.processes.iter().map(|(name, usage)| (name.clone(), rounded(figure(usage)))).collect()
        };
        json!({
            "calls_per_s": self.calls_per_s.round(),
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "errors": self.errors,
            "cpu_s_per_100k": rounded(self.cpu_s_per_100k()),
            "cpu_s_per_100k_by_process": by_process(&|usage| self.per_100k(usage.cpu_s)),
            "rss_mib_by_process": by_process(&|usage| usage.rss_mib),
        })
    }

    fn table(&self) -> String {
        let Report { calls_per_s, p50_us, p99_us, errors, .. } = self;
        let total = format!("{calls_per_s:.0} calls/s, p50 {p50_us} us, p99 {p99_us} us, {errors} errors\n");
        let header = ["PROCESS", "CPU s/100k calls", "MEMORY MiB"];
        let rows = self.processes.iter().map(|(name, usage)| {
            [name.clone(), format!("{:.3}", self.per_100k(usage.cpu_s)), format!("{:.1}", usage.rss_mib)]
        });
        let sum = ["all".to_owned(), format!("{:.3}", self.cpu_s_per_100k()), String::new()];
        format!("{total}\n{}", table::render(header, rows.chain([sum])))
    }
}

/// Rounds to four decimals: more digits would be noise.
fn rounded(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}
