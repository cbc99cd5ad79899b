//! The processes of one round: the broker, workers, pools and load clients.

use std::fs;

use anyhow::Context as _;
use tempfile::TempDir;

use super::{
    arguments::Plan,
    environment::{self, BrokerKey, Variables},
    parameters::{Parameters, Transport},
};
use crate::{
    command::process::{
        child::{self, Child},
        usage,
    },
    settings::Credentials,
};

/// The address with a port that the system chooses.
const ANY_PORT: &str = "tcp://127.0.0.1:0";
/// More handshakes than processes: with the default, some of 1,000 processes that connect at once would have to retry.
const HANDSHAKES_MAX: &str = "4096";
/// Queue bytes of a waiting call beside its payload, at most.
const CALL_BYTES: u64 = 256;

/// Running processes with their names in the report. Dropping this value ends them.
pub(crate) struct Processes {
    broker: Option<Child>,
    workers: Vec<(String, Child)>,
    pools: Vec<(String, Child)>,
    clients: Vec<(String, Child)>,
    /// The folder of the broker's sockets, and its key. They are removed at the end.
    _files: (Option<TempDir>, Option<BrokerKey>),
}

impl Processes {
    /// Starts all processes, and waits until the clients have connected. Without `fill` the workers have registered, too.
    ///
    /// # Errors
    /// If a process cannot start, or ends.
    pub(crate) async fn start(plan: &Plan) -> anyhow::Result<Processes> {
        let parameters = &plan.parameters;
        let (broker, files, addresses, credentials) = match &plan.running_broker {
            None => private_broker(parameters).await?,
            Some(running) => {
                let addresses = [running.frontend.clone(), running.backend.clone()];
                (None, (None, None), addresses, running.credentials.clone())
            }
        };
        let ([frontend, backend], variables) = (addresses, environment::of_peer(&credentials));
        let mut processes =
            Processes { broker, workers: Vec::new(), pools: Vec::new(), clients: Vec::new(), _files: files };
        match parameters.pools {
            0 => processes.start_workers(parameters, &backend, &variables)?,
            _ => processes.start_pools(parameters, &backend, &variables)?,
        }
        processes.start_clients(parameters, &frontend, &variables)?;
        if parameters.fill.is_none() {
            processes.workers_ready().await?;
        }
        processes.clients_print("connected").await?;
        Ok(processes)
    }

    /// Lets the waiting workers of `fill` connect.
    ///
    /// # Errors
    /// If one has ended.
    pub(crate) async fn resume_workers(&mut self) -> anyhow::Result<()> {
        for (_, worker) in &mut self.workers {
            worker.resume().await?;
        }
        Ok(())
    }

    /// Lets the clients begin their next phase.
    ///
    /// # Errors
    /// If one has ended.
    pub(crate) async fn resume_clients(&mut self) -> anyhow::Result<()> {
        for (_, client) in &mut self.clients {
            client.resume().await?;
        }
        Ok(())
    }

    /// Waits until each client has printed this line.
    ///
    /// # Errors
    /// If one ends, or prints another line.
    pub(crate) async fn clients_print(&mut self, expected: &str) -> anyhow::Result<()> {
        let lines = self.client_lines().await?;
        let other = lines.iter().find(|line| *line != expected);
        anyhow::ensure!(other.is_none(), "a client printed {other:?} instead of {expected:?}");
        Ok(())
    }

    /// Waits until each client has printed a line, and returns these lines.
    ///
    /// # Errors
    /// If one ends.
    pub(crate) async fn client_lines(&mut self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for (_, client) in &mut self.clients {
            lines.push(client.line("client").await?);
        }
        Ok(lines)
    }

    /// Returns the names and process ids of all processes.
    pub(crate) fn pids(&self) -> Vec<(String, u32)> {
        let broker = self.broker.iter().map(|broker| ("broker".to_owned(), broker.pid()));
        let mut pids: Vec<_> = broker.collect();
        for (name, pool) in &self.pools {
            pids.push((name.clone(), pool.pid()));
            // A pool has another process, which ends the workers if the pool is killed.
            let workers = usage::descendants(pool.pid()).into_iter().filter(|pid| is_worker(*pid));
            pids.extend(workers.enumerate().map(|(at, pid)| (format!("{name}.worker{at}"), pid)));
        }
        pids.extend(self.workers.iter().chain(&self.clients).map(|(name, process)| (name.clone(), process.pid())));
        pids
    }

    /// Ends all processes: clients first, so that none loses its workers, and the broker last.
    pub(crate) async fn end(self) {
        let servers = self.workers.into_iter().chain(self.pools);
        for (_, process) in &self.clients {
            process.signal(rustix::process::Signal::TERM);
        }
        for (_, process) in self.clients.into_iter().chain(servers) {
            process.end().await;
        }
        if let Some(broker) = self.broker {
            broker.end().await;
        }
    }

