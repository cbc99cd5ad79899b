//! A pool as `callboard.pool.NAME.status` tells it, and as other commands read it.

use std::time::Instant;

use callboard::{
    Client,
    pool::{PoolStatus, ReplicaState, ReplicaStatus, service_name},
};
use serde::{Deserialize, Serialize};

use crate::{command::client, settings::ClientSettings};

/// A pool at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PoolReport {
    pub(crate) name: String,
    pub(crate) pid: u32,
    /// How many worker processes it is to have, apart from those that leave and those on trial.
    pub(crate) size: u32,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Whether it finds its size itself.
    pub(crate) autoscale: bool,
    /// Which reload its processes belong to, counted from 1.
    pub(crate) generation: u32,
    /// The exchange of processes that is under way.
    pub(crate) exchange: Option<ExchangeReport>,
    /// How the last one ended.
    pub(crate) exchanged: Option<ExchangedReport>,
    /// Why it gave up and ends, if so.
    pub(crate) verdict: Option<String>,
    pub(crate) workers: Vec<SeatReport>,
}

/// An exchange of processes that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExchangeReport {
    pub(crate) number: u32,
    /// The new ones serve already, beside the old ones.
    pub(crate) trial: bool,
}

/// An exchange of processes that has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExchangedReport {
    pub(crate) number: u32,
    /// Why the old ones stayed; `None`: the new ones took over.
    pub(crate) rolled_back: Option<String>,
}

/// A worker process as its pool tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SeatReport {
    pub(crate) seat: u32,
    pub(crate) instance: String,
    /// `looping`: its processes end again and again, and the next one comes after the longest wait.
    pub(crate) state: String,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    pub(crate) generation: u32,
    /// How the last process that it lost ended.
    pub(crate) last_exit: Option<String>,
    /// In how many milliseconds its next process is started, if it waits for that.
    pub(crate) starts_in_ms: Option<u64>,
}

impl PoolReport {
    /// What this process's pool of that name says; `status` is nothing as long as it has not begun.
    pub(crate) fn new(name: &str, autoscale: bool, status: Option<PoolStatus>) -> PoolReport {
        let (name, pid) = (name.to_owned(), std::process::id());
        let Some(status) = status else {
            let (exchange, exchanged, verdict, workers) = (None, None, None, Vec::new());
            let (size, min, max, generation) = (0, 0, 0, 1);
            return PoolReport {
                name,
                pid,
                size,
                min,
                max,
                autoscale,
                generation,
                exchange,
                exchanged,
                verdict,
                workers,
            };
        };
        PoolReport {
            name,
            pid,
            size: status.size,
            min: status.bounds.min,
            max: status.bounds.max,
            autoscale,
            generation: status.generation,
            exchange: status.rollout.map(|rollout| ExchangeReport { number: rollout.id.0, trial: rollout.canary }),
            exchanged: status
                .last_rollout
                .map(|ended| ExchangedReport { number: ended.id.0, rolled_back: ended.rolled_back }),
            verdict: status.crash_loop.map(|crash_loop| crash_loop.to_string()),
            workers: status.replicas.into_iter().map(SeatReport::new).collect(),
        }
    }

    /// Asks a pool how it stands.
    pub(crate) async fn ask(client: &Client, pool: &str, settings: &ClientSettings) -> anyhow::Result<PoolReport> {
        let call = client.call::<PoolReport>(format!("{}.status", service_name(pool)), ());
        client::timed(call, settings).await.map_err(client::failed)
    }

    /// How many of its workers serve.
    pub(crate) fn registered(&self) -> usize {
        self.workers.iter().filter(|worker| worker.state == "registered").count()
    }

    /// Whether it has as many workers as it is to have, and all of them serve.
    pub(crate) fn is_settled(&self) -> bool {
        self.workers.len() == self.size as usize && self.registered() == self.workers.len()
    }
}

impl SeatReport {
    fn new(replica: ReplicaStatus) -> SeatReport {
        let waits = matches!(replica.state, ReplicaState::Backoff { .. });
        let wait = replica.next_start.map(|at| at.saturating_duration_since(Instant::now()).as_millis());
        SeatReport {
            seat: replica.id.0,
            instance: replica.instance,
            state: if waits && replica.crash_looping { "looping" } else { replica.state.name() }.to_owned(),
            pid: replica.state.pid(),
            restarts: replica.restarts,
            generation: replica.generation,
            last_exit: replica.last_exit.map(|exit| exit.to_string()),
            starts_in_ms: wait.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX)),
        }
    }
}
