//! One method of a service, and where its function runs.

use std::{sync::Arc, time::Duration};

use callboard_core::wire::{envelope::Effect, streams::Style};
use callboard_workers::{DynamicMethod, Service};
use pyo3::{exceptions::PyValueError, prelude::*};

use super::{
    event_loop::LoopCalls,
    handler::{Handler, Shared},
    signature::Signature,
    threads::ThreadCalls,
};

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
        let handler = Handler::new(function, parameters, sends_items, item_convert);
        let limits = Limits { soft: soft_limit, hard: hard_limit, concurrency };
        Ok(Method { name, effect: effect_of(effect)?, style, limits, handler: Arc::new(handler) })
    }
}

impl Method {
    /// Adds the method to a service.
    pub(super) fn add_to(&self, service: Service, executor: &Executor, shared: &Arc<Shared>) -> PyResult<Service> {
        let (handler, shared) = (Arc::clone(&self.handler), Arc::clone(shared));
        let names = self.handler.argument_names().to_vec();
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
