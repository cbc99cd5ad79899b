//! The class `Client`: a client, and the calls that it makes.

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use callboard_clients::{Call, Client as NativeClient, Encoded, Progress};
use futures::FutureExt as _;
use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::{
    inbox::Inbox,
    operation::{Operation, Outcome},
    options::Timeout,
    pending::PendingCall,
    request::Request,
    settings::Settings,
    statistics,
    stream::{self, ItemSender, ItemStream},
};
use crate::{error, wait};

/// How often this process was forked from one that had imported the module.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Notes that this process is a forked child: the threads of its clients exist only in the parent.
#[pyfunction]
pub(super) fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The settings and the connection of a client.
#[pyclass(subclass, frozen, module = "callboard._native")]
pub(super) struct Client {
    settings: Settings,
    /// Locked only with the GIL held, so that no thread holds it when the process is forked.
    current: Mutex<Current>,
}

/// The client of this process.
struct Current {
    client: NativeClient,
    forks: u64,
}

impl Client {
    /// Returns the client of this process. A forked child gets a client of its own, with a session of its own.
    fn native(&self, py: Python<'_>) -> PyResult<NativeClient> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let forks = FORKS.load(Ordering::Relaxed);
        if current.forks != forks {
            let new = Current { client: self.settings.start(py)?, forks };
            // The old client belongs to threads of the parent process. Dropping it could wait for locks that they held at the fork.
            std::mem::forget(std::mem::replace(&mut *current, new));
        }
        Ok(current.client.clone())
    }

    fn prepare<T>(&self, py: Python<'_>, request: Request<'_>) -> PyResult<Call<T>> {
        request.prepare(&self.native(py)?)
    }
}

#[pymethods]
impl Client {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the Python class")]
    #[pyo3(signature = (address=None, authkey=None, *, name="", timeout=Timeout::Default, authkey_file=None, server_key=None, curve_secret_file=None))]
    fn new(
        py: Python<'_>,
        address: Option<String>,
        authkey: Option<&Bound<'_, PyAny>>,
        name: &str,
        timeout: Timeout,
        authkey_file: Option<PathBuf>,
        server_key: Option<String>,
        curve_secret_file: Option<PathBuf>,
    ) -> PyResult<Client> {
        let settings = Settings::new(address, authkey, authkey_file, server_key, curve_secret_file, name, timeout)?;
        let current = Current { client: settings.start(py)?, forks: FORKS.load(Ordering::Relaxed) };
        Ok(Client { settings, current: Mutex::new(current) })
    }

    /// The broker's address.
    #[getter]
    fn address(&self) -> &str {
        &self.settings.address
    }

