//! Blocks a thread until a future is ready.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use callboard_transport::CallScope;
use futures::future::{Either, select};

/// Blocks until `future` is ready. In a handler, returns `None` when the call that the handler serves is cancelled.
pub(crate) fn wait_for<F: Future>(future: F) -> Option<F::Output> {
    let Some(scope) = CallScope::current() else { return Some(block_on(future)) };
    // The cancellation is polled second: an outcome that is ready counts.
    match block_on(select(pin!(future), pin!(scope.cancelled()))) {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// Blocks until `future` is ready.
///
/// Unlike `futures::executor::block_on`, which panics, it may be nested: a future may call it, for example in a progress callback that
/// makes a call.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken { thread: thread::current(), since: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // The thread may be unparked for another reason: an outer `block_on`, or the program's own use of `park`.
        while !woken.since.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// Records whether a future was woken since it was polled.
struct Woken {
    thread: Thread,
    since: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.since.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn nested_blocking_loses_no_wakeup() {
        let (sender, mut receiver) = oneshot::channel();
        let (inner_sender, inner_receiver) = oneshot::channel();
        let mut inner = Some((sender, inner_sender, inner_receiver));
        let outer = block_on(poll_fn(|context| {
            let result = std::pin::Pin::new(&mut receiver).poll(context);
            if let Some((sender, inner_sender, inner_receiver)) = inner.take() {
                let waking = thread::spawn(move || {
                    // Wakes the outer future first, while the inner one blocks.
                    let _ = sender.send(1);
                    let _ = inner_sender.send(2);
                });
                assert_eq!(block_on(inner_receiver), Ok(2));
                waking.join().expect("the thread must not panic");
            }
            result
        }));
        assert_eq!(outer, Ok(1));
    }
}
