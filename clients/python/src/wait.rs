//! Blocks a Python thread until a future is ready, and lets signals interrupt it.

use std::{
    cell::RefCell,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use pyo3::prelude::*;

/// How often a blocked thread lets Python handle signals. Only the main thread handles them, but any thread may be that one.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

thread_local! {
    /// The waker of this thread, which costs an allocation.
    static WAKER: RefCell<Option<(Arc<Woken>, Waker)>> = const { RefCell::new(None) };
}

/// Blocks until the future is ready, with the GIL released.
///
/// # Errors
/// The exception that a signal handler raised, such as `KeyboardInterrupt`. The future is dropped.
pub(crate) fn block_on<F>(py: Python<'_>, future: F) -> PyResult<F::Output>
where
    F: Future<Output: Send> + Send,
{
    let output = block_on_until(py, future, None)?;
    Ok(output.expect("without a deadline, only an output ends the wait"))
}

/// As [`block_on`], but returns `None` at the deadline.
pub(crate) fn block_on_until<F>(py: Python<'_>, future: F, deadline: Option<Instant>) -> PyResult<Option<F::Output>>
where
    F: Future<Output: Send> + Send,
{
    let mut future = pin!(future);
    let (woken, waker) = thread_waker();
    // The first poll makes a call, which takes less time than releasing the GIL.
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
        return Ok(Some(output));
    }
    let output = loop {
        let check_at = Instant::now() + SIGNAL_CHECK_INTERVAL;
        let until = deadline.map_or(check_at, |deadline| deadline.min(check_at));
        let polled = py.detach(|| poll_until(future.as_mut(), &woken, &waker, until));
        if polled.is_some() || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            break polled;
        }
        py.check_signals()?;
    };
    // A nested wait of this thread may have taken a wake-up that was for an outer one, which polls once more then.
    woken.since.store(true, Ordering::Release);
    Ok(output)
}

/// Polls the future whenever it is woken. Returns `None` at `until`.
fn poll_until<F: Future>(mut future: Pin<&mut F>, woken: &Woken, waker: &Waker, until: Instant) -> Option<F::Output> {
    loop {
        while !woken.since.swap(false, Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
            return Some(output);
        }
    }
}

/// Records whether a thread was woken since it polled.
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

fn thread_waker() -> (Arc<Woken>, Waker) {
    WAKER.with_borrow_mut(|waker| {
        let new = || {
            let woken = Arc::new(Woken { thread: thread::current(), since: AtomicBool::new(false) });
            (Arc::clone(&woken), Waker::from(woken))
        };
        waker.get_or_insert_with(new).clone()
    })
}