    /// Calls a method, such as "calculator.add", and waits for its result.
    ///
    /// Every argument by position or name is one of the method, except these options: `timeout` in seconds (None for none; default:
    /// the client's), `key` (an affinity key), `priority` ("low", "normal", "high"), `effect` ("read", "idempotent", "once", if it is
    /// stricter than the method's) and `wait_for_ready` (True to wait for a worker). A method whose argument has such a name is called
    /// by `service`.
    ///
    /// Raises a subclass of callboard.Error; TypeError if an argument cannot be sent.
    #[pyo3(
        signature = (*args, **kwargs),
        text_signature = "($self, method, /, *args, timeout=..., key=None, priority='normal', effect=None, wait_for_ready=False, **kwargs)"
    )]
    fn call(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        self.call_with(py, Request::from_call(args, kwargs)?)
    }

    /// Makes a call and waits for its result.
    fn call_with(&self, py: Python<'_>, request: Request<'_>) -> PyResult<Py<PyAny>> {
        let call = self.prepare::<Encoded>(py, request)?;
        finish(py, wait::block_on(py, call.into_future())?.into())
    }

    /// Makes a call, whose outcome is taken later.
    fn start_call(&self, py: Python<'_>, request: Request<'_>) -> PyResult<PendingCall> {
        let call = self.prepare::<Encoded>(py, request)?;
        Ok(PendingCall::start(Box::pin(call.into_future().map(Outcome::from))))
    }

    /// Makes a call whose outcome `inbox` delivers. Returns the token that cancels it.
    fn call_to(&self, py: Python<'_>, request: Request<'_>, inbox: &Inbox, deliver: Py<PyAny>) -> PyResult<u64> {
        let call = self.prepare::<Encoded>(py, request)?;
        Ok(inbox.add(Box::pin(call.into_future().map(Outcome::from)), deliver))
    }

    /// Makes a call to every worker of the method, whose answers are taken later.
    fn start_broadcast(&self, py: Python<'_>, request: Request<'_>) -> PyResult<PendingCall> {
        let call = self.prepare::<Encoded>(py, request)?.broadcast();
        Ok(PendingCall::start(Box::pin(call.into_future().map(Outcome::from))))
    }

    /// Makes a call that reports its progress: `on_progress(done, total, message)` on the thread that waits for the outcome.
    fn start_with_progress(
        &self,
        py: Python<'_>,
        request: Request<'_>,
        on_progress: Py<PyAny>,
    ) -> PyResult<PendingCall> {
        let call = self.prepare::<Encoded>(py, request)?;
        Ok(PendingCall::start(stream::reply(call.on_progress(move |progress| report(&on_progress, &progress)))))
    }

    /// Sends a one-way call. Returns when it is in the client's queue.
    #[pyo3(signature = (request, broadcast=false))]
    fn cast_with(&self, py: Python<'_>, request: Request<'_>, broadcast: bool) -> PyResult<()> {
        let call = self.prepare::<()>(py, request)?;
        let cast: Pin<Box<dyn Future<Output = _> + Send>> =
            if broadcast { Box::pin(call.cast_to_all()) } else { Box::pin(call.cast()) };
        wait::block_on(py, cast)?.map_err(|error| error::call_error(py, &error))
    }

    /// Sends a one-way call, or fails if the client's queue is full.
    #[pyo3(signature = (request, broadcast=false))]
    fn try_cast_with(&self, py: Python<'_>, request: Request<'_>, broadcast: bool) -> PyResult<()> {
        let call = self.prepare::<()>(py, request)?;
        let sent = if broadcast { call.try_cast_to_all() } else { call.try_cast() };
        sent.map_err(|error| error::call_error(py, &error))
    }

    /// Makes a call whose handler sends items.
    fn start_stream(&self, py: Python<'_>, request: Request<'_>) -> PyResult<ItemStream> {
        let call = self.prepare::<Encoded>(py, request)?;
        Ok(ItemStream::new(call.stream()))
    }

    /// Makes a call to whose handler the caller sends items.
    fn start_upload(&self, py: Python<'_>, request: Request<'_>) -> PyResult<(ItemSender, PendingCall)> {
        let call = self.prepare::<Encoded>(py, request)?;
        let (sender, reply) = call.upload::<Encoded>();
        Ok((ItemSender::new(sender), PendingCall::start(stream::reply(reply))))
    }

    /// Makes a call in which both send items.
    fn start_duplex(&self, py: Python<'_>, request: Request<'_>) -> PyResult<(ItemSender, ItemStream)> {
        let call = self.prepare::<Encoded>(py, request)?;
        let (sender, items) = call.duplex::<Encoded, Encoded>();
        Ok((ItemSender::new(sender), ItemStream::new(items)))
    }

    /// Starts to close the client. The outcome is that of the close.
    fn start_close(&self) -> PendingCall {
        let client = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            (current.forks == FORKS.load(Ordering::Relaxed)).then(|| current.client.clone())
        };
        let close: Operation = match client {
            Some(client) => Box::pin(async move {
                client.close().await.map_or_else(|error| Outcome::Error(error.to_string()), |()| Outcome::Done)
            }),
            // The client belongs to the parent process.
            None => Box::pin(std::future::ready(Outcome::Done)),
        };
        PendingCall::start(close)
    }

    /// Returns the counters of the client since its creation, and the numbers of its pending calls.
    #[pyo3(name = "statistics")]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        statistics::to_dict(py, &self.native(py)?.statistics())
    }
}

/// Converts an outcome that is not the end of a stream.
fn finish(py: Python<'_>, outcome: Outcome) -> PyResult<Py<PyAny>> {
    Ok(outcome.into_python(py)?.unwrap_or_else(|| py.None()))
}

/// Passes a progress report to Python. An exception there does not end the call.
fn report(on_progress: &Py<PyAny>, progress: &Progress) {
    Python::attach(|py| {
        let reported = on_progress.call1(py, (progress.done, progress.total, &progress.message));
        reported.map_or_else(|error| error.write_unraisable(py, Some(on_progress.bind(py))), drop);
    });
}
