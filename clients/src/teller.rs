//! Tells many callers on one thread their outcomes with one wake-up.

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

use crate::{outcomes::Awaited, shared::Lines};

/// The way to a task of the program's, which tells callers on its thread what the link thread knows.
///
/// To wake somebody who awaits on another thread is a system call, and where that thread then runs beside us, or in our place, it
/// takes up the outcomes one by one and its next calls come one by one. So where the client was made on a runtime of one
/// thread, a task of that runtime tells the outcomes of a turn: they cost one wake-up, and so do the calls that are made on hearing
/// them, for the link thread is woken when all have run.
///
/// Nobody depends on that task: its runtime may stand still, or be gone, while its callers await somewhere else by now. What lies
/// on its desk for [`WAKEUP_DELAY_MAX`] the link thread tells itself, and goes on so until the task has shown that it is there.
#[derive(Debug)]
pub(crate) struct Teller {
    desk: Arc<Desk>,
    lines: Arc<Lines>,
    task: AbortHandle,
    /// When to look whether the task has come. It is set while something lies on the desk, or calls are held back.
    look_by: Option<Time>,
}

/// What the link thread and the task share.
#[derive(Debug, Default)]
struct Desk {
    awaited: BatchQueue<Awaited>,
    /// The task did not come in time, and has not come since.
    late: AtomicBool,
}

impl Teller {
    /// On the runtime that we are on, if it has one thread. On more threads than one, callers are better woken one by one: they run
    /// side by side.
    pub(crate) fn start(lines: &Arc<Lines>) -> Option<Teller> {
        let runtime = Handle::try_current().ok()?;
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        let (desk, lines) = (Arc::new(Desk::default()), Arc::clone(lines));
        let task = runtime.spawn(serve(Arc::clone(&desk), Arc::clone(&lines))).abort_handle();
        Some(Teller { desk, lines, task, look_by: None })
    }

    /// Leaves outcomes to the task, or tells them here if it would not.
    pub(crate) fn tell(&mut self, awaited: &mut Vec<Awaited>, clock: Clock) {
        if self.desk.late.load(Ordering::Relaxed) || self.task.is_finished() {
            return awaited.drain(..).for_each(Awaited::tell);
        }
        self.lines.commands.suppress_wakeups();
        if self.desk.awaited.append(awaited) {
            self.look_by = Some(clock.now() + WAKEUP_DELAY_MAX);
        }
    }

    /// When to [`look`](Teller::look). Not any more, once the task has told all and its callers have run.
    pub(crate) fn look_by(&mut self) -> Option<Time> {
        if self.desk.awaited.is_empty() && !self.lines.commands.wakeups_suppressed() {
            self.look_by = None;
        }
        self.look_by
    }

    /// Tells here what has lain on the desk for too long, and lets calls wake us again.
    pub(crate) fn look(&mut self, now: Time) {
        if self.look_by.is_none_or(|by| by > now) {
            return;
        }
        self.look_by = None;
        // Said before it is known, so that a task that comes meanwhile has the last word.
        self.desk.late.store(true, Ordering::Relaxed);
        let left = self.desk.awaited.take(Vec::new());
        if left.is_empty() {
            self.desk.late.store(false, Ordering::Relaxed);
        }
        left.into_iter().for_each(Awaited::tell);
        self.lines.commands.resume_wakeups();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
        self.desk.awaited.close().into_iter().for_each(Awaited::tell);
        self.lines.commands.resume_wakeups();
    }
}

/// The task's whole life.
async fn serve(desk: Arc<Desk>, lines: Arc<Lines>) {
    lines.home.get_or_init(|| thread::current().id());
    let mut awaited = Vec::new();
    loop {
        desk.awaited.notified().await;
        let release = Release(&lines);
        loop {
            awaited = desk.awaited.take(awaited);
            if awaited.is_empty() {
                break;
            }
            awaited.drain(..).for_each(Awaited::tell);
            // Those that were told run before this goes on.
            yield_now().await;
        }
        desk.late.store(false, Ordering::Relaxed);
        drop(release);
    }
}

/// Lets calls wake the link thread again, however it ends.
struct Release<'a>(&'a Lines);

