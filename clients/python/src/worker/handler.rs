//! A Python function as a handler: what it does with a call.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use callboard_core::wire::status::Failure;
use callboard_workers::{Context as CallContext, DynamicCall, Outcome};
use pyo3::{
    exceptions::{PyException, PySystemExit},
    intern,
    prelude::*,
};
use tokio::sync::Notify;

use super::{
    context::Context,
    failure,
    items::Items,
    signature::{BindError, Bindings, Signature},
};
use crate::{value, wait};

/// A Python function with what is needed to call it.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) function: Py<PyAny>,
    signature: Signature,
    sends_items: bool,
    /// Checks and converts an item of the caller.
    item_convert: Option<Py<PyAny>>,
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

impl Handler {
    pub(super) fn new(
        function: Py<PyAny>,
        signature: Signature,
        sends_items: bool,
        item_convert: Option<Py<PyAny>>,
    ) -> Handler {
        Handler { function, signature, sends_items, item_convert }
    }

    /// Returns the names of the arguments, in order.
    pub(super) fn argument_names(&self) -> &[String] {
        &self.signature.names
    }

    /// Runs a call of a plain function on this thread, to its end.
    pub(super) fn serve(&self, py: Python<'_>, call: DynamicCall, shared: &Shared) {
        let outcome = call.context().enter(|| self.outcome(py, &call, shared));
        call.finish(outcome);
    }

    fn outcome(&self, py: Python<'_>, call: &DynamicCall, shared: &Shared) -> Outcome {
        let create_items = |convert| Ok(Bound::new(py, Items::new(call.streams(), convert))?.into_any());
        let (args, kwargs) = self.bind(py, call, shared, create_items)?;
        let result = self.function.bind(py).call(args, kwargs.as_ref());
        let result = result.map_err(|error| shared.failure(py, error, call.context()))?;
        if self.sends_items { send_items(py, call, &result, shared) } else { encode_result(py, &result) }
    }

    /// Returns the arguments with which to call the function. `create_items` creates the iterator over the caller's items; its argument
    /// converts an item.
    pub(super) fn bind<'py>(
        &self,
        py: Python<'py>,
        call: &DynamicCall,
        shared: &Shared,
        create_items: impl Fn(Option<Py<PyAny>>) -> PyResult<Bound<'py, PyAny>>,
    ) -> Result<Bindings<'py>, Box<Failure>> {
        let special = |kind: &str| match kind {
            "context" => Ok(Bound::new(py, Context::new(call.context()))?.into_any()),
            _ => create_items(self.item_convert.as_ref().map(|convert| convert.clone_ref(py))),
        };
        self.signature.bind(py, call.arguments(), special).map_err(|error| match error {
            BindError::Arguments(error) => Box::new(error.into()),
            BindError::Exception(error) => shared.failure(py, error, call.context()),
        })
    }
}

impl Shared {
    /// Returns the failure of a handler that raised an exception. An exception that is not a `callboard.Error` is logged with the id of
    /// the call; `SystemExit` also stops the worker.
    pub(super) fn failure(&self, py: Python<'_>, error: PyErr, call: &CallContext) -> Box<Failure> {
        let failure = failure::from_exception(py, &error, self.traceback);
        if error.is_instance_of::<PyException>(py) {
            failure::log(py, &error, call);
        } else {
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
    sent.map_err(|error| shared.failure(py, error, call.context()))?;
    encode_result(py, py.None().bind(py))
}
