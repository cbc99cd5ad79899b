//! A broker on a thread of its own.

use std::{io, thread};

use callboard_core::auth::PeerDirectory;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{oneshot, watch},
    task::spawn_local,
};

use crate::{
    broker::Broker, curve::CurveChanger, error::BrokerError, gate::Curve, monitor::BrokerMonitor, peers::PeerChanger,
    settings::Settings,
};

/// A broker that runs on a thread of its own, so that nothing else in the program delays calls.
///
/// Dropping it shuts the broker down like [`RunningBroker::shut_down`], without waiting.
///
/// ```
/// use callboard_broker::{RunningBroker, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let any_port = || "tcp://127.0.0.1:0".parse();
/// let broker = RunningBroker::start(Settings::new(any_port()?, any_port()?)).await?;
/// println!("clients connect to {}, workers to {}", broker.frontend(), broker.backend());
/// broker.shut_down().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RunningBroker {
    frontend: String,
    backend: String,
    peers: PeerChanger,
    curve: CurveChanger,
    monitor: BrokerMonitor,
    shutdown: watch::Sender<bool>,
    end: oneshot::Receiver<()>,
}

impl RunningBroker {
    /// Starts a broker. Returns when both its addresses accept connections.
    ///
    /// # Errors
    /// [`BrokerError`]: an address cannot be bound, or would be open to unauthenticated peers of other hosts.
    ///
    /// # Cancel safety
    /// Dropping the future stops the broker.
    pub async fn start(settings: Settings) -> Result<RunningBroker, BrokerError> {
        let (shutdown, requested) = watch::channel(false);
        let (bound, addresses) = oneshot::channel();
        let (ending, end) = oneshot::channel();
        thread::Builder::new().name("callboard-broker".into()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime,
                // If the owner was dropped, the reason is not needed.
                Err(error) => return drop(bound.send(Err(error.into()))),
            };
            // As a task of its own, it is woken by the gate's tasks without a system call; the future that a runtime blocks on
            // is not. An error is a panic, which was printed to stderr.
            let _ = runtime.block_on(async { spawn_local(serve(settings, bound, requested)).await });
            // The owner may no longer wait for the end.
            let _ = ending.send(());
        })?;
        let gone = |_| BrokerError::System(io::Error::other("the broker's thread ended before it started"));
        let (frontend, backend, peers, curve, monitor) = addresses.await.map_err(gone)??;
        Ok(RunningBroker { frontend, backend, peers, curve, monitor, shutdown, end })
    }

    /// Returns the address for clients, with the actual port.
    pub fn frontend(&self) -> &str {
        &self.frontend
    }

    /// Returns the address for workers, with the actual port.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// Replaces the peers that the broker knows. Connections of peers that are no longer known end, except if a key was removed from a
    /// key file. Changed rights apply from the next call on.
    pub fn change_peers(&self, peers: PeerDirectory) {
        self.peers.change(peers);
    }

    /// Replaces the CURVE keys. They apply to new connections; open ones stay. A broker that was started without a key gets none.
    pub fn change_curve(&self, curve: Curve) {
        self.curve.change(curve);
    }

    /// Returns a handle that reads the state of the broker, such as its metrics.
    pub fn monitor(&self) -> BrokerMonitor {
        self.monitor.clone()
    }

    /// Waits until the broker has ended by itself. It does so only after a panic, which is printed to stderr.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn ended(&mut self) {
        // Both results mean that the broker has ended.
        let _ = (&mut self.end).await;
    }

    /// Shuts the broker down gracefully: it rejects new calls, lets running calls finish for as long as its settings allow, and sends a
    /// goodbye to all peers. Returns when it has ended.
    ///
    /// # Cancel safety
    /// Once polled, the broker ends, even if the future is dropped.
    pub async fn shut_down(mut self) {
        self.shutdown.send_replace(true);
        self.ended().await;
    }
}

/// The addresses and the handles of a broker that accepts connections, or why it did not start.
type Bound = Result<(String, String, PeerChanger, CurveChanger, BrokerMonitor), BrokerError>;

async fn serve(settings: Settings, bound: oneshot::Sender<Bound>, mut shutdown: watch::Receiver<bool>) {
    match Broker::bind(settings) {
        Ok(broker) => {
            let (peers, curve, monitor) = (broker.peer_changer(), broker.curve_changer(), broker.monitor());
            let handles = (broker.frontend(), broker.backend(), peers, curve, monitor);
            if bound.send(Ok(handles)).is_ok() {
                // An error means that the owner was dropped, which also stops the broker.
                broker.run(async move { drop(shutdown.wait_for(|&requested| requested).await) }).await;
            }
        }
        // If the owner was dropped, the reason is not needed.
        Err(error) => drop(bound.send(Err(error))),
    }
}
