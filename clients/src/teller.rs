//! Tells many callers on one thread their outcomes with one wake-up.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use callboard_core::time::Time;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{AbortHandle, yield_now},
};

use crate::{link::Mailbox, outcomes::Awaited, shared::Lines};

/// The way to a task of the program's, which tells callers there what the link thread knows.
///
/// To wake somebody who awaits on another thread is a system call, and where that thread then runs beside us, or in our place, it
/// takes up the outcomes one by one and its next calls come one by one. So where the client was made on a runtime of one
/// thread, a task of that runtime tells the outcomes of a turn: they cost one wake-up, and so do the calls that are made on hearing
/// them, for the link thread is woken when all have run.
///
/// Nobody depends on that runtime: callers may await anywhere, it may be busy, or gone. What is not told when a hold of the mailbox
/// has run out, the link thread tells itself, and goes on so until the task has shown that it is there.
#[derive(Debug)]
pub(crate) struct Teller {
    desk: Arc<Desk>,
    lines: Arc<Lines>,
    task: AbortHandle,
    /// Something was left on the desk, and was not seen to be taken.
    left: bool,
}

/// What the link thread and the task share.
#[derive(Debug, Default)]
struct Desk {
    awaited: Mailbox<Awaited>,
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
        Some(Teller { desk, lines, task, left: false })
    }

    /// Leaves outcomes to the task, or tells them here if it would not.
    pub(crate) fn tell(&mut self, awaited: &mut Vec<Awaited>, now: Time) {
        if self.desk.late.load(Ordering::Relaxed) || self.task.is_finished() {
            return awaited.drain(..).for_each(Awaited::tell);
        }
        self.lines.commands.hold(now);
        self.desk.awaited.put_all(awaited);
        self.left = true;
    }

    /// Tells here what the task has left for too long.
    pub(crate) fn look(&mut self, now: Time) {
        if !self.left || self.lines.commands.is_held(now) {
            return;
        }
        self.left = false;
        let left = self.desk.awaited.take(Vec::new());
        if !left.is_empty() {
            self.desk.late.store(true, Ordering::Relaxed);
            left.into_iter().for_each(Awaited::tell);
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
        self.desk.awaited.close().into_iter().for_each(Awaited::tell);
        self.lines.commands.release();
    }
}

/// The task's whole life.
async fn serve(desk: Arc<Desk>, lines: Arc<Lines>) {
    let mut awaited = Vec::new();
    loop {
        desk.awaited.news().await;
        let release = Release(&lines);
        awaited = desk.awaited.take(awaited);
        awaited.drain(..).for_each(Awaited::tell);
        // Those that were told run before this goes on.
        yield_now().await;
        desk.late.store(false, Ordering::Relaxed);
        drop(release);
    }
}

/// Lets calls wake the link thread again, however it ends.
struct Release<'a>(&'a Lines);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.commands.release();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use callboard_core::client::Ticket;
    use tokio::{runtime, sync::oneshot};

    use super::*;
    use crate::{call_error::CallError, link::HOLD_MAX, shared::Command};

    type Outcome = oneshot::Receiver<Result<Bytes, CallError>>;

    /// Outcomes for two callers.
    fn two() -> (Vec<Awaited>, [Outcome; 2]) {
        let [(one, first), (two, second)] = [oneshot::channel(), oneshot::channel()];
        let awaited = [one, two].map(|caller| Awaited { caller, outcome: Ok(Bytes::new()) });
        (awaited.into(), [first, second])
    }

    fn are_told(outcomes: &mut [Outcome; 2]) -> bool {
        let told = outcomes.each_mut().map(|outcome| outcome.try_recv().is_ok());
        assert_eq!(told[0], told[1], "both or none");
        told[0]
    }

    #[tokio::test]
    async fn callers_on_one_thread_are_told_there_and_what_they_call_is_news_when_all_have_run() {
        let lines = Lines::new(1, 1).unwrap();
        let mut teller = Teller::start(&lines).unwrap();
        let (mut awaited, mut outcomes) = two();
        teller.tell(&mut awaited, Time::ZERO);
        assert!(!are_told(&mut outcomes), "the task is not here yet");
        let [one, two] = outcomes;
        let caller = |outcome: Outcome| {
            let lines = Arc::clone(&lines);
            async move {
                assert!(outcome.await.is_ok());
                lines.commands.put(Command::Cancel(Ticket(1))).unwrap();
                assert!(lines.commands.is_held(Time::ZERO), "others have still to run");
            }
        };
        let callers = [tokio::spawn(caller(one)), tokio::spawn(caller(two))];
        lines.commands.news().await;
        assert!(callers.iter().all(tokio::task::JoinHandle::is_finished), "news came before all had run");
        assert_eq!(lines.commands.take(Vec::new()).len(), 2);
        teller.look(Time::ZERO + HOLD_MAX);
        assert!(!teller.desk.late.load(Ordering::Relaxed));
    }

    #[test]
    fn callers_of_a_runtime_that_nobody_drives_are_told_all_the_same() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let lines = Lines::new(1, 1).unwrap();
        let mut teller = runtime.block_on(async { Teller::start(&lines) }).unwrap();
        let (mut awaited, mut outcomes) = two();
        teller.tell(&mut awaited, Time::ZERO);
        teller.look(Time::ZERO);
        assert!(!are_told(&mut outcomes), "the task may still come");
        teller.look(Time::ZERO + HOLD_MAX);
        assert!(are_told(&mut outcomes));
        let (mut awaited, mut outcomes) = two();
        teller.tell(&mut awaited, Time::ZERO + HOLD_MAX);
        assert!(are_told(&mut outcomes), "it is not waited for a second time");
        // It comes at last, and is trusted again.
        runtime.block_on(tokio::task::yield_now());
        runtime.block_on(tokio::task::yield_now());
        let (mut awaited, mut outcomes) = two();
        teller.tell(&mut awaited, Time::ZERO + HOLD_MAX);
        assert!(!are_told(&mut outcomes));
        runtime.block_on(tokio::task::yield_now());
        assert!(are_told(&mut outcomes));
    }

    #[test]
    fn callers_of_a_runtime_that_is_gone_and_of_a_client_that_ends_are_told() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let lines = Lines::new(1, 1).unwrap();
        let start = || runtime.block_on(async { Teller::start(&lines) }).unwrap();
        let (mut left, mut lasting) = (start(), start());
        let (mut awaited, mut outcomes) = two();
        left.tell(&mut awaited, Time::ZERO);
        drop(left);
        assert!(are_told(&mut outcomes));
        assert!(!lines.commands.is_held(Time::ZERO));
        drop(runtime);
        let (mut awaited, mut outcomes) = two();
        lasting.tell(&mut awaited, Time::ZERO);
        assert!(are_told(&mut outcomes));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn there_is_no_teller_where_callers_run_side_by_side() {
        assert!(Teller::start(&Lines::new(1, 1).unwrap()).is_none());
    }
}
