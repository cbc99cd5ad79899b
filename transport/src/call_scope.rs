//! The call that a handler serves, for the calls that the handler makes: these end no later than it does.

use std::{
    any::Any,
    cell::RefCell,
    future::poll_fn,
    ops::Deref,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::sync::Notify;

thread_local! {
    /// The call that is served on this thread at this moment.
    static CURRENT: RefCell<Option<CallScope>> = const { RefCell::new(None) };
}

/// A cheap handle of a call that is being served: its deadline, and whether it is cancelled.
///
/// While a handler runs inside of [`enter`](CallScope::enter) or [`run`](CallScope::run), the calls that it makes have at most the
/// time that the served call has left. A nested blocking call also ends when the served call is cancelled; a nested awaited call is
/// dropped together with its handler.
#[derive(Clone, Debug)]
pub struct CallScope(Arc<ServedCall<dyn Any + Send + Sync>>);

/// A call that is being served, with data of its server, in one allocation.
#[derive(Debug)]
pub struct ServedCall<T: ?Sized> {
    deadline: Option<Instant>,
    cancelled: AtomicBool,
    /// Notifies the futures of [`ServedCall::cancelled`].
    cancellation: Notify,
    /// The server's own data about the call.
    pub data: T,
}

impl<T> ServedCall<T> {
    /// Creates a call that is not cancelled.
    pub fn new(deadline: Option<Instant>, data: T) -> ServedCall<T> {
        ServedCall { deadline, cancelled: AtomicBool::new(false), cancellation: Notify::new(), data }
    }
}

impl<T: ?Sized> ServedCall<T> {
    /// Returns when the caller stops waiting; `None` if the call has no deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Cancels the call: its outcome is not wanted any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.cancellation.notify_waiters();
    }

    /// Returns true once the call is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits until the call is cancelled.
    ///
    /// # Cancel safety
    /// Cancel safe: the future may be dropped and created again.
    pub async fn cancelled(&self) {
        // Created before the check: a cancellation in between notifies it.
        let notified = self.cancellation.notified();
        if !self.is_cancelled() {
            notified.await;
        }
    }
}

impl<T: Any + Send + Sync> From<Arc<ServedCall<T>>> for CallScope {
    fn from(served: Arc<ServedCall<T>>) -> Self {
        CallScope(served)
    }
}

impl Deref for CallScope {
    type Target = ServedCall<dyn Any + Send + Sync>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl CallScope {
    /// Returns the scope that is entered on this thread at this moment, if any.
    pub fn current() -> Option<CallScope> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Returns whether a scope is entered on this thread at this moment. Never panics, also not in a panic hook.
    pub fn is_entered() -> bool {
        CURRENT.try_with(|current| current.try_borrow().is_ok_and(|current| current.is_some())).unwrap_or(false)
    }

    /// Runs `part` with this scope as the [`current`](CallScope::current) one.
    pub fn enter<T>(self, part: impl FnOnce() -> T) -> T {
        let _restore = Restore(CURRENT.replace(Some(self)));
        part()
    }

    /// Runs `future` with this scope as the [`current`](CallScope::current) one during each of its polls.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| self.clone().enter(|| future.as_mut().poll(context))).await
    }
}

/// Restores the scope that was current before, also during a panic.
struct Restore(Option<CallScope>);

impl Drop for Restore {
    fn drop(&mut self) {
        // The scope that ends is dropped after the borrow: it may be the last reference to its call.
        drop(CURRENT.replace(self.0.take()));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures::executor::block_on;

    use super::*;

    /// Creates the scope of a call without data.
    fn scope(deadline: Option<Instant>) -> CallScope {
        Arc::new(ServedCall::new(deadline, ())).into()
    }

    #[test]
    fn leaving_a_scope_restores_the_outer_one_also_after_a_panic() {
        let (outer, inner) = (scope(None), scope(Some(Instant::now())));
        assert!(CallScope::current().is_none());
        outer.enter(|| {
            assert!(catch_unwind(AssertUnwindSafe(|| inner.clone().enter(|| panic!("in the handler")))).is_err());
            assert!(CallScope::current().is_some_and(|current| current.deadline().is_none()));
            block_on(
                inner.run(async { assert!(CallScope::current().is_some_and(|current| current.deadline().is_some())) }),
            );
        });
        assert!(CallScope::current().is_none());
    }

    #[test]
    fn waiting_for_a_cancellation_that_has_happened_returns_at_once() {
        let served = scope(None);
        served.cancel();
        block_on(served.cancelled());
        assert!(served.is_cancelled());
    }
}
