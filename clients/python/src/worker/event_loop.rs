//! The queue of an asyncio event loop.
//!
//! A call reaches the loop through a socket that the loop reads, so that the sender needs no GIL, and one wake-up serves all calls
//! that are queued by the time the loop looks.

use std::{
    collections::HashMap,
    future::Future,
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as TaskContext, Poll, Wake, Waker},
};

use bytes::Bytes;
use callboard_workers::{DynamicCall, DynamicStreams, Error};
use pyo3::{
    exceptions::{PyRuntimeError, PyStopAsyncIteration},
    intern,
    prelude::*,
};

use super::{
    context::Context,
    failure,
    handler::{Handler, Shared, encode_result},
    items,
};
use crate::value;

/// The number of bytes that one read takes from the socket. More than one byte waits only after a race, which is harmless.
const WAKEUPS_MAX: usize = 64;

/// The calls of an event loop. The worker creates it before the loop runs.
#[pyclass(module = "callboard._native", frozen)]
pub(crate) struct LoopQueue {
    reader: UnixStream,
    pub(super) calls: Arc<LoopCalls>,
}

/// What the threads of the worker and the event loop share.
pub(super) struct LoopCalls {
    state: Mutex<State>,
    writer: UnixStream,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    /// The waits of handlers for items or credit. Only the loop's thread uses them.
    waits: HashMap<u64, Wait>,
    /// The number of the next call or wait.
    next: u64,
    /// The loop's method `create_future`.
    create_future: Option<Py<PyAny>>,
}

enum Event {
    Call { handler: Arc<Handler>, call: DynamicCall, shared: Arc<Shared> },
    Cancelled(u64),
    Ready(u64),
    Ended,
}

/// A future of a stream, and the asyncio future that gets its output.
struct Wait {
    operation: Operation,
    future: Py<PyAny>,
}

/// The conversion of an item, with the class of the items.
type Received = Result<Option<Bytes>, Error>;

enum Operation {
    Send(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>),
    Receive { received: Pin<Box<dyn Future<Output = Received> + Send>>, convert: Option<Py<PyAny>> },
}

/// One call that the event loop runs.
#[pyclass(module = "callboard._native", frozen)]
pub(crate) struct LoopCall {
    /// `None` when it has ended.
    call: Mutex<Option<DynamicCall>>,
    context: Context,
    streams: DynamicStreams,
    calls: Arc<LoopCalls>,
    shared: Arc<Shared>,
}

/// The items that the caller sends. Iterate over them with `async for`; the caller waits while the handler does not.
#[pyclass(module = "callboard", frozen)]
struct AsyncItems {
    streams: DynamicStreams,
    convert: Option<Py<PyAny>>,
    calls: Arc<LoopCalls>,
}

/// What `take` returns: the number of a call; the call and what its function returned, or nothing if the call is cancelled.
type Taken = (u64, Option<(LoopCall, Py<PyAny>)>);

#[pymethods]
impl LoopQueue {
    #[new]
    fn new() -> PyResult<LoopQueue> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(LoopQueue { reader, calls: Arc::new(LoopCalls { state: Mutex::default(), writer }) })
    }

    /// Returns the descriptor that the event loop reads.
    fn fileno(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    /// Sets the loop's method `create_future`.
    fn attach(&self, create_future: Py<PyAny>) {
        self.calls.state().create_future = Some(create_future);
    }

    /// Returns the new calls and cancellations, and the number 0 if the worker has ended. Completes waits for items and credit.
    fn take(&self, py: Python<'_>) -> PyResult<Vec<Taken>> {
        let _ = (&self.reader).read(&mut [0; WAKEUPS_MAX]);
        let events = std::mem::take(&mut self.calls.state().events);
        let mut taken = Vec::with_capacity(events.len());
        for event in events {
            match event {
                Event::Call { handler, call, shared } => taken.extend(self.calls.start(py, &handler, call, shared)?),
                Event::Cancelled(number) => taken.push((number, None)),
                Event::Ready(number) => self.calls.poll(py, number)?,
                Event::Ended => taken.push((0, None)),
            }
        }
        Ok(taken)
    }

    /// Reports the end of the worker to the loop.
    fn close(&self) {
        self.calls.push(Event::Ended);
    }
}

impl LoopCalls {
    pub(super) fn push_call(&self, handler: Arc<Handler>, call: DynamicCall, shared: Arc<Shared>) {
        self.push(Event::Call { handler, call, shared });
    }

    fn push(&self, event: Event) {
        let mut state = self.state();
        state.events.push(event);
        let first = state.events.len() == 1;
        drop(state);
        if first {
            // If the socket is full, the loop has not read earlier wake-ups yet.
            let _ = (&self.writer).write(&[0]);
        }
    }

