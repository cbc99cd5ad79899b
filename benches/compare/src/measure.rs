//! The measurement of one peer at one point, with new processes.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    load::Measured,
    point::Point,
    process::{Process, Usage},
    rivals::{Broker, Rival},
};

/// The figures of one measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    /// Calls or items per second.
    pub(crate) per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU seconds per 100,000 calls or items over all processes.
    pub(crate) cpu_s_per_100k: f64,
    pub(crate) rss_mib: f64,
    pub(crate) errors: f64,
}

/// The processes of a peer.
struct Processes {
    servers: Vec<Process>,
    clients: Vec<Process>,
}

/// Measures a peer.
pub(crate) fn measure(rival: Rival, point: &Point, seconds: f64, warm_up: f64) -> anyhow::Result<Figures> {
    let mut processes = Processes::start(rival, point, seconds, warm_up)?;
    for client in &mut processes.clients {
        client.ready()?;
    }
    let before = processes.usage()?;
    processes.clients.iter_mut().try_for_each(Process::resume)?;
    let lines = processes.clients.iter_mut().map(Process::line).collect::<anyhow::Result<Vec<_>>>()?;
    let after = processes.usage()?;
    let measured = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<Vec<Measured>, _>>()?;
    figures(&measured, after.cpu_s - before.cpu_s, after.rss_mib)
}

fn figures(measured: &[Measured], cpu_s: f64, rss_mib: f64) -> anyhow::Result<Figures> {
    let mut latencies = Histogram::<u64>::new(3)?; // grows as it is filled
    for (micros, calls) in measured.iter().flat_map(|client| &client.latencies) {
        latencies.record_n(*micros, *calls)?;
    }
    let operations = measured.iter().map(|client| client.operations).sum::<u64>() as f64;
    let elapsed_s = measured.iter().map(|client| client.elapsed_s).fold(0.0, f64::max);
    Ok(Figures {
        per_s: operations / elapsed_s,
        p50_us: latencies.value_at_quantile(0.5) as f64,
        p99_us: latencies.value_at_quantile(0.99) as f64,
        cpu_s_per_100k: cpu_s * 100_000.0 / operations.max(1.0),
        rss_mib,
        errors: measured.iter().map(|client| client.errors).sum::<u64>() as f64,
    })
}

impl Processes {
    fn start(rival: Rival, point: &Point, seconds: f64, warm_up: f64) -> anyhow::Result<Processes> {
        let word = rival.word();
        let (broker, frontend, backend) = start_broker(rival, &word)?;
        let mut processes = Processes { servers: broker.into_iter().collect(), clients: Vec::new() };
        let mut addresses: Vec<_> = frontend.into_iter().collect();
        for _ in 0..point.workers {
            let backend = backend.iter().flat_map(|address| ["--address", address]);
            let arguments: Vec<_> = [word.as_str(), "worker"].into_iter().chain(backend).collect();
            processes.servers.push(Process::start_role(&arguments)?);
        }
        let first_worker = processes.servers.len() - point.workers as usize;
        for worker in &mut processes.servers[first_worker..] {
            addresses.extend(worker.ready()?);
        }
        let arguments = client_arguments(&word, &addresses, point, seconds, warm_up);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        for _ in 0..point.clients {
            processes.clients.push(Process::start_role(&arguments)?);
        }
        Ok(processes)
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        let mut sum = Usage::default();
        for process in self.servers.iter().chain(&self.clients) {
            let usage = process.usage()?;
            sum = Usage { cpu_s: sum.cpu_s + usage.cpu_s, rss_mib: sum.rss_mib + usage.rss_mib };
        }
        Ok(sum)
    }
}

/// Starts the broker of a peer, if it has one, and returns its addresses for clients and for workers.
fn start_broker(rival: Rival, word: &str) -> anyhow::Result<(Option<Process>, Option<String>, Option<String>)> {
    match rival.broker() {
        Broker::None => Ok((None, None, None)),
        Broker::Role => {
            let mut broker = Process::start_role(&[word, "broker"])?;
            let mut addresses = broker.ready()?.into_iter();
            let (frontend, backend) = (addresses.next(), addresses.next());
            Ok((Some(broker), frontend, backend))
        }
        Broker::Program { name, arguments, scheme } => {
            let (broker, port) = Process::start_server(name, arguments)?;
            let url = format!("{scheme}://127.0.0.1:{port}");
            Ok((Some(broker), Some(url.clone()), Some(url)))
        }
    }
}

fn client_arguments(word: &str, addresses: &[String], point: &Point, seconds: f64, warm_up: f64) -> Vec<String> {
    let flags = [
        ("--window", point.window.to_string()),
        ("--size", point.size.to_string()),
        ("--items", point.items.to_string()),
        ("--seconds", seconds.to_string()),
        ("--warm-up", warm_up.to_string()),
    ];
    let addresses = addresses.iter().map(|address| ("--address", address.clone()));
    let flags = flags.into_iter().chain(addresses).flat_map(|(flag, value)| [flag.to_owned(), value]);
    [word.to_owned(), "client".to_owned()].into_iter().chain(flags).collect()
}
