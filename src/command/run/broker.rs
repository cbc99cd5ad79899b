//! `callboard broker`: forwards calls to workers and outcomes back.

use anyhow::anyhow;
use callboard::broker::{
    BrokerError, RunningBroker,
    gate::{Address, GateError},
};
use clap::Args;

use crate::{
    command::{
        output::{self, exit::Exit},
        process::signals::{Hangups, StopSignals},
    },
    settings::{Authkey, BrokerSettings, Flags, Settings, Sourced},
};

/// Shown below `callboard broker --help`.
const AFTER_HELP: &str = "\
When both addresses accept, one line on stdout says where:
  ready frontend=tcp://127.0.0.1:5559 backend=tcp://127.0.0.1:5560

Examples:
  callboard broker
  callboard broker --frontend tcp://127.0.0.1:0 --backend ipc:///run/user/1000/backend   port 0: any free one
  callboard broker --frontend tcp://0.0.0.0:5559 --authkey-file authkey                  a key: openssl rand -base64 32";

/// Start a broker: clients connect to its frontend, workers and pools to its backend
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Broker {
    /// Listen for clients here: tcp://HOST:PORT or ipc://PATH [default: tcp://127.0.0.1:5559]
    #[arg(long, value_name = "URL")]
    frontend: Option<String>,
    /// Listen for workers and pools here [default: tcp://127.0.0.1:5560]
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Let running calls finish for this long when asked to stop [default: 5s]
    #[arg(long, value_name = "DURATION")]
    drain: Option<String>,
    /// Let in only who proves a key of this file (or of CALLBOARD_AUTHKEY); SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    authkey_file: Option<String>,
    #[command(flatten)]
    limits: BrokerLimits,
}

/// What a broker bears, and how often it speaks.
#[derive(Debug, Args)]
pub(crate) struct BrokerLimits {
    /// Listen on an address beyond this machine though anybody there may then call and serve
    #[arg(long)]
    allow_unauthenticated: bool,
    /// Refuse a larger message [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    message_bytes_max: Option<String>,
    /// Let further connections wait when there are this many [default: 10000]
    #[arg(long, value_name = "NUMBER")]
    connections_max: Option<String>,
    /// Refuse further connections from one address when it has this many [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    connections_per_address_max: Option<String>,
    /// Let stalled handshakes make way for new ones when there are this many [default: 1024]
    #[arg(long, value_name = "NUMBER")]
    handshakes_max: Option<String>,
    /// Close a peer that does not read when this much waits for it [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    unsent_bytes_max: Option<String>,
    /// Close the peer that holds most when all connections together hold this much [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    held_bytes_max: Option<String>,
    /// Refuse calls when this many wait for one service [default: 65536]
    #[arg(long, value_name = "NUMBER")]
    queue_calls_max: Option<String>,
    /// Refuse calls when bodies of this size wait for one service [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    queue_bytes_max: Option<String>,
    /// Refuse a key's or address's calls when its oldest has waited this long for their service [default: never]
    #[arg(long, value_name = "DURATION")]
    queue_age_max: Option<String>,
    /// Refuse calls when this many wait for all services, or a quarter of it of one key or address [default: 262144]
    #[arg(long, value_name = "NUMBER")]
    waiting_calls_max: Option<String>,
    /// Refuse calls when bodies of this size wait for all services, or of a quarter of it of one key or address [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    waiting_bytes_max: Option<String>,
    /// Let workers serve these services only, such as "calculator, billing.*" [default: all]
    #[arg(long, value_name = "NAMES")]
    services: Option<String>,
    /// Be heard at least this often [default: 1s]
    #[arg(long, value_name = "DURATION")]
    heartbeat: Option<String>,
}