impl Drop for Release<'_> {
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
    use crate::{call_error::CallError, shared::Command};

    type Outcome = oneshot::Receiver<Result<Bytes, CallError>>;

    struct Scene {
        lines: Arc<Lines>,
        clock: Clock,
        teller: Teller,
    }

    impl Scene {
        /// To be made on a runtime.
        fn new() -> Scene {
            let lines = Lines::new(1, 1).unwrap();
            let teller = Teller::start(&lines).unwrap();
            Scene { lines, clock: Clock::new(), teller }
        }

        /// Tells two callers something.
        fn tell(&mut self) -> [Outcome; 2] {
            let [(one, first), (two, second)] = [oneshot::channel(), oneshot::channel()];
            let awaited = [one, two].map(|caller| Awaited { caller, outcome: Ok(Bytes::new()) });
            self.teller.tell(&mut awaited.into(), self.clock);
            [first, second]
        }

        /// Looks when it is time to, and a moment before, which changes nothing.
        fn look(&mut self) {
            let by = self.teller.look_by().unwrap();
            self.teller.look(Time::ZERO);
            assert_eq!(self.teller.look_by(), Some(by));
            self.teller.look(by);
        }
    }

    fn alone() -> Runtime {
        runtime::Builder::new_current_thread().build().unwrap()
    }

    fn are_told(outcomes: &mut [Outcome; 2]) -> bool {
        let told = outcomes.each_mut().map(|outcome| outcome.try_recv().is_ok());
        assert_eq!(told[0], told[1], "both or none");
        told[0]
    }

    #[tokio::test]
    async fn callers_on_one_thread_are_told_there_and_what_they_call_is_news_when_all_have_run() {
        let mut scene = Scene::new();
        let mut outcomes = scene.tell();
        assert!(!are_told(&mut outcomes), "the task was not here yet");
        let lines = Arc::clone(&scene.lines);
        let callers = outcomes.map(|outcome| {
            let lines = Arc::clone(&lines);
            tokio::spawn(async move {
                assert!(outcome.await.is_ok() && lines.is_home());
                lines.commands.push(Command::Cancel(Ticket(1))).unwrap();
            })
        });
        lines.commands.notified().await;
        assert!(callers.iter().all(tokio::task::JoinHandle::is_finished), "news came before all had run");
        assert_eq!(lines.commands.take(Vec::new()).len(), 2);
        assert_eq!(scene.teller.look_by(), None, "there is nothing to look for");
        assert!(!scene.teller.desk.late.load(Ordering::Relaxed), "it came in time");
    }

    #[tokio::test]
    async fn each_batch_has_its_own_time() {
        let mut scene = Scene::new();
        let mut first = scene.tell();
        let by = scene.teller.look_by();
        let mut second = scene.tell();
        assert_eq!(scene.teller.look_by(), by, "the first is still there");
        yield_now().await;
        assert!(are_told(&mut first) && are_told(&mut second));
        while scene.clock.now() + WAKEUP_DELAY_MAX <= by.unwrap() {
            std::hint::spin_loop();
        }
        scene.tell();
        assert!(scene.teller.look_by() > by);
    }

    #[test]
    fn callers_of_a_runtime_that_nobody_drives_are_told_all_the_same() {
        let runtime = alone();
        let mut scene = runtime.block_on(async { Scene::new() });
        let mut outcomes = scene.tell();
        assert!(!are_told(&mut outcomes), "the task may still come");
        scene.lines.commands.push(Command::Cancel(Ticket(1))).unwrap();
        scene.look();
        assert!(are_told(&mut outcomes));
        runtime.block_on(scene.lines.commands.notified());
        assert!(are_told(&mut scene.tell()), "it is not waited for a second time");
        // It comes at last, and is trusted again.
        runtime.block_on(yield_now());
        runtime.block_on(yield_now());
        let mut outcomes = scene.tell();
        assert!(!are_told(&mut outcomes));
        runtime.block_on(yield_now());
        assert!(are_told(&mut outcomes));
    }

    #[test]
    fn callers_are_told_when_the_runtime_is_gone_or_goes_and_when_the_client_ends() {
        let runtime = alone();
        let mut scene = runtime.block_on(async { Scene::new() });
        let mut outcomes = scene.tell();
        drop(scene.teller);
        assert!(are_told(&mut outcomes));
        let mut scene = runtime.block_on(async { Scene::new() });
        let mut outcomes = scene.tell();
        drop(runtime);
        scene.look();
        assert!(are_told(&mut outcomes));
        assert!(are_told(&mut scene.tell()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn there_is_no_teller_where_callers_run_side_by_side() {
        assert!(Teller::start(&Lines::new(1, 1).unwrap()).is_none());
    }
}
