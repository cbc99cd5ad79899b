//! The pool as a worker of the broker: it takes its name there, tells how it stands, and does what it is asked.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::anyhow;
use callboard::{
    AuthKey, Code, Error, Reply, RunningWorker, Service, Worker, WorkerError,
    pool::{ChangeError, PoolControl, service_name},
};
use serde::Serialize;

use super::load_client::Lookout;
use crate::command::{control::report::PoolReport, output::exit::Exit};

/// How long a pool that starts waits to learn whether its name is free. Without a broker it starts all the same.
const NAME_MAX: Duration = Duration::from_secs(2);

/// The pool as its service has it, which is there before there is a pool.
#[derive(Clone, Debug)]
pub(crate) struct Tell {
    name: Arc<str>,
    autoscale: bool,
    told: Arc<OnceLock<(PoolControl, Arc<Lookout>)>>,
}

/// What `scale` answers.
#[derive(Debug, Serialize)]
struct Scaled {
    size: u32,
}

/// What `reload` and `replace` answer: the number under which the status tells the end of it.
#[derive(Debug, Serialize)]
struct Begun {
    exchange: u32,
}

/// Takes the pool's name at the broker: serves `callboard.pool.NAME`, which nobody else may.
///
/// # Errors
/// The name is in use, or the worker cannot start.
pub(crate) async fn take_name(
    name: &str,
    backend: &str,
    authkey: Option<AuthKey>,
    autoscale: bool,
) -> anyhow::Result<(RunningWorker, Tell)> {
    let tell = Tell { name: name.into(), autoscale, told: Arc::default() };
    let worker = Worker::new().backend(backend).name(format!("pool-{name}")).exclusive().serve(tell.service());
    let worker = authkey.into_iter().fold(worker, Worker::authkey);
    let mut worker = worker.start().map_err(|error| Exit::GaveUp.because(error))?;
    tokio::select! {
        // Both may be dropped: the worker lives on without anybody who waits.
        registered = worker.registered() => if registered.is_err() { return Err(refused(worker.stopped().await)) },
        () = tokio::time::sleep(NAME_MAX) => {}
    }
    Ok((worker, tell))
}

/// Why the broker does not have the pool (any more).
pub(crate) fn refused(ended: Result<(), WorkerError>) -> anyhow::Error {
    let error = ended.err().map_or_else(|| anyhow!("the pool's link to the broker ended"), Into::into);
    Exit::GaveUp.because(error)
}

impl Tell {
    /// The pool runs.
    pub(crate) fn of(&self, control: PoolControl, lookout: Arc<Lookout>) {
        // It is said once.
        let _ = self.told.set((control, lookout));
    }

    /// What the pool can be asked. A program is never named here: what runs is the operator's word alone.
    fn service(&self) -> Service {
        let [status, scale, reload, replace] = [self.clone(), self.clone(), self.clone(), self.clone()];
        Service::new(service_name(&self.name))
            .read("status", [], move || Reply(status.status()))
            .idempotent("scale", ["size"], move |size: u32| scale.clone().scale(size))
            .once("reload", [], move || reload.clone().reload())
            .once("replace", ["instance"], move |instance: String| replace.clone().replace(instance))
    }

    fn status(&self) -> PoolReport {
        PoolReport::new(&self.name, self.autoscale, self.told.get().map(|(control, _)| control.status()))
    }

    async fn scale(self, size: u32) -> Result<Scaled, Error> {
        if self.autoscale {
            let why = "this pool finds its size itself, between its --min and --max; start it with -n to choose it";
            return Err(Error::new(Code::FailedPrecondition, why));
        }
        let (control, lookout) = self.pool()?;
        // Only who shrinks has to know who is idle.
        let shrinks = size < control.status().size;
        let load = if shrinks { lookout.load().await } else { None };
        let running = load.unwrap_or_default().workers.into_iter().map(|worker| (worker.name, worker.running));
        control.scale(size, running.collect()).await.map_err(error_of)?;
        tracing::info!(size, "asked for another size");
        Ok(Scaled { size })
    }

    async fn reload(self) -> Result<Begun, Error> {
        let number = self.pool()?.0.reload().await.map_err(error_of)?;
        tracing::info!(exchange = number.0, "asked to reload: new workers first");
        Ok(Begun { exchange: number.0 })
    }

    async fn replace(self, instance: String) -> Result<Begun, Error> {
        let number = self.pool()?.0.replace(&*instance).await.map_err(error_of)?;
        tracing::info!(exchange = number.0, instance, "asked to replace a worker");
        Ok(Begun { exchange: number.0 })
    }

    fn pool(&self) -> Result<&(PoolControl, Arc<Lookout>), Error> {
        self.told.get().ok_or_else(|| Error::new(Code::Unavailable, "the pool is starting: ask again in a moment"))
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
