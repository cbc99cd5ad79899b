//! Where handlers run: on the program's own runtime, never on the link's thread.
//!
//! The jobs of one turn go over to that runtime together, and what they come to comes back together: the *dispatcher*, a
//! task there, spawns them, lets the runtime run each up to its first pause, and only then wakes the link. So a bundle of
//! quick calls costs two wake-ups across threads, not two a call. Where the runtime has one thread only, the dispatcher polls each
//! handler once itself, and spawns those that are not done then. If the runtime is kept busy by a handler that blocks it, the
//! link looks by itself after [`WAKEUP_DELAY_MAX`].

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context as Task, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use callboard_core::{
    time::Time,
    wire::{
        method::MethodName,
        status::{Code, Executed, Failure},
    },
    worker::{ByJob, Job, JobId},
};
use callboard_transport::{BatchQueue, Clock, Timer, WAKEUP_DELAY_MAX};
use futures::FutureExt;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::AbortHandle,
};

use crate::{
    answer::Outcome,
    context::Context,
    handler::{AsyncFunction, BlockingFunction, Prepared, RunningHandler},
    line::{Line, Post, Posts},
};

/// How long handlers may run one after another on the only thread of a runtime before the program's other tasks have a turn.
const TURN_MAX: Duration = Duration::from_millis(2);
/// How many handlers are begun for each look at the clock, which costs a fiftieth of a small call.
const LOOK_EVERY: usize = 4;

/// Starts and stops handlers, and collects what they come to.
#[derive(Debug)]
pub(crate) struct Runner {
    clock: Clock,
    handlers: Handlers,
    running: ByJob<Context>,
    /// The jobs of this turn.
    starting: Vec<Start>,
    jobs: Arc<BatchQueue<Start>>,
    ended: Arc<BatchQueue<Ended>>,
    posts: Arc<Posts>,
    /// When to look by ourselves, while outcomes wake nobody.
    look_by: Option<Time>,
    timer: Timer,
    dispatcher: AbortHandle,
}

/// Handlers by offer, then method, with the method's full name.
type Handlers = Arc<Vec<Vec<(MethodName, Prepared)>>>;

/// A handler's end: its outcome, or that it was dropped before it had one, and whether it had begun then.
pub(crate) type Ended = (JobId, Result<Outcome, bool>);

/// A job on its way to a handler.
#[derive(Debug)]
struct Start {
    /// Which handler.
    offer: usize,
    method: usize,
    body: Bytes,
    ending: Ending,
}

impl Runner {
    pub(crate) fn new(runtime: &Handle, clock: Clock, handlers: Vec<Vec<(MethodName, Prepared)>>) -> Runner {
        let (jobs, ended) = <(Arc<BatchQueue<Start>>, Arc<BatchQueue<Ended>>)>::default();
        let alone = runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        let handlers = Arc::new(handlers);
        let dispatcher =
            Dispatcher { handlers: Arc::clone(&handlers), jobs: Arc::clone(&jobs), ended: Arc::clone(&ended), alone };
        let dispatcher = runtime.spawn(dispatch(dispatcher)).abort_handle();
        let posts = Posts::new(Arc::clone(&ended));
        Runner {
            clock,
            handlers,
            running: ByJob::default(),
            starting: Vec::new(),
            jobs,
            ended,
            posts,
            look_by: None,
            timer: Timer::new(),
            dispatcher,
        }
    }

    /// Prepares the handler of a job; [`Runner::flush`] starts it.
    pub(crate) fn run(&mut self, job: Job) {
        let (method, _) = &self.handlers[job.offer][job.method];
        let deadline = job.deadline.and_then(|deadline| self.clock.instant(deadline));
        let line = Line::of(&job, &self.posts);
        let context = Context::new(job.call, method.clone(), job.attempt, job.affinity, deadline, line);
        self.running.insert(job.id, context.clone());
        let ending = Ending { job: job.id, context, outcome: None, ended: Arc::clone(&self.ended) };
        self.starting.push(Start { offer: job.offer, method: job.method, body: job.body, ending });
    }

