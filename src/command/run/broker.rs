//! `callboard broker`: forwards calls to workers, and their outcomes to clients.

use std::path::PathBuf;

use anyhow::anyhow;
use callboard::broker::{
    BrokerError, RunningBroker,
    gate::{Address, GateError},
};
use clap::Args;

use crate::{
    command::{
        admin::{AdminServer, listener, socket, source::Source},
        logging,
        output::{self, exit::Exit},
        process::signals::{Hangups, StopSignals},
    },
    settings::{BrokerSettings, Flags, Settings, Sourced},
};

/// Shown below `callboard broker --help`.
const AFTER_HELP: &str = "\
When both addresses accept connections, the broker prints one line on stdout:
  ready frontend=tcp://127.0.0.1:5559 backend=tcp://127.0.0.1:5560

Examples:
  callboard broker
  callboard broker --frontend tcp://127.0.0.1:0 --backend ipc:///run/user/1000/backend   port 0: any free port
  callboard broker --frontend tcp://0.0.0.0:5559 --authkey-file authkey                  a key: openssl rand -base64 32
  callboard broker --curve-secret-file broker.secret                                     a key: callboard keygen broker";

/// Start a broker: clients connect to its frontend, workers and pools to its backend
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Broker {
    /// Address for clients: tcp://HOST:PORT or ipc://PATH [default: tcp://127.0.0.1:5559]
    #[arg(long, value_name = "URL")]
    frontend: Option<String>,
    /// Address for workers and pools [default: tcp://127.0.0.1:5560]
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Time for running calls to finish when asked to stop [default: 5s]
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
    /// Address for metrics and health over HTTP, such as 127.0.0.1:5561 [default: none]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Socket on which `callboard up` reads the state of this process
    #[arg(long, value_name = "PATH", hide = true)]
    snapshot_socket: Option<PathBuf>,
    /// Key file: accept only peers that prove one of its keys (or that of CALLBOARD_AUTHKEY); SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    authkey_file: Option<String>,
    /// File with the broker's secret CURVE key, which encrypts connections, and below it the key that it replaces: see
    /// `callboard keygen`. SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    curve_secret_file: Option<String>,
    /// File of the peers that may connect, with their rights; `callboard keys` edits it, and SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    peers_file: Option<String>,
    #[command(flatten)]
    limits: BrokerLimits,
}

/// The limits of a broker, and its heartbeat.
#[derive(Debug, Args)]
pub(crate) struct BrokerLimits {
    /// Allow addresses beyond this machine without a key: every peer may then call and serve
    #[arg(long)]
    allow_unauthenticated: bool,
    /// Peers that may connect without encryption to a broker with a CURVE key: loopback, always or never [default: loopback]
    #[arg(long, value_name = "WHICH")]
    plain_connections: Option<String>,
    /// Largest message [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    message_bytes_max: Option<String>,
    /// Connections at a time; further ones wait [default: 10000]
    #[arg(long, value_name = "NUMBER")]
    connections_max: Option<String>,
    /// Connections from one address at a time; further ones are rejected [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    connections_per_address_max: Option<String>,
    /// Handshakes at a time; above it stalled ones are closed for new ones [default: 1024]
    #[arg(long, value_name = "NUMBER")]
    handshakes_max: Option<String>,
    /// Bytes that may wait for one peer; above it the peer is disconnected [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    unsent_bytes_max: Option<String>,
    /// Bytes held for all connections together; above it the peer that holds most is disconnected [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    held_bytes_max: Option<String>,
    /// Calls that may wait for one service; further ones are rejected [default: 65536]
    #[arg(long, value_name = "NUMBER")]
    queue_calls_max: Option<String>,
    /// Bytes of bodies that may wait for one service; further calls are rejected [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    queue_bytes_max: Option<String>,
    /// Maximum age of the oldest call of a key or address that waits for a service; above it, further ones are rejected
    /// [default: none]
    #[arg(long, value_name = "DURATION")]
    queue_age_max: Option<String>,
    /// Expected run time of the short calls that go to one worker together although others are free; 0s: one call each
    /// [default: 200us]
    #[arg(long, value_name = "DURATION")]
    batch_time: Option<String>,
    /// Log each call that took at least this long, with where the time went [default: none]
    #[arg(long, value_name = "DURATION")]
    slow_call: Option<String>,
    /// Calls that may wait for all services, a quarter of them of one key or address; further ones are rejected [default: 262144]
    #[arg(long, value_name = "NUMBER")]
    waiting_calls_max: Option<String>,
    /// Bytes of bodies that may wait for all services, a quarter of them of one key or address; further calls are rejected [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    waiting_bytes_max: Option<String>,
    /// Services that workers may serve, such as "calculator, billing.*" [default: all]
    #[arg(long, value_name = "NAMES")]
    services: Option<String>,
    /// Heartbeat interval [default: 1s]
    #[arg(long, value_name = "DURATION")]
    heartbeat: Option<String>,
}

