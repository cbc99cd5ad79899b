//! A runtime on its way to the thread that is to be its own.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime of one thread, to be moved into that thread.
///
/// Where the system has no thread for it, it is dropped on the way, which may be in async code; and a runtime that is dropped there
/// panics. This one may be dropped anywhere.
#[derive(Debug)]
pub struct Carried(Option<Runtime>);

impl Carried {
    /// A runtime with timers and I/O.
    ///
    /// # Errors
    /// If the system has no event queue for it.
    pub fn new() -> io::Result<Carried> {
        Ok(Carried(Some(Builder::new_current_thread().enable_all().build()?)))
    }

    /// By which others reach it.
    ///
    /// # Panics
    /// Never: only [`Carried::arrived`] takes it out.
    pub fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is taken out only by what consumes this").handle()
    }

    /// It is on its thread, and an ordinary runtime from here on.
    ///
    /// # Panics
    /// Never: nothing else takes it out.
    pub fn arrived(mut self) -> Runtime {
        self.0.take().expect("it is taken once, by what consumes it")
    }
}

impl Drop for Carried {
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
    async fn one_that_does_not_arrive_is_dropped_in_async_code() {
        drop(Carried::new().expect("an event queue"));
    }
}
