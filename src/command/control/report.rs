//! The status of a pool: the result of `callboard.pool.NAME.status`.
//!
//! The names of its fields in JSON are part of the protocol.

use std::time::Instant;

use callboard::{
    Client,
    pool::{PoolStatus, ReplicaState, ReplicaStatus, service_name},
};
use serde::{Deserialize, Serialize};

use crate::{command::client, settings::ClientSettings};

/// The status of one pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PoolReport {
    pub(crate) name: String,
    pub(crate) pid: u32,
    /// The target number of worker processes. Processes that drain, and new ones of an unfinished rollout, do not
    /// count.
    pub(crate) size: u32,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Whether the pool scales automatically.
    pub(crate) autoscale: bool,
    /// The generation of its processes: 1, and one more for each reload.
    pub(crate) generation: u32,
    /// The rollout in progress.
    #[serde(rename = "exchange")]
    pub(crate) rollout: Option<RolloutReport>,
    /// The last rollout that has ended.
    #[serde(rename = "exchanged")]
    pub(crate) last_rollout: Option<FinishedRolloutReport>,
    /// Why it gave up and ends, if it did.
    pub(crate) verdict: Option<String>,
    pub(crate) workers: Vec<WorkerReport>,
}

/// A rollout in progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RolloutReport {
    pub(crate) number: u32,
    /// Whether the new processes already serve, beside the old ones.
    #[serde(rename = "trial")]
    pub(crate) canary: bool,
}

/// A rollout that has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FinishedRolloutReport {
    pub(crate) number: u32,
    /// Why the old processes stayed; `None`: the new ones replaced them.
    pub(crate) rolled_back: Option<String>,
}

/// One worker process of a pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerReport {
    #[serde(rename = "seat")]
    pub(crate) replica: u32,
    pub(crate) instance: String,
    /// `looping`: its processes end again and again, and the next one starts after the longest backoff.
    pub(crate) state: String,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    pub(crate) generation: u32,
    /// How its last process ended.
    pub(crate) last_exit: Option<String>,
    /// The milliseconds until its next process starts, during a backoff.
    pub(crate) starts_in_ms: Option<u64>,
}

impl PoolReport {
    /// Creates the status of a pool of this process; `status` is `None` until the pool runs.
    pub(crate) fn new(name: &str, autoscale: bool, status: Option<PoolStatus>) -> PoolReport {
        let (name, pid) = (name.to_owned(), std::process::id());
        let Some(status) = status else {
            let (rollout, last_rollout, verdict, workers) = (None, None, None, Vec::new());
            let (size, min, max, generation) = (0, 0, 0, 1);
            return PoolReport {
                name,
                pid,
                size,
                min,
                max,
                autoscale,
                generation,
                rollout,
                last_rollout,
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
            rollout: status.rollout.map(|rollout| RolloutReport { number: rollout.id.0, canary: rollout.canary }),
            last_rollout: status
                .last_rollout
                .map(|ended| FinishedRolloutReport { number: ended.id.0, rolled_back: ended.rolled_back }),
            verdict: status.crash_loop.map(|crash_loop| crash_loop.to_string()),
            workers: status.replicas.into_iter().map(WorkerReport::new).collect(),
        }
    }

    /// Queries the status of a pool.
    pub(crate) async fn query(client: &Client, pool: &str, settings: &ClientSettings) -> anyhow::Result<PoolReport> {
        let call = client.call::<PoolReport>(format!("{}.status", service_name(pool)), ());
        client::timed(call, settings).await.map_err(client::failed)
    }

    /// Returns the number of its workers that serve.
    pub(crate) fn registered(&self) -> usize {
        self.workers.iter().filter(|worker| worker.state == "registered").count()
    }

    /// Returns whether the pool has its target number of workers, and all of them serve.
    pub(crate) fn is_settled(&self) -> bool {
        self.workers.len() == self.size as usize && self.registered() == self.workers.len()
    }
}

impl WorkerReport {
    fn new(replica: ReplicaStatus) -> WorkerReport {
        let waits = matches!(replica.state, ReplicaState::Backoff { .. });
        let wait = replica.next_start.map(|at| at.saturating_duration_since(Instant::now()).as_millis());
        WorkerReport {
            replica: replica.id.0,
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
