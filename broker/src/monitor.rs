//! Reading the state of a running broker.

use callboard_core::{broker, time::Time};
use tokio::sync::{mpsc, oneshot};

/// The readers that may wait for the broker's next turn. Further ones wait for room.
const READERS_MAX: usize = 16;

/// A function that reads the state of the broker in the broker's thread.
type Reader = Box<dyn FnOnce(&broker::Broker, Time) + Send>;

/// Reads the state of a running broker. A clone is the same handle.
///
/// ```
/// use callboard_broker::{RunningBroker, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let any_port = || "tcp://127.0.0.1:0".parse();
/// let broker = RunningBroker::start(Settings::new(any_port()?, any_port()?)).await?;
/// let monitor = broker.monitor();
/// let workers = monitor.read(|broker, now| broker.metrics(now).gauges.workers).await;
/// assert_eq!(workers, Some(0));
/// # broker.shut_down().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BrokerMonitor(mpsc::Sender<Reader>);

/// The readers that wait for the broker's next turn.
#[derive(Debug)]
pub(crate) struct Readers(mpsc::Receiver<Reader>);

/// Creates the handle of a broker, and its end in the run loop.
pub(crate) fn channel() -> (BrokerMonitor, Readers) {
    let (sender, receiver) = mpsc::channel(READERS_MAX);
    (BrokerMonitor(sender), Readers(receiver))
}

impl BrokerMonitor {
    /// Runs `read` in the broker's thread, between two turns, and returns its result. Returns `None` if the broker has ended.
    ///
    /// The broker does nothing else meanwhile, so `read` should only copy what it needs. A broker whose thread hangs does not answer:
    /// use a timeout.
    ///
    /// # Cancel safety
    /// Dropping the future discards the result.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&broker::Broker, Time) -> T + Send + 'static,
    ) -> Option<T> {
        let (result, received) = oneshot::channel();
        // The receiver may be gone: then the result is not needed.
        let reader: Reader = Box::new(move |broker, now| drop(result.send(read(broker, now))));
        self.0.send(reader).await.ok()?;
        received.await.ok()
    }
}

impl Readers {
    /// Waits for the next reader. The broker holds a sender, so the channel stays open.
    ///
    /// # Cancel safety
    /// Cancel safe: a reader that was not returned stays in the channel.
    pub(crate) async fn next(&mut self) -> Reader {
        match self.0.recv().await {
            Some(reader) => reader,
            None => std::future::pending().await,
        }
    }

    /// Returns the next reader, if there is one already.
    pub(crate) fn try_next(&mut self) -> Option<Reader> {
        self.0.try_recv().ok()
    }
}
