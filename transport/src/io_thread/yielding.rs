//! A cheap yield to the other tasks of the runtime.

use std::{future, mem, task::Poll};

/// Yields to the runtime's other tasks once, zeromq's writer among them.
///
/// Unlike `tokio::task::yield_now` it does not make the runtime poll for I/O first, which costs a system call per turn.
///
/// # Cancel safety
/// Cancel safe: dropping the future has no effect.
pub async fn yield_to_tasks() {
    let mut yielded = false;
    future::poll_fn(|context| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