impl Broker {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        let flags = Flags::default()
            .with("--frontend", self.frontend.as_ref())
            .with("--backend", self.backend.as_ref())
            .with("--drain", self.drain.as_ref())
            .with("--authkey-file", self.authkey_file.as_ref());
        self.limits.add_to(flags)
    }

    /// Runs a broker until it is asked to stop.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        // Caught first: from the ready line on, a signal means an end in order.
        let mut signals = StopSignals::catch()?;
        let authkey = &settings.broker.authkey;
        let mut hangups = Hangups::catch(authkey.file.is_some())?;
        let mut broker = RunningBroker::start(settings_of(&settings.broker)?).await.map_err(not_started)?;
        output::print(&format!("ready frontend={} backend={}", broker.frontend(), broker.backend()))?;
        let exit = loop {
            tokio::select! {
                // All only wait.
                exit = signals.next() => break exit,
                () = hangups.next() => read_again(authkey, &broker),
                () = broker.ended() => return Err(Exit::GaveUp.because(anyhow!("the broker ended by a fault of its own"))),
            }
        };
        tokio::select! {
            // Whoever asks a second time does not want to wait.
            exit = signals.next() => Ok(exit),
            // Dropped only when the process ends.
            () = broker.shut_down() => Ok(exit),
        }
    }
}

/// The broker's own settings, from those of the command.
pub(super) fn settings_of(given: &BrokerSettings) -> anyhow::Result<callboard::broker::Settings> {
    let mut settings = callboard::broker::Settings::new(address(&given.frontend)?, address(&given.backend)?);
    settings.allow_unauthenticated = given.allow_unauthenticated.value;
    settings.keys = given.authkey.keys()?;
    settings.heartbeat = given.heartbeat.value;
    settings.services = given.services.as_ref().map(|services| services.value.clone()).unwrap_or_default();
    settings.drain = given.drain.value;
    settings.queue_calls_max = given.queue_calls_max.value;
    settings.queue_bytes_max = given.queue_bytes_max.value;
    settings.queue_age_max = given.queue_age_max.as_ref().map(|age| age.value);
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

/// Reads the key file again. A bad one changes nothing: whoever came with a key of the old one still can.
fn read_again(authkey: &Authkey, broker: &RunningBroker) {
    match authkey.keys() {
        Ok(Some(keys)) => {
            let ids: Vec<_> = keys.iter().map(|key| key.id().unwrap_or("-")).collect();
            tracing::info!(keys = ids.len(), ids = ids.join(" "), "the key file was read again");
            broker.change_keys(keys);
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the key file was read again and is no good: the keys stay as they were"),
    }
}

fn address(given: &Sourced<String>) -> anyhow::Result<Address> {
    let parsed = given.value.parse();
    parsed.map_err(|error| Exit::Usage.because(anyhow::Error::new(error).context(given.source.to_string())))
}

/// An address that would be open to strangers is a wrong setting, and so are limits that do not fit together; an address that cannot be bound is a failed start.
fn not_started(error: BrokerError) -> anyhow::Error {
    match error {
        BrokerError::Unprotected { .. } | BrokerError::Gate(GateError::Limits { .. }) => Exit::Usage.because(error),
        _ => Exit::GaveUp.because(error),
    }
}

impl BrokerLimits {
    /// Adds those that were typed.
    pub(crate) fn add_to(&self, flags: Flags) -> Flags {
        flags
            .with_switch("--allow-unauthenticated", self.allow_unauthenticated)
            .with("--message-bytes-max", self.message_bytes_max.as_ref())
            .with("--connections-max", self.connections_max.as_ref())
            .with("--connections-per-address-max", self.connections_per_address_max.as_ref())
            .with("--handshakes-max", self.handshakes_max.as_ref())
            .with("--unsent-bytes-max", self.unsent_bytes_max.as_ref())
            .with("--held-bytes-max", self.held_bytes_max.as_ref())
            .with("--queue-calls-max", self.queue_calls_max.as_ref())
            .with("--queue-bytes-max", self.queue_bytes_max.as_ref())
            .with("--queue-age-max", self.queue_age_max.as_ref())
            .with("--waiting-calls-max", self.waiting_calls_max.as_ref())
            .with("--waiting-bytes-max", self.waiting_bytes_max.as_ref())
            .with("--services", self.services.as_ref())
            .with("--heartbeat", self.heartbeat.as_ref())
    }
}