    /// Starts what was prepared. Until the runtime has run it, outcomes wake nobody, but not for long.
    pub(crate) fn flush(&mut self) {
        if self.starting.is_empty() {
            return;
        }
        if self.ended.suppress_wakeups() {
            self.look_by = Some(self.clock.now() + WAKEUP_DELAY_MAX);
        }
        self.jobs.append(&mut self.starting);
    }

    /// Nobody waits for this job any more: an async handler is dropped at its next await, a blocking one told.
    pub(crate) fn stop(&mut self, job: JobId) {
        if let Some(context) = self.running.get(job) {
            context.cancel();
        }
    }

    /// Whether this job's handler has begun.
    pub(crate) fn has_begun(&self, job: JobId) -> bool {
        self.running.get(job).is_some_and(Context::has_begun)
    }

    /// Waits until handlers may have ended.
    ///
    /// Cancel safe: what was not taken is still there.
    pub(crate) async fn news(&mut self) {
        tokio::select! {
            // Both are cancel safe: they say so.
            () = self.ended.notified() => {}
            // The runtime is busy with something else: from now on each outcome tells of itself.
            () = self.timer.wait(self.clock, self.look_by) => {
                self.look_by = None;
                self.ended.resume_wakeups();
            }
        }
    }

    /// The handlers that have ended since the last time.
    pub(crate) fn take_ended(&mut self) -> Vec<Ended> {
        let ended = self.ended.take(Vec::new());
        for (job, _) in &ended {
            if let Some(context) = self.running.remove(*job) {
                context.end();
            }
        }
        ended
    }

    /// What handlers sent, read and told since the last time. To be taken after [`Runner::take_ended`] and handled before: so what a
    /// handler sent last is there when it has ended.
    pub(crate) fn take_posts(&self) -> Vec<Post> {
        self.posts.take()
    }

    /// The streams of a job that runs.
    pub(crate) fn line(&self, job: JobId) -> Option<Arc<Line>> {
        self.running.get(job)?.line()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // With it go the handlers, and what they hold.
        self.dispatcher.abort();
    }
}

/// What the dispatcher has. When its runtime drops it, jobs end where they are: their handlers would have nowhere to run.
struct Dispatcher {
    handlers: Handlers,
    jobs: Arc<BatchQueue<Start>>,
    ended: Arc<BatchQueue<Ended>>,
    /// The runtime has no other thread that could run a handler meanwhile.
    alone: bool,
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        drop(self.jobs.close());
        self.ended.resume_wakeups();
    }
}

/// Starts jobs as they come. It never pauses between jobs: a handler that blocks a thread of the runtime must not hold up
/// the others' beginning.
async fn dispatch(dispatcher: Dispatcher) {
    if dispatcher.alone {
        return dispatch_alone(dispatcher).await;
    }
    loop {
        dispatcher.jobs.notified().await;
        for start in dispatcher.jobs.take(Vec::new()) {
            dispatcher.begin(start);
        }
        let release = Release(Arc::clone(&dispatcher.ended));
        tokio::spawn(async move {
            // Those that were just spawned run before this goes on.
            tokio::task::yield_now().await;
            drop(release);
        });
    }
}

/// The same where all else waits while a handler runs: whatever comes in, the thread is the others' after each batch, and after
/// [`TURN_MAX`] of one.
async fn dispatch_alone(dispatcher: Dispatcher) {
    loop {
        dispatcher.jobs.notified().await;
        let release = Release(Arc::clone(&dispatcher.ended));
        let mut began = Instant::now();
        for (number, start) in dispatcher.jobs.take(Vec::new()).into_iter().enumerate() {
            if number % LOOK_EVERY == LOOK_EVERY - 1 && began.elapsed() >= TURN_MAX {
                tokio::task::yield_now().await;
                began = Instant::now();
            }
            dispatcher.begin(start);
        }
        // Those that were just spawned run before this goes on, and whatever else the program has to do: signals, timers, sockets.
        tokio::task::yield_now().await;
        drop(release);
    }
}