    fn start_workers(&mut self, parameters: &Parameters, backend: &str, peer: &Variables) -> anyhow::Result<()> {
        let (processes, threads) = processes_and_threads(parameters.workers, parameters.threads);
        let wait = parameters.fill.is_some().then(|| "--wait".to_owned());
        let arguments: Vec<_> = worker_arguments(parameters, threads).into_iter().chain(wait).collect();
        let mut variables = borrowed(peer);
        variables.push(("CALLBOARD_BACKEND", backend));
        for number in 0..processes {
            let worker = Child::start_with_input(&arguments, &variables)?;
            self.workers.push((named("worker", number, parameters.threads), worker));
        }
        Ok(())
    }

    fn start_pools(&mut self, parameters: &Parameters, backend: &str, peer: &Variables) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let program = program.to_str().context("the path of this program is not text")?;
        let workers = parameters.workers.to_string();
        for number in 0..parameters.pools {
            let name = format!("bench_pool{number}");
            let pool = ["pool", "--name", &name, "-n", &workers, "--backend", backend, "--", program];
            let worker = worker_arguments(parameters, 1).into_iter().chain(["--in-pool".to_owned()]);
            let arguments = pool.into_iter().map(str::to_owned).chain(worker);
            self.pools.push((format!("pool{number}"), Child::start(arguments, &borrowed(peer))?));
        }
        Ok(())
    }

    fn start_clients(&mut self, parameters: &Parameters, frontend: &str, peer: &Variables) -> anyhow::Result<()> {
        let (processes, threads) = processes_and_threads(parameters.clients, parameters.threads);
        let (json, threads) = (serde_json::to_string(parameters)?, threads.to_string());
        for number in 0..processes {
            let first = number.to_string();
            let arguments = ["internal", "load-client", "--frontend", frontend, "--threads", &threads];
            let arguments = arguments.into_iter().chain(["--first", &first, "--parameters", &json]);
            let client = Child::start_with_input(arguments, &borrowed(peer))?;
            self.clients.push((named("client", number, parameters.threads), client));
        }
        Ok(())
    }

    async fn workers_ready(&mut self) -> anyhow::Result<()> {
        for (_, worker) in self.workers.iter_mut().chain(&mut self.pools) {
            worker.line("worker").await?;
        }
        Ok(())
    }
}

/// A broker with what it needs and what its peers need.
type StartedBroker = (Option<Child>, (Option<TempDir>, Option<BrokerKey>), [String; 2], Credentials);

async fn private_broker(parameters: &Parameters) -> anyhow::Result<StartedBroker> {
    let folder = (parameters.transport == Transport::Ipc).then(TempDir::new).transpose()?;
    let key = parameters.curve.then(BrokerKey::new).transpose()?;
    let [frontend, backend] = ["front", "back"].map(|name| match &folder {
        Some(folder) => format!("ipc://{}/{name}", folder.path().display()),
        None => ANY_PORT.to_owned(),
    });
    let arguments = ["broker", "--frontend", &frontend, "--backend", &backend].map(str::to_owned);
    let arguments = arguments.into_iter().chain(limits(parameters));
    let mut broker = Child::start(arguments, &borrowed(&environment::of_broker(key.as_ref())?))?;
    let line = broker.line("broker").await?;
    let (frontend, backend) = child::addresses(&line)?;
    let addresses = [frontend.to_owned(), backend.to_owned()];
    let credentials = key.as_ref().map(BrokerKey::credentials).unwrap_or_default();
    Ok((Some(broker), (folder, key), addresses, credentials))
}

/// Returns the limits of a broker to which all processes connect at once, and whose queue has room for `fill` calls: one address may
/// have a quarter of all waiting calls.
fn limits(parameters: &Parameters) -> Vec<String> {
    let calls = u64::from(parameters.fill.unwrap_or_default());
    let mib = calls * (u64::from(parameters.size) + CALL_BYTES) / (1 << 20) + 64;
    let of_fill = [
        ("--queue-calls-max", calls.max(65_536).to_string()),
        ("--waiting-calls-max", (4 * calls).max(262_144).to_string()),
        ("--queue-bytes-max", format!("{mib}MiB")),
        ("--waiting-bytes-max", format!("{}MiB", 4 * mib)),
    ];
    let of_fill = of_fill.into_iter().filter(|_| calls > 0);
    let all = of_fill.chain([("--handshakes-max", HANDSHAKES_MAX.to_owned())]);
    all.flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn worker_arguments(parameters: &Parameters, threads: u32) -> Vec<String> {
    let (threads, work, slots) = (threads.to_string(), parameters.work.to_string(), parameters.slots.to_string());
    let arguments = ["internal", "bench-worker", "--threads", &threads, "--work", &work, "--slots", &slots];
    arguments.into_iter().chain(parameters.inline.then_some("--inline")).map(str::to_owned).collect()
}

/// Returns whether a process is a worker of the bench.
fn is_worker(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|word| word == b"bench-worker")
}

/// Returns the number of processes, and of the clients or workers in each.
fn processes_and_threads(count: u32, threads: bool) -> (u32, u32) {
    if threads { (count.min(1), count) } else { (count, 1) }
}

fn named(role: &str, number: u32, threads: bool) -> String {
    if threads { format!("{role}s") } else { format!("{role}{number}") }
}

fn borrowed(variables: &Variables) -> Vec<(&str, &str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
