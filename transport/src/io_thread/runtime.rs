//! A runtime that one thread creates for another.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A `current_thread` runtime that is created on one thread and moved to the thread that runs it.
///
/// If that thread cannot be started, the runtime is dropped by its creator, which may be async code. Dropping a [`Runtime`] in async
/// code panics; dropping a `RuntimeHandoff` is safe anywhere.
#[derive(Debug)]
pub struct RuntimeHandoff(Option<Runtime>);

impl RuntimeHandoff {
    /// Creates a runtime with timers and I/O.
    ///
    /// # Errors
    /// If the system provides no event queue for it.
    pub fn new() -> io::Result<RuntimeHandoff> {
        Ok(RuntimeHandoff(Some(Builder::new_current_thread().enable_all().build()?)))
    }

    /// Returns the handle with which other threads spawn tasks on the runtime.
    ///
    /// # Panics
    /// Never: only [`RuntimeHandoff::into_runtime`] takes the runtime out.
    pub fn handle(&self) -> &Handle {
        self.0.as_ref().expect("only a method that consumes this takes the runtime out").handle()
    }

    /// Returns the runtime. To be called on the thread that runs it.
    ///
    /// # Panics
    /// Never: nothing else takes the runtime out.
    pub fn into_runtime(mut self) -> Runtime {
        self.0.take().expect("only this method takes the runtime out, and it consumes this")
    }
}

impl Drop for RuntimeHandoff {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handoff_can_be_dropped_in_async_code() {
        drop(RuntimeHandoff::new().expect("an event queue"));
    }
}
