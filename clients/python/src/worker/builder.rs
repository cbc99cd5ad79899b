//! The worker: its settings, its services, and the thread that runs it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use callboard_core::{
    auth::AuthKey,
    body,
    contract::ServiceDescription,
    wire::limits::{HEARTBEAT_DEFAULT, WORKER_DRAIN_TIMEOUT},
};
use callboard_workers::{self as workers, RunningWorker, Service, WorkerError};
use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
};
use tokio::sync::{Notify, oneshot};

use super::{
    event_loop::LoopQueue,
    handler::Shared,
    method::{Executor, Method, seconds},
    signals::SignalWatch,
    threads::ThreadQueue,
};
use crate::{curve, error, value};

/// A worker. `run` serves its services until it is stopped.
#[pyclass(module = "callboard._native", frozen)]
pub(crate) struct Worker {
    /// `None` after `run`.
    worker: Mutex<Option<workers::Worker>>,
    drain: Duration,
    shared: Arc<Shared>,
}

#[pymethods]
impl Worker {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the Python class")]
    #[pyo3(signature = (address, name, authkey=None, server_key=None, curve_secret_file=None, heartbeat=None, drain=None, traceback=false))]
    fn new(
        address: String,
        name: String,
        authkey: Option<Vec<u8>>,
        server_key: Option<&str>,
        curve_secret_file: Option<PathBuf>,
        heartbeat: Option<f64>,
        drain: Option<f64>,
        traceback: bool,
    ) -> PyResult<Worker> {
        let drain = drain.map_or(Ok(WORKER_DRAIN_TIMEOUT), seconds)?;
        let heartbeat = heartbeat.map_or(Ok(HEARTBEAT_DEFAULT), seconds)?;
        let worker = workers::Worker::new().backend(address).name(name).drain(drain);
        let mut worker = worker.heartbeat(heartbeat);
        if let Some(key) = authkey {
            worker = worker.authkey(AuthKey::new(key).map_err(|error| PyValueError::new_err(error.to_string()))?);
        }
        // Without them, the worker takes the keys of the environment.
        if server_key.is_some() || curve_secret_file.is_some() {
            worker = curve::keys(server_key, curve_secret_file)?.into_iter().fold(worker, workers::Worker::curve);
        }
        let shared = Arc::new(Shared { traceback, ..Shared::default() });
        Ok(Worker { worker: Mutex::new(Some(worker)), drain, shared })
    }

    /// Adds methods of a service. `executor` is `None` for the thread that calls `run`, or a `ThreadQueue` or `LoopQueue`.
    fn add_service(
        &self,
        name: &str,
        description: &Bound<'_, PyAny>,
        slots: u32,
        prefetch: u32,
        executor: &Bound<'_, PyAny>,
        methods: Vec<PyRef<'_, Method>>,
    ) -> PyResult<()> {
        let executor = executor_of(executor)?;
        let description = value::encode(description, "description")?;
        let description: ServiceDescription =
            body::decode(&description).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut service = Service::new(name).slots(slots).prefetch(prefetch).with_description(description);
        for method in methods {
            service = method.add_to(service, &executor, &self.shared)?;
        }
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        *worker = worker.take().map(|worker| worker.serve(service));
        Ok(())
    }

    /// Limits how many calls run at once, and how many further calls are held ready, over all services.
    fn share_slots(&self, slots: u32, prefetch: u32) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        *worker = worker.take().map(|worker| worker.slots(slots).prefetch(prefetch));
    }

    /// Serves until `stop` or a signal. Then it finishes the running calls and returns. Handlers whose executor is `None` run on this
    /// thread; the GIL is released while it waits.
    fn run(&self, py: Python<'_>, signals: Option<PyRef<'_, SignalWatch>>) -> PyResult<()> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let worker = worker.ok_or_else(|| PyRuntimeError::new_err("this worker has run already"))?;
        let python_signals = Arc::new(Notify::new());
        // A worker with signals is the whole program, and not a part of one.
        let worker = if signals.is_some() { worker.announced() } else { worker };
        if let Some(signals) = signals {
            signals.start(Arc::clone(&self.shared), Arc::clone(&python_signals), self.drain)?;
        }
        let ended = py.detach(|| self.run_to_end(worker, &python_signals));
        ended.map_err(|error| worker_error(py, &error))?;
        let exit = self.shared.exit.lock().unwrap_or_else(PoisonError::into_inner).take();
        exit.map_or(Ok(()), Err)
    }

    /// Asks the worker to stop, from any thread.
    fn stop(&self) {
        self.shared.stop.notify_one();
    }
}

impl Worker {
    /// Runs the worker and its handlers on this thread.
    fn run_to_end(&self, worker: workers::Worker, python_signals: &Notify) -> Result<(), WorkerError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(async {
            let ended = self.supervise(worker.start()?)?;
            self.wait(ended, python_signals).await
        });
        runtime.shutdown_background();
        ended
    }

    /// Shuts the worker down when it is asked to stop. This has a thread of its own: a handler can keep the thread of `run` busy, and
    /// the broker must know at once that it should send no more calls.
    fn supervise(&self, mut running: RunningWorker) -> Result<oneshot::Receiver<Result<(), WorkerError>>, WorkerError> {
        let (sender, ended) = oneshot::channel();
        let (shared, drain) = (Arc::clone(&self.shared), self.drain);
        let supervise = async move {
            loop {
                tokio::select! {
                    // Both are cancel safe.
                    () = shared.stop.notified() => running.shutdown(drain).await,
                    // Fails if `run` has ended by a panic.
                    result = running.stopped() => break drop(sender.send(result)),
                }
            }
        };
        let thread = thread::Builder::new().name("callboard-supervisor".into());
        thread.spawn(move || futures::executor::block_on(supervise))?;
        Ok(ended)
    }

    /// Waits for the end of the worker, and lets Python handle signals meanwhile.
    async fn wait(
        &self,
        mut ended: oneshot::Receiver<Result<(), WorkerError>>,
        python_signals: &Notify,
    ) -> Result<(), WorkerError> {
        loop {
            tokio::select! {
                // Both are cancel safe.
                result = &mut ended => return result.unwrap_or(Err(WorkerError::IoThreadEnded)),
                () = python_signals.notified() => {
                    if let Err(error) = Python::attach(|py| py.check_signals()) {
                        self.shared.exit_with(error);
                    }
                }
            }
        }
    }
}

fn executor_of(executor: &Bound<'_, PyAny>) -> PyResult<Executor> {
    if executor.is_none() {
        return Ok(Executor::Main);
    }
    if let Ok(queue) = executor.cast::<ThreadQueue>() {
        return Ok(Executor::Threads(Arc::clone(&queue.get().calls)));
    }
    Ok(Executor::Loop(Arc::clone(&executor.cast::<LoopQueue>()?.get().calls)))
}

/// Returns the exception of a worker that cannot start or was rejected.
fn worker_error(py: Python<'_>, error: &WorkerError) -> PyErr {
    let text = error.to_string();
    match error {
        WorkerError::Rejected { .. } => error::named(py, "Rejected", text),
        WorkerError::System(_) => PyOSError::new_err(text),
        WorkerError::IoThreadEnded => PyRuntimeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}
