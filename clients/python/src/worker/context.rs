//! The context of a call, for its handler.

use std::time::Instant;

use callboard_workers as workers;
use pyo3::{prelude::*, types::PyTuple};

/// The context of the call that a handler serves. A parameter that is annotated with this class gets it.
#[pyclass(module = "callboard", frozen)]
#[derive(Clone, Debug)]
pub(crate) struct Context(workers::Context);

impl Context {
    pub(super) fn new(context: &workers::Context) -> Context {
        Context(context.clone())
    }
}

#[pymethods]
impl Context {
    /// Whether the caller has given up, or the deadline has passed. A long function should check it regularly.
    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// The seconds until the caller stops waiting, at least 0; None if the call has no deadline.
    #[getter]
    fn deadline(&self) -> Option<f64> {
        self.0.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// The name of the peer that made the call, as the broker authenticated it. None if it has no name.
    #[getter]
    fn caller(&self) -> Option<&str> {
        self.0.caller()
    }

    /// The number of this attempt, from 1. It is higher if an earlier worker was lost with the call.
    #[getter]
    fn attempt(&self) -> u32 {
        self.0.attempt()
    }

    /// The affinity key of the call, or None. Calls of one key run one after another.
    #[getter]
    fn key(&self) -> Option<&str> {
        self.0.key()
    }

    /// The fencing token of the key, or None. It increases when the key moves to another worker.
    #[getter]
    fn fencing_token(&self) -> Option<u64> {
        self.0.fencing_token()
    }

    /// The full name of the method, SERVICE.METHOD.
    #[getter]
    fn method(&self) -> &str {
        self.0.method()
    }

    /// The id of the call, as in logs and in ``callboard why``.
    #[getter]
    fn call_id(&self) -> String {
        self.0.call_id().to_string()
    }

    /// Reports progress, if the caller asked for it: ``done`` of ``total`` in any unit, and a message.
    #[pyo3(signature = (done, total=None, message=""))]
    fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        self.0.progress(done, total, message);
    }

    /// Calls a function: the calls that it starts inherit the deadline of this call. For callboard.aio.
    #[pyo3(name = "_enter", signature = (function, /, *args))]
    fn enter<'py>(&self, function: &Bound<'py, PyAny>, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        self.0.enter(|| function.call1(args.clone()))
    }

    fn __repr__(&self) -> String {
        format!("<callboard.Context of {}, call {}>", self.0.method(), self.0.call_id())
    }
}
