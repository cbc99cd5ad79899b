//! Delivers many replies to callers on one thread with one wake-up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use callboard_core::time::Time;
use callboard_transport::{BatchQueue, Clock, WAKEUP_DELAY_MAX};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{AbortHandle, yield_now},
};

use super::pending_reply::PendingReply;
use crate::shared::channels::ThreadChannels;

/// A task on the program's runtime that delivers replies to the callers on its thread.
///
/// Waking a caller on another thread is a system call. If that thread then runs beside the I/O thread, or instead of it, it takes the
/// replies one by one, and its next calls arrive one by one. So if the client is created on a runtime with one thread, a task of that
/// runtime delivers the replies of a turn. They cost one wake-up. So do the calls that the callers make next, because the I/O thread
/// is woken after all callers have run.
///
/// No caller depends on that task: its runtime may block or end, while its callers are awaited elsewhere by then. The I/O thread
/// itself delivers replies that are queued for [`WAKEUP_DELAY_MAX`], and continues to do so until the task has run again.
#[derive(Debug)]
pub(crate) struct CompletionNotifier {
    queue: Arc<CompletionQueue>,
    channels: Arc<ThreadChannels>,
    task: AbortHandle,
    /// When to check whether the task has run. Set while replies are queued or wake-ups of the I/O thread are suppressed.
    check_at: Option<Time>,
}

/// The replies that the I/O thread leaves to the task.
#[derive(Debug, Default)]
struct CompletionQueue {
    replies: BatchQueue<PendingReply>,
    /// Whether the task did not run in time, and has not run since.
    is_late: AtomicBool,
}

impl CompletionNotifier {
    /// Starts the task on the current runtime if that has one thread. On a runtime with several threads, callers are better woken one
    /// by one, because they run in parallel.
    pub(crate) fn start(channels: &Arc<ThreadChannels>) -> Option<CompletionNotifier> {
        let runtime = Handle::try_current().ok()?;
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        let (queue, channels) = (Arc::new(CompletionQueue::default()), Arc::clone(channels));
        let task = runtime.spawn(run(Arc::clone(&queue), Arc::clone(&channels))).abort_handle();
        Some(CompletionNotifier { queue, channels, task, check_at: None })
    }

    /// Queues replies for the task, or delivers them at once if the task is late or has ended.
    pub(crate) fn notify(&mut self, replies: &mut Vec<PendingReply>, clock: Clock) {
        if self.queue.is_late.load(Ordering::Relaxed) || self.task.is_finished() {
            return replies.drain(..).for_each(PendingReply::deliver);
        }
        self.channels.commands.suppress_wakeups();
        if self.queue.replies.append(replies) {
            self.check_at = Some(clock.now() + WAKEUP_DELAY_MAX);
        }
    }

    /// Returns when [`handle_timeout`](CompletionNotifier::handle_timeout) must be called. `None` once the task has
    /// delivered all replies and the callers have run.
    pub(crate) fn poll_timeout(&mut self) -> Option<Time> {
        if self.queue.replies.is_empty() && !self.channels.commands.wakeups_suppressed() {
            self.check_at = None;
        }
        self.check_at
    }

    /// Delivers replies that were queued for too long, and lets calls wake the I/O thread again.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.check_at.is_none_or(|at| at > now) {
            return;
        }
        self.check_at = None;
        // Set before the replies are taken, so that a task that runs meanwhile resets it.
        self.queue.is_late.store(true, Ordering::Relaxed);
        let left = self.queue.replies.take(Vec::new());
        if left.is_empty() {
            self.queue.is_late.store(false, Ordering::Relaxed);
        }
        left.into_iter().for_each(PendingReply::deliver);
        self.channels.commands.resume_wakeups();
    }
}

impl Drop for CompletionNotifier {
    fn drop(&mut self) {
        self.task.abort();
        self.queue.replies.close().into_iter().for_each(PendingReply::deliver);
        self.channels.commands.resume_wakeups();
    }
}

/// Runs the task: delivers replies until it is aborted.
async fn run(queue: Arc<CompletionQueue>, channels: Arc<ThreadChannels>) {
    channels.notifier_thread.get_or_init(|| thread::current().id());
    let mut replies = Vec::new();
    loop {
        queue.replies.notified().await;
        let resume = ResumeWakeups(&channels);
        loop {
            replies = queue.replies.take(replies);
            if replies.is_empty() {
                break;
            }
            replies.drain(..).for_each(PendingReply::deliver);
            // The callers that were woken run before this task continues.
            yield_now().await;
        }
        queue.is_late.store(false, Ordering::Relaxed);
        drop(resume);
    }
}

/// Lets calls wake the I/O thread again, also if the task is aborted.
struct ResumeWakeups<'a>(&'a ThreadChannels);

