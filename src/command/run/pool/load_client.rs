//! The pool's client: queries the broker for the load of the pool's workers.

use std::{fmt, sync::Mutex, time::Duration};

use callboard::{Client, WorkerState, core::broker::Load};

use crate::settings::Credentials;

/// The timeout of a query. Without an answer the pool continues without the load.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A client that queries the broker about one pool.
pub(crate) struct LoadClient {
    pool: String,
    credentials: Credentials,
    /// The state of the pool's own worker, which has the address for clients.
    state: Box<dyn Fn() -> WorkerState + Send + Sync>,
    /// The client of the current frontend, with that frontend's address.
    client: Mutex<Option<(String, Client)>>,
}

impl LoadClient {
    pub(crate) fn new(
        pool: String,
        credentials: Credentials,
        state: impl Fn() -> WorkerState + Send + Sync + 'static,
    ) -> LoadClient {
        LoadClient { pool, credentials, state: Box::new(state), client: Mutex::new(None) }
    }

    /// Returns the load of the pool's workers; `None` if the broker does not answer.
    pub(crate) async fn load(&self) -> Option<Load> {
        let client = self.client()?;
        client.call("callboard.load", (&self.pool,)).await.ok()
    }

    /// Returns a client of the frontend that the broker announced last.
    fn client(&self) -> Option<Client> {
        let WorkerState::Registered { frontend } = (self.state)() else { return None };
        let mut held = self.client.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.as_ref().is_none_or(|(address, _)| *address != frontend) {
            let client = Client::builder(&frontend).name("callboard-pool").timeout(ANSWER_MAX);
            let client = self.credentials.add_to_client(client).connect_lazily().ok()?;
            *held = Some((frontend, client));
        }
        held.as_ref().map(|(_, client)| client.clone())
    }
}

impl fmt::Debug for LoadClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadClient").field("pool", &self.pool).finish_non_exhaustive()
    }
}