    /// Locks the state. No code panics while it holds the lock, so the state is consistent even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.next += 1;
        state.next
    }

    /// Calls the function of a call. Returns the coroutine or async iterator that it returned, or `None` if the call has failed.
    fn start(
        self: &Arc<Self>,
        py: Python<'_>,
        handler: &Handler,
        call: DynamicCall,
        shared: Arc<Shared>,
    ) -> PyResult<Option<Taken>> {
        let started = call.context().enter(|| {
            let create_items = |convert| {
                let items = AsyncItems { streams: call.streams(), convert, calls: Arc::clone(self) };
                Ok(Bound::new(py, items)?.into_any())
            };
            let (args, kwargs) = handler.bind(py, &call, &shared, create_items)?;
            handler
                .function
                .bind(py)
                .call(args, kwargs.as_ref())
                .map_err(|error| shared.failure(py, error, call.context()))
        });
        match started {
            Ok(awaitable) => {
                let number = self.next_number();
                call.wake_on_cancel(&self.waker(Event::Cancelled, number));
                let (context, streams) = (Context::new(call.context()), call.streams());
                let call = LoopCall { call: Mutex::new(Some(call)), context, streams, calls: Arc::clone(self), shared };
                Ok(Some((number, Some((call, awaitable.unbind())))))
            }
            Err(failure) => {
                call.finish(Err(failure));
                Ok(None)
            }
        }
    }

    /// Returns an asyncio future that gets the output of a stream operation.
    fn wait(self: &Arc<Self>, py: Python<'_>, operation: Operation) -> PyResult<Py<PyAny>> {
        let create = self.state().create_future.as_ref().map(|create| create.clone_ref(py));
        let create = create.ok_or_else(|| PyRuntimeError::new_err("the event loop is not attached"))?;
        let future = create.call0(py)?;
        let number = self.next_number();
        self.state().waits.insert(number, Wait { operation, future: future.clone_ref(py) });
        self.poll(py, number)?;
        Ok(future)
    }

    /// Continues a wait that was woken. One whose asyncio future was cancelled is dropped, and so loses no item.
    fn poll(self: &Arc<Self>, py: Python<'_>, number: u64) -> PyResult<()> {
        let Some(mut wait) = self.state().waits.remove(&number) else { return Ok(()) };
        let future = wait.future.bind(py);
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        let waker = self.waker(Event::Ready, number);
        match wait.operation.poll(py, &mut TaskContext::from_waker(&waker)) {
            Poll::Pending => drop(self.state().waits.insert(number, wait)),
            Poll::Ready(Ok(value)) => drop(future.call_method1(intern!(py, "set_result"), (value,))?),
            Poll::Ready(Err(error)) => {
                drop(future.call_method1(intern!(py, "set_exception"), (error.into_value(py),))?);
            }
        }
        Ok(())
    }

    fn waker(self: &Arc<Self>, event: fn(u64) -> Event, number: u64) -> Waker {
        Waker::from(Arc::new(LoopWaker { calls: Arc::clone(self), event, number }))
    }
}

/// Sends an event to the loop when it is woken.
struct LoopWaker {
    calls: Arc<LoopCalls>,
    event: fn(u64) -> Event,
    number: u64,
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.calls.push((self.event)(self.number));
    }
}

impl Operation {
    fn poll(&mut self, py: Python<'_>, task: &mut TaskContext<'_>) -> Poll<PyResult<Py<PyAny>>> {
        match self {
            Operation::Send(sent) => sent.as_mut().poll(task).map(|sent| match sent {
                Ok(()) => Ok(py.None()),
                Err(error) => Err(failure::to_exception(py, error)),
            }),
            Operation::Receive { received, convert } => {
                received.as_mut().poll(task).map(|received| received_item(py, received, convert.as_ref()))
            }
        }
    }
}

fn received_item(py: Python<'_>, received: Received, convert: Option<&Py<PyAny>>) -> PyResult<Py<PyAny>> {
    match received.map_err(|error| failure::to_exception(py, error))? {
        Some(item) => items::decode_item(py, &item, convert),
        None => Err(PyStopAsyncIteration::new_err(())),
    }
}

#[pymethods]
impl LoopCall {
    /// The context of the call.
    #[getter]
    fn context(&self) -> Context {
        self.context.clone()
    }

    /// Sends an item. Returns a future that is done when the caller has granted credit for it.
    fn send(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (item, streams) = (value::encode(item, "item")?, self.streams.clone());
        self.calls.wait(py, Operation::Send(Box::pin(async move { streams.send_item(item).await })))
    }

    /// Ends the call with a result.
    fn finish(&self, py: Python<'_>, result: &Bound<'_, PyAny>) {
        if let Some(call) = self.take() {
            call.finish(encode_result(py, result));
        }
    }

    /// Ends the call with an exception. A call that its caller has cancelled has no outcome.
    fn fail(&self, py: Python<'_>, exception: Bound<'_, PyAny>) {
        if let Some(call) = self.take().filter(|call| !call.context().is_cancelled()) {
            let failure = self.shared.failure(py, PyErr::from_value(exception), call.context());
            call.finish(Err(failure));
        }
    }
}

impl LoopCall {
    fn take(&self) -> Option<DynamicCall> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl AsyncItems {
    fn __aiter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (streams, convert) = (self.streams.clone(), self.convert.as_ref().map(|convert| convert.clone_ref(py)));
        let received = Box::pin(async move { streams.receive_item().await });
        self.calls.wait(py, Operation::Receive { received, convert })
    }
}
