//! Blocking a thread until a future is ready.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

/// Blocks until `future` is ready. Unlike the one of `futures`, which panics then, it may be called by what the future itself calls,
/// such as a callback that is told of progress and calls something in its turn.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken { thread: thread::current(), since: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // The thread may be unparked for somebody else's sake: for one that waits further out, or the program's own.
        while !woken.since.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// Whether a future has been woken since it was polled.
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
    fn a_future_may_block_on_another_and_misses_no_wake() {
        let (tell, mut told) = oneshot::channel();
        let (tell_inner, told_inner) = oneshot::channel();
        let mut inner = Some((tell, tell_inner, told_inner));
        let outer = block_on(poll_fn(|context| {
            let told = std::pin::Pin::new(&mut told).poll(context);
            if let Some((tell, tell_inner, told_inner)) = inner.take() {
                let waking = thread::spawn(move || {
                    // The outer one is woken first, while the inner one waits.
                    let _ = tell.send(1);
                    let _ = tell_inner.send(2);
                });
                assert_eq!(block_on(told_inner), Ok(2));
                waking.join().expect("it only sends");
            }
            told
        }));
        assert_eq!(outer, Ok(1));
    }
}