impl Drop for ResumeWakeups<'_> {
    fn drop(&mut self) {
        self.0.commands.resume_wakeups();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use callboard_core::client::Ticket;
    use tokio::{
        runtime::{self, Runtime},
        sync::oneshot,
    };

    use super::*;
    use crate::{error::call_error::CallError, shared::command::Command};

    type Outcome = oneshot::Receiver<Result<Bytes, CallError>>;

    struct Scene {
        channels: Arc<ThreadChannels>,
        clock: Clock,
        notifier: CompletionNotifier,
    }

    impl Scene {
        /// Creates a notifier on the current runtime.
        fn new() -> Scene {
            let channels = ThreadChannels::new(1, 1).unwrap();
            let notifier = CompletionNotifier::start(&channels).unwrap();
            Scene { channels, clock: Clock::new(), notifier }
        }

        /// Notifies two callers.
        fn notify(&mut self) -> [Outcome; 2] {
            let [(one, first), (two, second)] = [oneshot::channel(), oneshot::channel()];
            let replies = [one, two].map(|caller| PendingReply { caller, outcome: Ok(Bytes::new()) });
            self.notifier.notify(&mut replies.into(), self.clock);
            [first, second]
        }

        /// Handles the timeout when it is due, and once before, which changes nothing.
        fn handle_timeout(&mut self) {
            let at = self.notifier.poll_timeout().unwrap();
            self.notifier.handle_timeout(Time::ZERO);
            assert_eq!(self.notifier.poll_timeout(), Some(at));
            self.notifier.handle_timeout(at);
        }
    }

    fn current_thread_runtime() -> Runtime {
        runtime::Builder::new_current_thread().build().unwrap()
    }

    fn are_delivered(outcomes: &mut [Outcome; 2]) -> bool {
        let delivered = outcomes.each_mut().map(|outcome| outcome.try_recv().is_ok());
        assert_eq!(delivered[0], delivered[1], "both or none must be delivered");
        delivered[0]
    }

    #[tokio::test]
    async fn callers_on_one_thread_run_before_their_next_calls_wake_the_io_thread() {
        let mut scene = Scene::new();
        let mut outcomes = scene.notify();
        assert!(!are_delivered(&mut outcomes), "the task has not run yet");
        let channels = Arc::clone(&scene.channels);
        let callers = outcomes.map(|outcome| {
            let channels = Arc::clone(&channels);
            tokio::spawn(async move {
                assert!(outcome.await.is_ok() && channels.is_notifier_thread());
                channels.commands.push(Command::Cancel(Ticket(1))).unwrap();
            })
        });
        channels.commands.notified().await;
        assert!(callers.iter().all(tokio::task::JoinHandle::is_finished), "woken before all callers had run");
        assert_eq!(channels.commands.take(Vec::new()).len(), 2);
        assert_eq!(scene.notifier.poll_timeout(), None, "no timeout is needed");
        assert!(!scene.notifier.queue.is_late.load(Ordering::Relaxed), "the task ran in time");
    }

    #[tokio::test]
    async fn each_batch_has_its_own_timeout() {
        let mut scene = Scene::new();
        let mut first = scene.notify();
        let at = scene.notifier.poll_timeout();
        let mut second = scene.notify();
        assert_eq!(scene.notifier.poll_timeout(), at, "the first batch is still queued");
        yield_now().await;
        assert!(are_delivered(&mut first) && are_delivered(&mut second));
        while scene.clock.now() + WAKEUP_DELAY_MAX <= at.unwrap() {
            std::hint::spin_loop();
        }
        scene.notify();
        assert!(scene.notifier.poll_timeout() > at);
    }

    #[test]
    fn replies_are_delivered_if_the_runtime_of_the_task_does_not_run() {
        let runtime = current_thread_runtime();
        let mut scene = runtime.block_on(async { Scene::new() });
        let mut outcomes = scene.notify();
        assert!(!are_delivered(&mut outcomes), "the task may still run");
        scene.channels.commands.push(Command::Cancel(Ticket(1))).unwrap();
        scene.handle_timeout();
        assert!(are_delivered(&mut outcomes));
        runtime.block_on(scene.channels.commands.notified());
        assert!(are_delivered(&mut scene.notify()), "the task is not waited for a second time");
        // Once the task has run, replies are left to it again.
        runtime.block_on(yield_now());
        runtime.block_on(yield_now());
        let mut outcomes = scene.notify();
        assert!(!are_delivered(&mut outcomes));
        runtime.block_on(yield_now());
        assert!(are_delivered(&mut outcomes));
    }

    #[test]
    fn replies_are_delivered_when_the_runtime_is_dropped_and_when_the_client_ends() {
        let runtime = current_thread_runtime();
        let mut scene = runtime.block_on(async { Scene::new() });
        let mut outcomes = scene.notify();
        drop(scene.notifier);
        assert!(are_delivered(&mut outcomes));
        let mut scene = runtime.block_on(async { Scene::new() });
        let mut outcomes = scene.notify();
        drop(runtime);
        scene.handle_timeout();
        assert!(are_delivered(&mut outcomes));
        assert!(are_delivered(&mut scene.notify()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_runtime_with_several_threads_gets_no_notifier() {
        assert!(CompletionNotifier::start(&ThreadChannels::new(1, 1).unwrap()).is_none());
    }
}
