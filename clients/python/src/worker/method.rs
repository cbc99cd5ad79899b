//! One method: what it does with a call.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use callboard_core::wire::{envelope::Effect, status::Failure, streams::Style};
use callboard_workers::{DynamicCall, DynamicMethod, Outcome, Service};
use pyo3::{
    exceptions::{PyException, PySystemExit, PyValueError},
    intern,
    prelude::*,
};
use tokio::sync::Notify;

use super::{
    context::Context,
    event_loop::{AsyncItems, LoopCalls},
    failure,
    items::Items,
    signature::{BindError, Bindings, Signature},
    threads::ThreadCalls,
};
use crate::{value, wait};

/// A method of a service. Python creates it, and gives it to the worker.
#[pyclass(module = "callboard._native", frozen)]
pub(crate) struct Method {
    name: String,
    effect: Effect,
    style: Style,
    limits: Limits,
    handler: Arc<Handler>,
}

/// The limits of a method, in seconds.
#[derive(Debug)]
struct Limits {
    soft: Option<f64>,
    hard: Option<f64>,
    concurrency: Option<u32>,
}

/// A Python function with what is needed to call it.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) function: Py<PyAny>,
    signature: Signature,
    sends_items: bool,
    /// Checks and converts an item of the caller.
    item_convert: Option<Py<PyAny>>,
}

/// Where the plain functions and coroutines of a service run.
#[derive(Clone)]
pub(super) enum Executor {
    /// On the thread that runs the worker.
    Main,
    /// On threads that take calls from this queue.
    Threads(Arc<ThreadCalls>),
    /// On an asyncio event loop.
    Loop(Arc<LoopCalls>),
}

/// What the handlers of a worker share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Whether failures contain tracebacks.
    pub(super) traceback: bool,
    /// Asks the worker to stop.
    pub(super) stop: Notify,
    /// The exception with which `run` ends, such as the `SystemExit` of a handler.
    pub(super) exit: Mutex<Option<PyErr>>,
}

#[pymethods]
impl Method {
    #[new]
    #[pyo3(signature = (name, effect, style, function, parameters, item_convert, soft_limit, hard_limit, concurrency))]
    #[expect(clippy::too_many_arguments, reason = "Python passes the fields by name")]
    fn new(
        name: String,
        effect: &str,
        style: &str,
        function: Py<PyAny>,
        parameters: Signature,
        item_convert: Option<Py<PyAny>>,
        soft_limit: Option<f64>,
        hard_limit: Option<f64>,
        concurrency: Option<u32>,
    ) -> PyResult<Method> {
        let style = style_of(style)?;
        let sends_items = matches!(style, Style::Server | Style::Bidi);
        let handler = Handler { function, signature: parameters, sends_items, item_convert };
        let limits = Limits { soft: soft_limit, hard: hard_limit, concurrency };
        Ok(Method { name, effect: effect_of(effect)?, style, limits, handler: Arc::new(handler) })
    }
}

impl Method {
    /// Adds the method to a service.
    pub(super) fn add_to(&self, service: Service, executor: &Executor, shared: &Arc<Shared>) -> PyResult<Service> {
        let (handler, shared) = (Arc::clone(&self.handler), Arc::clone(shared));
        let names = self.handler.signature.names.clone();
        let executor = executor.clone();
        let method = DynamicMethod::new(&self.name, self.effect, names, self.style, move |call| match &executor {
            Executor::Main => Python::attach(|py| handler.serve(py, call, &shared)),
            Executor::Threads(queue) => queue.push(Arc::clone(&handler), call, Arc::clone(&shared)),
            Executor::Loop(queue) => queue.push_call(Arc::clone(&handler), call, Arc::clone(&shared)),
        });
        let mut service = service.dynamic(method);
        if let Some(soft) = self.limits.soft {
            service = service.soft_limit(&self.name, seconds(soft)?);
        }
        if let Some(hard) = self.limits.hard {
            service = service.hard_limit(&self.name, seconds(hard)?);
        }
        if let Some(concurrency) = self.limits.concurrency {
            service = service.concurrency(&self.name, concurrency);
        }
        Ok(service)
    }
}

impl Handler {
    /// Runs a call of a plain function on this thread, to its end.
    pub(super) fn serve(&self, py: Python<'_>, call: DynamicCall, shared: &Shared) {
        let outcome = call.context().enter(|| self.outcome(py, &call, shared));
        call.finish(outcome);
    }

