//! Signals that stop the worker. Python's own signal handlers wait for the GIL, which a handler can hold for minutes.

use std::{
    io::{self, Read},
    os::{fd::AsRawFd, unix::net::UnixStream},
    process,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use pyo3::prelude::*;
use tokio::sync::Notify;

use super::handler::Shared;

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

/// The exit status after Ctrl-C, as a shell reports it.
const INTERRUPTED: i32 = 130;
/// The exit status after SIGTERM, as a shell reports it.
const TERMINATED: i32 = 143;

/// A pair of sockets for `signal.set_wakeup_fd`: Python writes the number of each signal to it at once, without the GIL.
#[pyclass(module = "callboard._native", frozen)]
pub(crate) struct SignalWatch {
    reader: UnixStream,
    /// `None` after `close`.
    writer: Mutex<Option<UnixStream>>,
}

#[pymethods]
impl SignalWatch {
    #[new]
    fn new() -> PyResult<SignalWatch> {
        let (reader, writer) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        Ok(SignalWatch { reader, writer: Mutex::new(Some(writer)) })
    }

    /// Returns the descriptor for `signal.set_wakeup_fd`; -1 after `close`.
    fn fileno(&self) -> i32 {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(-1, |writer| writer.as_raw_fd())
    }

    /// Ends the thread that reads the signals. Reset the wakeup descriptor before.
    fn close(&self) {
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl SignalWatch {
    /// Starts the thread that reads the signals. `others` is notified of signals that do not stop the worker.
    pub(super) fn start(&self, shared: Arc<Shared>, others: Arc<Notify>, drain: Duration) -> io::Result<()> {
        let reader = self.reader.try_clone()?;
        let watch = move || watch(reader, &shared, &others, drain);
        thread::Builder::new().name("callboard-signals".into()).spawn(watch).map(drop)
    }
}

/// Stops the worker at the first SIGTERM or Ctrl-C. While it drains, another Ctrl-C exits the process. After the drain time, both
/// exit it: a handler that does not return keeps `run` from returning.
fn watch(mut reader: UnixStream, shared: &Shared, others: &Notify, drain: Duration) {
    let mut stopped_at = None::<Instant>;
    while let Some(signal) = next_signal(&mut reader) {
        match (signal, stopped_at) {
            (SIGINT | SIGTERM, None) => {
                stopped_at = Some(Instant::now());
                shared.stop.notify_one();
            }
            (SIGINT, Some(_)) => process::exit(INTERRUPTED),
            (SIGTERM, Some(at)) if at.elapsed() >= drain => process::exit(TERMINATED),
            (SIGTERM, Some(_)) => {}
            _ => others.notify_one(),
        }
    }
}

/// Waits for the number of the next signal; `None` if the watch is closed.
fn next_signal(reader: &mut UnixStream) -> Option<u8> {
    let mut signal = [0];
    loop {
        match reader.read(&mut signal) {
            Ok(1) => return Some(signal[0]),
            // The system can deliver the signal to this thread, and Python lets it interrupt system calls.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
}
