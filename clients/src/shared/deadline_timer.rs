//! A timer for callers on any executor.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use callboard_core::time::Time;
use callboard_transport::Clock;
use tokio::{runtime::Handle, task::JoinHandle, time::sleep_until};

/// A future that completes at a deadline.
///
/// The timer runs on the runtime of the driver, because a caller may be on an executor without timers. Only a caller that waits for a permit or
/// for the first connection creates one.
#[derive(Debug)]
pub(crate) struct DeadlineTimer(Option<JoinHandle<()>>);

impl DeadlineTimer {
    /// Creates a timer for `deadline`. Without a deadline it never completes.
    pub(crate) fn new(deadline: Option<Time>, clock: Clock, runtime: &Handle) -> DeadlineTimer {
        let instant = deadline.and_then(|deadline| clock.instant(deadline));
        // The sleep is created on the driver's runtime: the caller's runtime may have no timers.
        DeadlineTimer(instant.map(|instant| runtime.spawn(async move { sleep_until(instant.into()).await })))
    }
}

impl Future for DeadlineTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Pending,
            Some(task) => {
                // An error means that the driver has ended, so there is nothing left to wait for.
                let (Ok(()) | Err(_)) = ready!(Pin::new(task).poll(context));
                self.0 = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for DeadlineTimer {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
