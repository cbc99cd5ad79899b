//! The pool as a worker of the broker: it takes its name there, and tells how it stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use callboard::{
    AuthKey, Client, ClientBuilder, Reply, RunningWorker, Service, State, Worker, WorkerError,
    core::broker::Status,
    pool::{PoolControl, SeatState, service_name},
};
use serde::Serialize;

use super::exit::Exit;

/// How long a pool that starts waits to learn whether its name is free. Without a broker it starts all the same.
const NAME_MAX: Duration = Duration::from_secs(2);
/// How often it asks the broker which of its workers have registered, while some have not.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it asks how they are, once all have.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long a worker that was registered may be unknown to the broker while its pool is not: one that lives comes back within two
/// heartbeats, so one that does not is stopped, or hangs with its link thread.
const ABSENT_MAX: Duration = Duration::from_secs(4);

/// A pool as `callboard.pool.NAME.status` tells it.
#[derive(Debug, Serialize)]
struct PoolStatus {
    name: String,
    pid: u32,
    workers: Vec<WorkerStatus>,
}

/// A worker process as its pool tells it.
#[derive(Debug, Serialize)]
struct WorkerStatus {
    seat: u32,
    instance: String,
    state: &'static str,
    pid: Option<u32>,
    restarts: u32,
}

/// Where the pool's worker learns of which pool it tells, once there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tell(Arc<OnceLock<PoolControl>>);

impl Tell {
    /// The pool runs.
    pub(crate) fn of(&self, control: PoolControl) {
        // It is said once.
        let _ = self.0.set(control);
    }
}

/// Takes the pool's name at the broker: serves `callboard.pool.NAME`, which nobody else may.
///
/// # Errors
/// The name is in use, or the worker cannot start.
pub(crate) async fn take_name(
    name: &str,
    backend: &str,
    authkey: Option<AuthKey>,
) -> anyhow::Result<(RunningWorker, Tell)> {
    let tell = Tell::default();
    let (own, told) = (name.to_owned(), tell.clone());
    let status = move || status(&own, told.0.get());
    let service = Service::new(service_name(name)).read("status", [], status);
    let worker = Worker::new().backend(backend).name(format!("pool-{name}")).exclusive().serve(service);
    let worker = authkey.into_iter().fold(worker, Worker::authkey);
    let mut worker = worker.start().map_err(|error| Exit::GaveUp.because(error))?;
    tokio::select! {
        // Both may be dropped: the worker lives on without anybody who waits.
        joined = worker.joined() => if joined.is_err() { return Err(refused(worker.ended().await)) },
        () = tokio::time::sleep(NAME_MAX) => {}
    }
    Ok((worker, tell))
}

/// Why the broker does not have the pool (any more).
pub(crate) fn refused(ended: Result<(), WorkerError>) -> anyhow::Error {
    let error = ended.err().map_or_else(|| anyhow!("the pool's link to the broker ended"), Into::into);
    Exit::GaveUp.because(error)
}

fn status(name: &str, control: Option<&PoolControl>) -> Reply<PoolStatus> {
    let seats = control.map(|control| control.status().seats).unwrap_or_default().into_iter();
    let workers = seats.map(|seat| WorkerStatus {
        seat: seat.seat.0,
        instance: seat.instance,
        state: seat.state.word(),
        pid: seat.state.pid(),
        restarts: seat.restarts,
    });
    Reply(PoolStatus { name: name.to_owned(), pid: std::process::id(), workers: workers.collect() })
}

/// Tells the pool which of its workers have registered at the broker, and which are stuck by its word, for as long as it is polled.
pub(crate) async fn watch_registrations(
    name: String,
    authkey: Option<AuthKey>,
    state: impl Fn() -> State,
    control: PoolControl,
) {
    let mut clients = BTreeMap::new();
    let mut absent = BTreeMap::new();
    let mut looked = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let all = looked.elapsed() >= WATCH_EVERY;
        let unknown = control.status().seats.into_iter().any(|seat| matches!(seat.state, SeatState::Running { .. }));
        let State::Joined { frontend } = state() else {
            // Who is apart itself knows nothing of the others.
            absent.clear();
            continue;
        };
        if (unknown || all)
            && let Some(client) = client_of(&mut clients, frontend, authkey.as_ref())
        {
            looked = Instant::now();
            look(&name, client, &control, &mut absent).await;
        }
    }
}

/// The client for a frontend; another one if the broker's frontend has changed.
fn client_of<'a>(
    clients: &'a mut BTreeMap<String, Client>,
    frontend: String,
    authkey: Option<&AuthKey>,
) -> Option<&'a Client> {
    clients.retain(|address, _| *address == frontend);
    if !clients.contains_key(&frontend) {
        let client = Client::builder(&frontend).name("callboard-pool").timeout(NAME_MAX);
        let client = authkey.cloned().into_iter().fold(client, ClientBuilder::authkey).connect_lazily().ok()?;
        clients.insert(frontend.clone(), client);
    }
    clients.get(&frontend)
}

/// Looks at what the broker says of this pool's workers. `absent` has those that it does not know, each since when.
async fn look(name: &str, client: &Client, control: &PoolControl, absent: &mut BTreeMap<String, Instant>) {
    // A broker that does not answer is asked again a moment later.
    let Ok(status) = client.call::<Status>("callboard.status", ()).await else { return absent.clear() };
    let ours: Vec<_> = status.workers.into_iter().filter(|worker| worker.pool.as_deref() == Some(name)).collect();
    for worker in &ours {
        control.registered(&worker.name).await;
        if worker.stuck {
            tracing::warn!(instance = worker.name, "worker process is stuck: it is replaced");
            control.replace(&worker.name).await;
        }
    }
    let seats = control.status().seats.into_iter();
    let gone = seats.filter(|seat| matches!(seat.state, SeatState::Registered { .. })).map(|seat| seat.instance);
    let gone: BTreeSet<_> = gone.filter(|instance| ours.iter().all(|worker| worker.name != *instance)).collect();
    absent.retain(|instance, _| gone.contains(instance));
    for instance in gone {
        let since = *absent.entry(instance.clone()).or_insert_with(Instant::now);
        if since.elapsed() >= ABSENT_MAX {
            tracing::warn!(instance, "worker process does not come back to the broker: it is replaced");
            control.replace(instance).await;
        }
    }
}
