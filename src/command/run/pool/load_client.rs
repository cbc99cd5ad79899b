//! The pool's client: queries the broker for the load of the pool's workers.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use callboard::{Client, WorkerState, core::broker::Load};

use crate::settings::Credentials;

/// The timeout of a query. Without an answer the pool continues without the load.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The age up to which an answer counts as recent. The pool queries the broker once a second at least.
const RECENT: Duration = Duration::from_secs(5);

/// A client that queries the broker about one pool.
pub(crate) struct LoadClient {
    pool: String,
    credentials: Credentials,
    /// The state of the pool's own worker, which has the address for clients.
    state: Box<dyn Fn() -> WorkerState + Send + Sync>,
    /// The client of the current frontend, with that frontend's address.
    client: Mutex<Option<(String, Client)>>,
    /// The last answer, with its time.
    last: Mutex<Option<(Instant, Load)>>,
}

impl LoadClient {
    pub(crate) fn new(
        pool: String,
        credentials: Credentials,
        state: impl Fn() -> WorkerState + Send + Sync + 'static,
    ) -> LoadClient {
        LoadClient { pool, credentials, state: Box::new(state), client: Mutex::default(), last: Mutex::default() }
    }

    /// Returns the load of the pool's workers; `None` if the broker does not answer.
    pub(crate) async fn load(&self) -> Option<Load> {
        let client = self.client()?;
        let load: Load = client.call("callboard.load", (&self.pool,)).await.ok()?;
        *lock(&self.last) = Some((Instant::now(), load.clone()));
        Some(load)
    }

    /// Returns the last answer of the broker, if it is recent.
    pub(crate) fn recent(&self) -> Option<Load> {
        lock(&self.last).as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, load)| load.clone())
    }

    /// Returns a client of the frontend that the broker announced last.
    fn client(&self) -> Option<Client> {
        let WorkerState::Registered { frontend } = (self.state)() else { return None };
        let mut held = lock(&self.client);
        if held.as_ref().is_none_or(|(address, _)| *address != frontend) {
            let client = Client::builder(&frontend).name("callboard-pool").timeout(ANSWER_MAX);
            let client = self.credentials.add_to_client(client).connect_lazily().ok()?;
            *held = Some((frontend, client));
        }
        held.as_ref().map(|(_, client)| client.clone())
    }
}

/// Locks a value. Each change of it is one assignment, so it is valid even if its holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for LoadClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadClient").field("pool", &self.pool).finish_non_exhaustive()
    }
}
