//! Time limits for whoever waits in the client, whatever runtime they wait on.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use callboard_core::time::Time;
use callboard_transport::Clock;
use tokio::{runtime::Handle, task::JoinHandle, time::sleep_until};

/// Goes off at a point in time.
///
/// It runs on the link thread: a caller may be on any executor, and need not have a timer. Only who finds no room at once,
/// and who waits for the first connection, needs one.
#[derive(Debug)]
pub(crate) struct Alarm(Option<JoinHandle<()>>);

impl Alarm {
    /// An alarm at `deadline`; one that never goes off if there is none.
    pub(crate) fn at(deadline: Option<Time>, clock: Clock, link_thread: &Handle) -> Alarm {
        let instant = deadline.and_then(|deadline| clock.instant(deadline));
        // The timer is made over there: here may be no runtime that has any.
        Alarm(instant.map(|instant| link_thread.spawn(async move { sleep_until(instant.into()).await })))
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Pending,
            Some(task) => {
                // An error is the end of the link thread: there is nothing to be waited for any more.
                let (Ok(()) | Err(_)) = ready!(Pin::new(task).poll(context));
                self.0 = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
