//! The pool's control service, `callboard.pool.NAME`: reserves the pool's name at the broker, and serves status and changes.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::anyhow;
use callboard::{
    Code, Error, Reply, RunningWorker, Service, Worker, WorkerError,
    pool::{ChangeError, PoolControl, service_name},
};
use serde::Serialize;

use super::load_client::LoadClient;
use crate::{
    command::{control::report::PoolReport, logging, output::exit::Exit},
    settings::Credentials,
};

/// The time that a starting pool waits for the broker to accept its name. Without a broker it starts nevertheless.
const REGISTER_MAX: Duration = Duration::from_secs(2);

/// The control service of one pool. It exists before the pool itself.
#[derive(Clone, Debug)]
pub(crate) struct ControlService {
    name: Arc<str>,
    autoscale: bool,
    pool: Arc<OnceLock<(PoolControl, Arc<LoadClient>)>>,
}

/// The result of `scale`.
#[derive(Debug, Serialize)]
struct Scaled {
    size: u32,
}

/// The result of `reload` and `replace`: the number of the rollout, under which the status reports how it ended.
#[derive(Debug, Serialize)]
struct RolloutStarted {
    #[serde(rename = "exchange")]
    rollout: u32,
}

/// Registers the pool's name at the broker: serves `callboard.pool.NAME` as its only worker.
///
/// # Errors
/// The name is in use, or the worker cannot start.
pub(crate) async fn register_name(
    name: &str,
    backend: &str,
    credentials: &Credentials,
    autoscale: bool,
) -> anyhow::Result<(RunningWorker, ControlService)> {
    let control = ControlService { name: name.into(), autoscale, pool: Arc::default() };
    let worker = Worker::new().backend(backend).name(format!("pool-{name}")).exclusive().serve(control.service());
    let mut worker = credentials.add_to_worker(worker).start().map_err(|error| Exit::GaveUp.because(error))?;
    tokio::select! {
        // Both may be dropped: the worker continues without a waiter.
        registered = worker.registered() => if registered.is_err() { return Err(registration_error(worker.stopped().await)) },
        () = tokio::time::sleep(REGISTER_MAX) => {}
    }
    Ok((worker, control))
}

/// Returns the error with which the pool's registration at the broker ended.
pub(crate) fn registration_error(ended: Result<(), WorkerError>) -> anyhow::Error {
    let Err(error) = ended else {
        return Exit::GaveUp.because(anyhow!("the pool's connection to the broker ended"));
    };
    match &error {
        WorkerError::Rejected { failure, .. } if is_about_identity(failure.code) => Exit::Rejected.because(error),
        _ => Exit::GaveUp.because(error),
    }
}

/// Returns whether the broker rejected the pool's key or role, and not its name.
fn is_about_identity(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied)
}

impl ControlService {
    /// Sets the pool that the service controls, once it runs.
    pub(crate) fn attach(&self, control: PoolControl, load: Arc<LoadClient>) {
        // It is set once.
        let _ = self.pool.set((control, load));
    }

    /// Returns the service. No method takes a program: only the operator decides what runs.
    fn service(&self) -> Service {
        let [status, scale, reload, replace] = [self.clone(), self.clone(), self.clone(), self.clone()];
        Service::new(service_name(&self.name))
            .read("status", [], move || Reply(status.status()))
            .idempotent("scale", ["size"], move |size: u32| scale.clone().scale(size))
            .once("reload", [], move || reload.clone().reload())
            .once("replace", ["instance"], move |instance: String| replace.clone().replace(instance))
    }

    /// Returns the status of the pool.
    pub(crate) fn status(&self) -> PoolReport {
        PoolReport::new(&self.name, self.autoscale, self.pool.get().map(|(control, _)| control.status()))
    }

    async fn scale(self, size: u32) -> Result<Scaled, Error> {
        if self.autoscale {
            let why = "this pool scales itself between its --min and --max; start it with -n to set its size";
            return Err(Error::new(Code::FailedPrecondition, why));
        }
        let (control, load) = self.pool()?;
        // Only a pool that shrinks uses the numbers of running calls.
        let shrinks = size < control.status().size;
        let load = if shrinks { load.load().await } else { None };
        let running = load.unwrap_or_default().workers.into_iter().map(|worker| (worker.name, worker.running));
        control.scale(size, running.collect()).await.map_err(error_of)?;
        tracing::info!(target: logging::POOL, size, "scale requested");
        Ok(Scaled { size })
    }

    async fn reload(self) -> Result<RolloutStarted, Error> {
        let rollout = self.pool()?.0.reload().await.map_err(error_of)?;
        tracing::info!(target: logging::POOL, rollout = rollout.0, "reload requested");
        Ok(RolloutStarted { rollout: rollout.0 })
    }

    async fn replace(self, instance: String) -> Result<RolloutStarted, Error> {
        let rollout = self.pool()?.0.replace(&*instance).await.map_err(error_of)?;
        tracing::info!(target: logging::POOL, rollout = rollout.0, instance, "replacement of a worker requested");
        Ok(RolloutStarted { rollout: rollout.0 })
    }

    fn pool(&self) -> Result<&(PoolControl, Arc<LoadClient>), Error> {
        self.pool.get().ok_or_else(|| Error::new(Code::Unavailable, "the pool is starting: try again in a moment"))
    }
}

fn error_of(error: ChangeError) -> Error {
    let code = match error {
        ChangeError::Bounds { .. } => Code::OutOfRange,
        ChangeError::NoSuchWorker { .. } => Code::NotFound,
        ChangeError::TooManyTerminating { .. } => Code::ResourceExhausted,
        ChangeError::ShuttingDown => Code::Unavailable,
        _ => Code::FailedPrecondition,
    };
    Error::new(code, error.to_string())
}