impl Broker {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        let flags = Flags::default()
            .with("--frontend", self.frontend.as_ref())
            .with("--backend", self.backend.as_ref())
            .with("--drain", self.drain.as_ref())
            .with("--admin", self.admin.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref())
            .with("--curve-secret-file", self.curve_secret_file.as_ref())
            .with("--peers-file", self.peers_file.as_ref());
        self.limits.add_to(flags)
    }

    /// Runs a broker until it is asked to stop.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        // Caught first: from the ready line on, a signal starts an orderly shutdown.
        let mut signals = StopSignals::catch()?;
        let given = &settings.broker;
        let mut hangups = Hangups::catch(given.has_key_file())?;
        let (http, snapshots) = (listener::listen(&given.admin)?, socket::listen(self.snapshot_socket.as_ref())?);
        let mut broker = RunningBroker::start(settings_of(given)?).await.map_err(not_started)?;
        // Until the end: the endpoint reports that the broker drains.
        let _admin = AdminServer::start(http, snapshots, Source::Broker(broker.monitor()))?;
        output::print(&format!("ready frontend={} backend={}", broker.frontend(), broker.backend()))?;
        let exit = loop {
            tokio::select! {
                // All are cancel safe: they only wait.
                exit = signals.next() => break exit,
                () = hangups.next() => {
                    reload_curve(given, &broker);
                    reload_peers(given, &broker);
                }
                () = broker.ended() => return Err(Exit::GaveUp.because(anyhow!("the broker ended unexpectedly"))),
            }
        };
        tokio::select! {
            // A second signal means: do not wait for running calls.
            exit = signals.next() => Ok(exit),
            // Dropped only when the process ends.
            () = broker.shut_down() => Ok(exit),
        }
    }
}

/// Returns the broker's own settings, from those of the command.
pub(super) fn settings_of(given: &BrokerSettings) -> anyhow::Result<callboard::broker::Settings> {
    let mut settings = callboard::broker::Settings::new(address(&given.frontend)?, address(&given.backend)?);
    settings.allow_unauthenticated = given.allow_unauthenticated.value;
    settings.peers = given.peers()?;
    settings.curve = given.curve.read()?;
    settings.heartbeat = given.heartbeat.value;
    settings.services = given.services.as_ref().map(|services| services.value.clone()).unwrap_or_default();
    settings.drain = given.drain.value;
    settings.queue_calls_max = given.queue_calls_max.value;
    settings.queue_bytes_max = given.queue_bytes_max.value;
    settings.queue_age_max = given.queue_age_max.as_ref().map(|age| age.value);
    settings.batch_time = given.batch_time.value;
    settings.slow_call = given.slow_call.as_ref().map(|slow| slow.value);
    settings.waiting_calls_max = given.waiting_calls_max.value;
    settings.waiting_bytes_max = given.waiting_bytes_max.value;
    settings.gate.connections_max = given.connections_max.value;
    settings.gate.connections_per_address_max = given.connections_per_address_max.value;
    settings.gate.handshakes_max = given.handshakes_max.value;
    settings.gate.unsent_bytes_max = given.unsent_bytes_max.value;
    settings.gate.held_bytes_max = given.held_bytes_max.value;
    settings.gate.message_bytes_max = given.message_bytes_max.value;
    Ok(settings)
}

/// Reads the broker's CURVE keys again. An invalid file changes nothing.
fn reload_curve(given: &BrokerSettings, broker: &RunningBroker) {
    match given.curve.read() {
        Ok(Some(curve)) => {
            let keys = 1 + usize::from(curve.previous_key.is_some());
            let public_key = curve.secret_key.public_key();
            tracing::info!(target: logging::BROKER, keys, %public_key, "CURVE keys reloaded");
            broker.change_curve(curve);
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(target: logging::BROKER, %error, "cannot reload the CURVE keys: the old ones stay valid")
        }
    }
}

/// Reads the keys and the peers again. An invalid file changes nothing: the old keys and peers stay valid.
fn reload_peers(given: &BrokerSettings, broker: &RunningBroker) {
    match given.peers() {
        Ok(Some(peers)) => {
            let names: Vec<_> = peers.iter().map(|peer| peer.name().map_or("-", AsRef::as_ref)).collect();
            tracing::info!(target: logging::BROKER, peers = names.len(), names = names.join(" "), "peers reloaded");
            broker.change_peers(peers);
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(target: logging::BROKER, %error, "cannot reload the peers: the old ones stay valid")
        }
    }
}

fn address(given: &Sourced<String>) -> anyhow::Result<Address> {
    let parsed = given.value.parse();
    parsed.map_err(|error| Exit::Usage.because(anyhow::Error::new(error).context(given.source.to_string())))
}

/// Returns the error with its exit code: 2 for an unprotected address or limits that contradict each other, which are settings; 4
/// for an address that cannot be bound.
fn not_started(error: BrokerError) -> anyhow::Error {
    match error {
        BrokerError::Unprotected { .. } | BrokerError::Gate(GateError::Limits { .. }) => Exit::Usage.because(error),
        _ => Exit::GaveUp.because(error),
    }
}

impl BrokerLimits {
    /// Adds the flags that were given.
    pub(crate) fn add_to(&self, flags: Flags) -> Flags {
        flags
            .with_switch("--allow-unauthenticated", self.allow_unauthenticated)
            .with("--plain-connections", self.plain_connections.as_ref())
            .with("--message-bytes-max", self.message_bytes_max.as_ref())
            .with("--connections-max", self.connections_max.as_ref())
            .with("--connections-per-address-max", self.connections_per_address_max.as_ref())
            .with("--handshakes-max", self.handshakes_max.as_ref())
            .with("--unsent-bytes-max", self.unsent_bytes_max.as_ref())
            .with("--held-bytes-max", self.held_bytes_max.as_ref())
            .with("--queue-calls-max", self.queue_calls_max.as_ref())
            .with("--queue-bytes-max", self.queue_bytes_max.as_ref())
            .with("--queue-age-max", self.queue_age_max.as_ref())
            .with("--batch-time", self.batch_time.as_ref())
            .with("--slow-call", self.slow_call.as_ref())
            .with("--waiting-calls-max", self.waiting_calls_max.as_ref())
            .with("--waiting-bytes-max", self.waiting_bytes_max.as_ref())
            .with("--services", self.services.as_ref())
            .with("--heartbeat", self.heartbeat.as_ref())
    }
}
