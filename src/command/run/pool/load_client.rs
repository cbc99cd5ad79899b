//! A pool's view of the broker: how busy its own workers are there.

use std::{fmt, sync::Mutex, time::Duration};

use callboard::{AuthKey, Client, ClientBuilder, WorkerState, core::broker::Load};

/// How long the broker has to answer. A pool that gets none goes on without.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Asks the broker about one pool.
pub(crate) struct Lookout {
    pool: String,
    /// What it proves to the broker, if anything.
    authkey: Option<AuthKey>,
    /// How the pool's own worker stands: it is told where clients connect.
    state: Box<dyn Fn() -> WorkerState + Send + Sync>,
    /// The client of the present frontend.
    client: Mutex<Option<(String, Client)>>,
}

impl Lookout {
    pub(crate) fn new(
        pool: String,
        authkey: Option<AuthKey>,
        state: impl Fn() -> WorkerState + Send + Sync + 'static,
    ) -> Lookout {
        Lookout { pool, authkey, state: Box::new(state), client: Mutex::new(None) }
    }

    /// How busy the pool's workers are; `None` if the broker does not say.
    pub(crate) async fn load(&self) -> Option<Load> {
        let client = self.client()?;
        client.call("callboard.load", (&self.pool,)).await.ok()
    }

    /// The client for the frontend that the broker named last.
    fn client(&self) -> Option<Client> {
        let WorkerState::Registered { frontend } = (self.state)() else { return None };
        let mut held = self.client.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.as_ref().is_none_or(|(address, _)| *address != frontend) {
            let client = Client::builder(&frontend).name("callboard-pool").timeout(ANSWER_MAX);
            let client = self.authkey.clone().into_iter().fold(client, ClientBuilder::authkey);
            let client = client.connect_lazily().ok()?;
            *held = Some((frontend, client));
        }
        held.as_ref().map(|(_, client)| client.clone())
    }
}

impl fmt::Debug for Lookout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookout").field("pool", &self.pool).finish_non_exhaustive()
    }
}