/// Lets outcomes wake the link again, however it ends.
struct Release(Arc<BatchQueue<Ended>>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.resume_wakeups();
    }
}

impl Dispatcher {
    fn begin(&self, Start { offer, method, body, ending }: Start) {
        match &self.handlers[offer][method].1 {
            Prepared::Async(function) if self.alone => {
                // The handler's own panics are caught within. Dropping what is left of one may panic, too, and must not end us.
                let _ = catch_unwind(AssertUnwindSafe(|| run_here(&**function, &body, ending)));
            }
            Prepared::Async(function) => drop(tokio::spawn(run_async(Arc::clone(function), body, ending))),
            Prepared::Blocking(function) => {
                let function = Arc::clone(function);
                drop(tokio::task::spawn_blocking(move || run_blocking(&*function, &body, ending)));
            }
        }
    }
}

/// Tells the link of a handler's end, however it ends: the slot must come free even if the task is dropped unrun.
#[derive(Debug)]
struct Ending {
    job: JobId,
    context: Context,
    outcome: Option<Outcome>,
    ended: Arc<BatchQueue<Ended>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        // Where it is held, the dispatcher releases it, or the link's thread does; it is never closed.
        let _ = self.ended.push((self.job, self.outcome.take().ok_or(self.context.has_begun())));
    }
}

async fn run_async(function: Arc<AsyncFunction>, body: Bytes, ending: Ending) {
    if let Some((running, ending)) = start(&*function, &body, ending) {
        finish(running, ending).await;
    }
}

/// The same up to its first pause on the task that we are on, and from there on one of its own. Most never pause, and a task costs more
/// than all else that a small call does here.
fn run_here(function: &AsyncFunction, body: &Bytes, ending: Ending) {
    let Some((mut running, mut ending)) = start(function, body, ending) else { return };
    // Whom to wake is said when it is polled on that task.
    let mut nobody = Task::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| ending.context.enter(|| running.as_mut().poll(&mut nobody))));
    match polled {
        Ok(Poll::Pending) => drop(tokio::spawn(finish(running, ending))),
        Ok(Poll::Ready(outcome)) => ending.outcome = Some(outcome),
        Err(panic) => ending.outcome = Some(panicked(panic)),
    }
}

/// Calls the function. `None`: that was all.
fn start(function: &AsyncFunction, body: &Bytes, mut ending: Ending) -> Option<(RunningHandler, Ending)> {
    // Nobody may want it any more by the time it is its turn.
    if !ending.context.begin() {
        return None;
    }
    // The function that makes the future is the author's code as well, and may panic.
    let own = ending.context.clone();
    match catch_unwind(AssertUnwindSafe(|| ending.context.enter(|| function(own, body)))) {
        Ok(Ok(running)) => return Some((running, ending)),
        Ok(Err(failure)) => ending.outcome = Some(Err(failure)),
        Err(panic) => ending.outcome = Some(panicked(panic)),
    }
    None
}

/// Runs on what the function made.
async fn finish(running: RunningHandler, mut ending: Ending) {
    // Dropped where it is when nobody waits for it any more: then there is no outcome.
    let outcome = ending.context.unless_cancelled(AssertUnwindSafe(running).catch_unwind()).await;
    ending.outcome = outcome.map(|outcome| outcome.unwrap_or_else(panicked));
}

fn run_blocking(function: &BlockingFunction, body: &Bytes, mut ending: Ending) {
    let context = &ending.context;
    if context.begin() {
        ending.outcome = Some(
            catch_unwind(AssertUnwindSafe(|| context.enter(|| function(context.clone(), body))))
                .unwrap_or_else(panicked),
        );
    }
}

/// A panic is a failure of this call, and of nothing else.
fn panicked(panic: Box<dyn Any + Send>) -> Outcome {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let message = format!("the handler panicked: {}", text.unwrap_or_else(|| "without words".to_owned()));
    tracing::error!("{message}");
    // Dropping what was panicked with may panic again.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
    Err(Box::new(Failure { type_name: "Panic".into(), ..Failure::new(Code::Internal, Executed::Yes, message) }))
}

#[cfg(test)]
mod tests;
