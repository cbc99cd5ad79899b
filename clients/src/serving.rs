//! The call that a handler serves, for the calls that it makes: they end when it does.
//!
//! For authors of worker libraries; whoever writes handlers has it done for them.

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
    /// What runs on this thread at this moment.
    static HERE: RefCell<Option<Serving>> = const { RefCell::new(None) };
}

/// A call that is being served: when its time is up, and whether anybody still waits for it. A cheap clone.
///
/// While a handler runs inside of [`enter`](Serving::enter) or [`during`](Serving::during), the calls that it makes have at most the
/// time that is left of it, and a blocking call ends when nobody waits for the handler any more. (An awaited one is dropped with the
/// handler that awaits it.)
#[derive(Clone, Debug)]
pub struct Serving(Arc<Served<dyn Any + Send + Sync>>);

/// A call that is being served, and what its server knows of it besides: one allocation for both.
#[derive(Debug)]
pub struct Served<T: ?Sized> {
    deadline: Option<Instant>,
    cancelled: AtomicBool,
    /// Who waits in [`Served::cancelled`].
    cancellation: Notify,
    /// What else is known of it.
    pub call: T,
}

impl<T> Served<T> {
    /// A call that is served from now on.
    pub fn new(deadline: Option<Instant>, call: T) -> Served<T> {
        Served { deadline, cancelled: AtomicBool::new(false), cancellation: Notify::new(), call }
    }
}

impl<T: ?Sized> Served<T> {
    /// When its caller stops waiting; `None` if it waits as long as it takes.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Nobody waits for it any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.cancellation.notify_waiters();
    }

    /// Whether nobody waits for it any more.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits until nobody waits for it any more.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; it may be asked again.
    pub async fn cancelled(&self) {
        let notified = self.cancellation.notified();
        if !self.is_cancelled() {
            notified.await;
        }
    }
}

impl<T: Any + Send + Sync> From<Arc<Served<T>>> for Serving {
    fn from(served: Arc<Served<T>>) -> Self {
        Serving(served)
    }
}

impl Deref for Serving {
    type Target = Served<dyn Any + Send + Sync>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Serving {
    /// The call that is served on this thread at this moment, if one is.
    pub fn here() -> Option<Serving> {
        HERE.with_borrow(Clone::clone)
    }

    /// Runs a part of the handler: `part` finds the call [`here`](Serving::here).
    pub fn enter<T>(self, part: impl FnOnce() -> T) -> T {
        let _left = Left(HERE.replace(Some(self)));
        part()
    }

    /// Runs a future of the handler's: it finds the call [`here`](Serving::here) whenever it runs.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub async fn during<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| self.clone().enter(|| future.as_mut().poll(context))).await
    }
}

/// What this thread was at before, which it goes back to, also by a panic.
struct Left(Option<Serving>);

impl Drop for Left {
    fn drop(&mut self) {
        // What was there is dropped when it is not borrowed any more: it may be the last of its call.
        drop(HERE.replace(self.0.take()));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures::executor::block_on;

    use super::*;

    /// A call of which nothing else is known.
    fn serving(deadline: Option<Instant>) -> Serving {
        Arc::new(Served::new(deadline, ())).into()
    }

    #[test]
    fn a_part_finds_its_own_call_and_leaves_what_was_before() {
        let (outer, inner) = (serving(None), serving(Some(Instant::now())));
        assert!(Serving::here().is_none());
        outer.enter(|| {
            assert!(
                catch_unwind(AssertUnwindSafe(|| inner.clone().enter(|| panic!("a handler's own fault")))).is_err()
            );
            assert!(Serving::here().is_some_and(|here| here.deadline().is_none()));
            block_on(inner.during(async { assert!(Serving::here().is_some_and(|here| here.deadline().is_some())) }));
        });
        assert!(Serving::here().is_none());
    }

    #[test]
    fn who_asks_after_the_cancel_does_not_wait_for_another() {
        let served = serving(None);
        served.cancel();
        block_on(served.cancelled());
        assert!(served.is_cancelled());
    }
}
