//! A broker on a thread of its own.

use std::{io, thread};

use callboard_core::auth::AuthKeys;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{oneshot, watch},
    task::spawn_local,
};

use crate::{broker::Broker, error::BrokerError, keys::KeyChanger, settings::Settings};

/// A broker that runs on a thread of its own, which it needs: nothing else that the program does delays calls.
///
/// Dropping it tells the broker to end as [`RunningBroker::shut_down`] does, without waiting.
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
    keys: KeyChanger,
    shutdown: watch::Sender<bool>,
    end: oneshot::Receiver<()>,
}

impl RunningBroker {
    /// Starts a broker; returns when both its addresses accept connections.
    ///
    /// # Errors
    /// [`BrokerError`]: an address cannot be bound, or would be open to strangers.
    ///
    /// # Cancel safety
    /// Dropping the future ends the broker.
    pub async fn start(settings: Settings) -> Result<RunningBroker, BrokerError> {
        let (shutdown, told) = watch::channel(false);
        let (bound, addresses) = oneshot::channel();
        let (ending, end) = oneshot::channel();
        thread::Builder::new().name("callboard-broker".into()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime,
                // An owner that is gone needs no reason.
                Err(error) => return drop(bound.send(Err(error.into()))),
            };
            // As a task of its own it is woken by the gate's tasks without a system call, which the future that a runtime
            // blocks on is not. An error is a panic that was told on stderr.
            let _ = runtime.block_on(async { spawn_local(serve(settings, bound, told)).await });
            // Nobody may wait for the end any more.
            let _ = ending.send(());
        })?;
        let gone = |_| BrokerError::System(io::Error::other("its thread ended before it began"));
        let (frontend, backend, keys) = addresses.await.map_err(gone)??;
        Ok(RunningBroker { frontend, backend, keys, shutdown, end })
    }

    /// Where clients connect, with the actual port.
    pub fn frontend(&self) -> &str {
        &self.frontend
    }

    /// Where workers connect, with the actual port.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// From now on these keys count instead of those the broker had, for who joins. Who has joined stays.
    pub fn change_keys(&self, keys: AuthKeys) {
        self.keys.change(keys);
    }

    /// Waits until the broker has ended by itself, which it does only by a fault of its own: a panic, told on stderr.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn ended(&mut self) {
        // Either way it is gone.
        let _ = (&mut self.end).await;
    }

    /// Ends the broker in order: it refuses what is new, lets running calls finish for as long as its settings say, says goodbye
    /// to everybody, and is gone when this returns.
    ///
    /// # Cancel safety
    /// Once polled the broker ends, whether or not anybody waits for it.
    pub async fn shut_down(mut self) {
        self.shutdown.send_replace(true);
        self.ended().await;
    }
}

/// The addresses of a broker that accepts, and its keys' handle; or why there is none.
type Bound = Result<(String, String, KeyChanger), BrokerError>;

async fn serve(settings: Settings, bound: oneshot::Sender<Bound>, mut told: watch::Receiver<bool>) {
    match Broker::bind(settings) {
        Ok(broker) => {
            if bound.send(Ok((broker.frontend(), broker.backend(), broker.key_changer()))).is_ok() {
                // An error is an owner that is gone, which means the same.
                broker.run(async move { drop(told.wait_for(|&told| told).await) }).await;
            }
        }
        // An owner that is gone needs no reason.
        Err(error) => drop(bound.send(Err(error))),
    }
}
