//! The snapshot of the pool of this process.

use tokio::sync::{mpsc, oneshot};

use super::{super::snapshot::PoolSnapshot, answer::answer};

/// Requests that may wait for the pool. The endpoint makes one at a time.
const REQUESTS_MAX: usize = 1;

/// Requests the state of a pool.
pub(crate) struct PoolMonitor {
    name: String,
    requests: mpsc::Sender<oneshot::Sender<PoolSnapshot>>,
}

/// The requests that the pool answers.
pub(crate) struct PoolRequests(mpsc::Receiver<oneshot::Sender<PoolSnapshot>>);

/// Creates both ends of the requests to a pool of this name.
pub(crate) fn pool_monitor(name: &str) -> (PoolMonitor, PoolRequests) {
    let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
    (PoolMonitor { name: name.to_owned(), requests }, PoolRequests(receiver))
}

impl PoolMonitor {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Requests the state of the pool.
    pub(super) async fn snapshot(&self) -> Result<PoolSnapshot, String> {
        let request = async {
            let (reply, received) = oneshot::channel();
            self.requests.send(reply).await.ok()?;
            received.await.ok()
        };
        answer(&format!("the pool {}", self.name), request).await
    }
}

impl PoolRequests {
    /// Waits for the next request; for ever without an endpoint.
    ///
    /// # Cancel safety
    /// Cancel safe: no request is lost.
    pub(crate) async fn next(&mut self) -> oneshot::Sender<PoolSnapshot> {
        match self.0.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }
}