    fn outcome(&self, py: Python<'_>, call: &DynamicCall, shared: &Shared) -> Outcome {
        let (args, kwargs) = self.bind(py, call, shared, None)?;
        let result = self.function.bind(py).call(args, kwargs.as_ref());
        let result = result.map_err(|error| shared.failure(py, error))?;
        if self.sends_items { send_items(py, call, &result, shared) } else { encode_result(py, &result) }
    }

    /// Returns the arguments with which to call the function.
    pub(super) fn bind<'py>(
        &self,
        py: Python<'py>,
        call: &DynamicCall,
        shared: &Shared,
        calls: Option<&Arc<LoopCalls>>,
    ) -> Result<Bindings<'py>, Box<Failure>> {
        let special = |kind: &str| self.special(py, call, kind, calls);
        self.signature.bind(py, call.arguments(), special).map_err(|error| match error {
            BindError::Arguments(error) => Box::new(error.into()),
            BindError::Exception(error) => shared.failure(py, error),
        })
    }

    /// Returns the value of a parameter that is not an argument: the context, or the caller's items.
    fn special<'py>(
        &self,
        py: Python<'py>,
        call: &DynamicCall,
        kind: &str,
        calls: Option<&Arc<LoopCalls>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let convert = self.item_convert.as_ref();
        match calls {
            _ if kind == "context" => Ok(Bound::new(py, Context::new(call.context()))?.into_any()),
            Some(calls) => Ok(Bound::new(py, AsyncItems::new(py, call.streams(), convert, calls))?.into_any()),
            None => Ok(Bound::new(py, Items::new(py, call.streams(), convert))?.into_any()),
        }
    }
}

impl Shared {
    /// Returns the failure of a handler that raised an exception. What is not an `Exception` is logged; `SystemExit` also stops the
    /// worker.
    pub(super) fn failure(&self, py: Python<'_>, error: PyErr) -> Box<Failure> {
        let failure = failure::from_exception(py, &error, self.traceback);
        if !error.is_instance_of::<PyException>(py) {
            error.clone_ref(py).display(py);
            if error.is_instance_of::<PySystemExit>(py) {
                self.exit_with(error);
            }
        }
        failure
    }

    /// Stops the worker; `run` then ends with this exception.
    pub(super) fn exit_with(&self, error: PyErr) {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.notify_one();
    }
}

/// Encodes the result of a function.
pub(super) fn encode_result(py: Python<'_>, result: &Bound<'_, PyAny>) -> Outcome {
    value::encode(result, "result").map_err(|error| failure::unencodable(py, &error))
}

/// Sends the items of an iterator to the caller. The GIL is released while the caller does not read.
fn send_items(py: Python<'_>, call: &DynamicCall, items: &Bound<'_, PyAny>, shared: &Shared) -> Outcome {
    let streams = call.streams();
    let send = || -> PyResult<()> {
        for item in items.try_iter()? {
            let item: Bytes = value::encode(&item?, "item")?;
            wait::block_on(py, streams.send_item(item))?.map_err(|error| failure::to_exception(py, error))?;
        }
        Ok(())
    };
    let sent = send();
    // A generator that was not read to its end runs its `finally` blocks now.
    if sent.is_err()
        && let Ok(close) = items.getattr(intern!(py, "close"))
    {
        let _ = close.call0();
    }
    sent.map_err(|error| shared.failure(py, error))?;
    encode_result(py, py.None().bind(py))
}

fn effect_of(name: &str) -> PyResult<Effect> {
    match name {
        "read" => Ok(Effect::Read),
        "idempotent" => Ok(Effect::Idempotent),
        "once" => Ok(Effect::Once),
        _ => Err(PyValueError::new_err(format!("unknown effect {name:?}: use read, idempotent or once"))),
    }
}

fn style_of(name: &str) -> PyResult<Style> {
    match name {
        "unary" => Ok(Style::Unary),
        "server" => Ok(Style::Server),
        "client" => Ok(Style::Client),
        "both" => Ok(Style::Bidi),
        _ => Err(PyValueError::new_err(format!("unknown style {name:?}: use unary, server, client or both"))),
    }
}

pub(super) fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} is not a number of seconds")))
}
