//! The driver of a pool: one thread that lives as long as the pool. It spawns, signals and reaps what the replica set decides.
//!
//! It must be one thread, because the kernel kills a worker when the *thread* that started it ends. It has its own runtime, so that
//! other work in the program cannot delay it.

use std::{collections::BTreeMap, time::Duration};

use callboard_core::time::Time;
use rustix::process::Signal;
use tokio::{
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    event::{EventQueue, PoolEvent, PoolStatus, ReplicaStatus},
    request::{DriverChannels, ReplySender, Request},
};
use crate::pool::{
    output::{LastLines, Printer},
    process::{Exit, Guard, Process, ProcessSpec, groups_with_followers, has_followers},
    replicas::{
        Action, ChangeError, CrashLoop, Event, ReplicaId, ReplicaSet, RolloutOutcome, SupervisionSettings,
        TerminationSignal,
    },
    settings::PoolError,
};

/// How often the driver checks for remaining followers of exited processes. The system reports their exit in no other way.
const FOLLOWER_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How long a stuck process has to exit after SIGTERM, so that its other calls can finish.
pub const STUCK_GRACE_PERIOD: Duration = Duration::from_secs(1);
/// How long the driver waits at its end for an owner that does not receive events.
const FINAL_EVENTS_TIMEOUT: Duration = Duration::from_secs(1);

/// What ended a wait.
enum Wakeup {
    Request(Option<Request>),
    ChildExited,
    FollowerCheck,
    Timeout,
    EventSent,
}

/// The driver of a running pool.
#[derive(Debug)]
pub(super) struct Driver {
    spec: ProcessSpec,
    drain: Duration,
    started: Instant,
    replicas: ReplicaSet,
    /// Declared before the processes: if this thread panics, the guard must be dropped before they are.
    guard: Guard,
    processes: BTreeMap<ReplicaId, Process>,
    /// The tasks that yield the last lines of each replica's last process.
    last_lines: BTreeMap<ReplicaId, JoinHandle<LastLines>>,
    /// Stuck processes that got SIGTERM: their names, and when they are killed.
    stuck: BTreeMap<ReplicaId, (String, Instant)>,
    printer: Printer,
    children: SignalStream,
    /// `None` once the owner has dropped its last handle.
    requests: Option<mpsc::Receiver<Request>>,
    events: EventQueue,
    status: watch::Sender<PoolStatus>,
    /// How the last rollout ended, for the status.
    last_rollout: Option<RolloutOutcome>,
    /// Why the pool gave up, for the status.
    crash_loop: Option<CrashLoop>,
    finished: bool,
}

impl Driver {
    /// Creates a driver of `size` replicas, and starts no process yet. Call it in the driver's own runtime.
    ///
    /// # Errors
    /// If the shim cannot be started, SIGCHLD cannot be observed, or the system has no thread for the output.
    pub(super) fn new(
        spec: ProcessSpec,
        size: u32,
        settings: SupervisionSettings,
        channels: DriverChannels,
    ) -> Result<Driver, PoolError> {
        let (shim, leading) = &spec.shim;
        let guard = Guard::start(shim, leading).map_err(|source| PoolError::Shim { shim: shim.clone(), source })?;
        Ok(Driver {
            drain: settings.drain,
            started: Instant::now(),
            replicas: ReplicaSet::new(settings, size, Time::ZERO),
            guard,
            spec,
            processes: BTreeMap::new(),
            last_lines: BTreeMap::new(),
            stuck: BTreeMap::new(),
            printer: Printer::start()?,
            // Before the first child, so that no exit is missed.
            children: signal(SignalKind::child())?,
            requests: Some(channels.requests),
            events: EventQueue::new(channels.events),
            status: channels.status,
            last_rollout: None,
            crash_loop: None,
            finished: false,
        })
    }

    /// Runs the pool to its end.
    pub(super) async fn run(mut self) {
        self.handle_events(vec![Event::Timeout]).await;
        while !self.finished {
            let events = self.wait().await;
            self.handle_events(events).await;
        }
        self.finish().await;
    }

    async fn handle_events(&mut self, events: Vec<Event>) {
        for event in events {
            self.handle_event(event).await;
        }
        // In this order: an owner that reads the status after an event sees its effect.
        self.publish_status();
        self.events.flush();
    }

    /// Waits for the next wakeup, and translates it to events of the replica set.
    async fn wait(&mut self) -> Vec<Event> {
        match self.wakeup().await {
            Wakeup::Request(Some(request)) => self.handle_request(request).await,
            // The owner has dropped its last handle.
            Wakeup::Request(None) => {
                self.requests = None;
                vec![Event::Shutdown { deadline: self.now() + self.drain }]
            }
            Wakeup::ChildExited | Wakeup::FollowerCheck => self.poll_exits(),
            Wakeup::Timeout => {
                self.kill_stuck();
                vec![Event::Timeout]
            }
            Wakeup::EventSent => Vec::new(),
        }
    }

    /// Handles a request: replies to it, or translates it to an event.
    async fn handle_request(&mut self, request: Request) -> Vec<Event> {
        let (now, mut out) = (self.now(), Vec::new());
        match request {
            Request::Registered(instance) => return vec![Event::Registered { instance }],
            Request::TerminateStuck(instance) => self.terminate_stuck(instance),
            Request::RollBack(rollout, reason) => return vec![Event::RollBack { rollout, reason }],
            Request::Shutdown(within) => return vec![Event::Shutdown { deadline: now + within }],
            Request::Scale(size, running, reply) => {
                let result = self.replicas.scale(now, size, &running, &mut out);
                self.reply(reply, result);
            }
            Request::Reload(reply) => {
                let result = self.replicas.reload(now, &mut out);
                self.reply(reply, result);
            }
            Request::Replace(name, reply) => {
                let result = self.replicas.replace(now, &name, &mut out);
                self.reply(reply, result);
            }
        }
        let mut events = Vec::new();
        for action in out {
            events.extend(self.perform(action).await);
        }
        events
    }

    /// Publishes the status before the reply: an owner that reads the status after the reply sees the change.
    fn reply<T>(&mut self, reply: ReplySender<T>, result: Result<T, ChangeError>) {
        self.publish_status();
        // Fails if the owner no longer waits for the reply.
        let _ = reply.send(result);
    }

    async fn wakeup(&mut self) -> Wakeup {
        let followers = self.processes.values().any(Process::has_exited);
        let deadline = self.replicas.poll_timeout().map(|time| self.started + time.since(Time::ZERO));
        let deadline = deadline.into_iter().chain(self.stuck.values().map(|&(_, at)| at)).min();
        // Every arm only waits, and is cancel safe.
        tokio::select! {
            request = next_request(&mut self.requests) => Wakeup::Request(request),
            _ = self.children.recv() => Wakeup::ChildExited,
            () = sleep(FOLLOWER_CHECK_INTERVAL), if followers => Wakeup::FollowerCheck,
            () = sleep_until_deadline(deadline) => Wakeup::Timeout,
            () = self.events.send(), if self.events.has_pending() => Wakeup::EventSent,
        }
    }

    /// Checks every process: one SIGCHLD can stand for several exits.
    fn poll_exits(&mut self) -> Vec<Event> {
        let exits: Vec<_> = self.processes.iter_mut().map(|(id, process)| (*id, process.poll_exit())).collect();
        if !self.processes.values().any(Process::has_exited) {
            return Vec::new();
        }
        // Without this information an exited process counts as the last of its group, and its followers are killed at once.
        let followers = groups_with_followers().unwrap_or_default();
        let mut events = Vec::new();
        for (replica, exit) in exits {
            let process = &self.processes[&replica];
            let group_empty = !has_followers(&followers, process.pid());
            if let Some(exit) = exit {
                let instance = process.instance().to_owned();
                self.events.push(PoolEvent::Exited { instance, replica, exit: exit.clone() });
                events.push(Event::Exited { replica, exit, group_empty });
            } else if process.has_exited() && group_empty {
                events.push(Event::GroupEmpty { replica });
            }
        }
        events
    }

    /// Passes an event to the replica set and performs the actions, until no further event results.
    async fn handle_event(&mut self, event: Event) {
        let mut next = Some(event);
        let mut actions = Vec::new();
        let mut results = Vec::new();
        while let Some(event) = next {
            let now = self.now();
            self.replicas.handle_event(now, event, rand::random(), &mut actions);
            for action in actions.drain(..) {
                results.extend(self.perform(action).await);
            }
            next = results.pop();
        }
    }

    async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { replica, instance, .. } => return Some(self.spawn(replica, &instance)),
            Action::Signal { replica, signal } => self.signal(replica, signal),
            Action::Reap { replica } => self.reap(replica),
            Action::Restarting { replica, after } => self.report_restart(replica, after),
            Action::CrashLooping { replica, crash_loop } => self.report_crash_loop(replica, crash_loop).await,
            Action::Ready(workers) => self.events.push(PoolEvent::Ready { workers }),
            Action::RolloutFinished { outcome, replica } => self.report_rollout(outcome, replica).await,
            Action::GiveUp { replica, crash_loop } => self.give_up(replica, crash_loop).await,
            Action::Finished => self.finished = true,
        }
        None
    }

    fn spawn(&mut self, replica: ReplicaId, instance: &str) -> Event {
        match Process::spawn(&self.spec, instance, &self.printer) {
            Ok(process) => {
                let pid = process.pid().as_raw_nonzero().get().unsigned_abs();
                self.guard.watch(process.pid());
                self.processes.insert(replica, process);
                self.events.push(PoolEvent::Started { instance: instance.to_owned(), pid, replica });
                Event::Spawned { replica, pid }
            }
            Err(error) => {
                let error = format!("{}: {error}", self.spec.shim.0.display());
                let exit = Exit::NotStarted(error.clone());
                self.last_lines.remove(&replica);
                self.events.push(PoolEvent::Exited { instance: instance.to_owned(), replica, exit });
                Event::SpawnFailed { replica, error }
            }
        }
    }

    fn signal(&self, replica: ReplicaId, signal: TerminationSignal) {
        let signal = match signal {
            TerminationSignal::Term => Signal::TERM,
            TerminationSignal::Kill => Signal::KILL,
        };
        if let Some(process) = self.processes.get(&replica) {
            process.signal(signal);
        }
    }

    /// Sends SIGTERM to a stuck process, once.
    fn terminate_stuck(&mut self, instance: String) {
        let mut processes = self.processes.iter();
        let Some((&replica, process)) = processes.find(|(_, process)| process.instance() == instance) else {
            return;
        };
        if !process.has_exited() && !self.stuck.contains_key(&replica) {
            process.signal(Signal::TERM);
            self.stuck.insert(replica, (instance, Instant::now() + STUCK_GRACE_PERIOD));
        }
    }

    /// Kills the stuck processes whose grace period is over.
    fn kill_stuck(&mut self) {
        let now = Instant::now();
        let processes = &self.processes;
        self.stuck.retain(|replica, (instance, at)| {
            let due = *at <= now;
            let process = processes.get(replica).filter(|process| due && process.instance() == *instance);
            if let Some(process) = process {
                process.signal(Signal::KILL);
            }
            !due
        });
    }

    fn reap(&mut self, replica: ReplicaId) {
        self.stuck.remove(&replica);
        let Some(process) = self.processes.remove(&replica) else {
            return;
        };
        // In this order: after the reaping, the system can reuse the group's id for processes that are not ours.
        process.signal(Signal::KILL);
        self.guard.release(process.pid());
        self.last_lines.extend(process.reap().map(|lines| (replica, lines)));
    }

    fn report_restart(&mut self, replica: ReplicaId, after: Duration) {
        let instance = self.replicas.view().find(|view| view.id == replica).map(|view| view.instance);
        self.events.push(PoolEvent::Restarting { instance: instance.unwrap_or_default(), replica, after });
    }

    async fn report_rollout(&mut self, outcome: RolloutOutcome, replica: Option<ReplicaId>) {
        let last_lines = match replica {
            Some(replica) => self.take_last_lines(replica).await,
            None => Vec::new(),
        };
        self.last_rollout = Some(outcome.clone());
        self.events.push(PoolEvent::RolloutFinished { outcome, last_lines });
    }

    async fn report_crash_loop(&mut self, replica: ReplicaId, crash_loop: CrashLoop) {
        let last_lines = self.take_last_lines(replica).await;
        self.events.push(PoolEvent::CrashLooping { crash_loop, last_lines });
    }

    async fn give_up(&mut self, replica: ReplicaId, crash_loop: CrashLoop) {
        let last_lines = self.take_last_lines(replica).await;
        self.crash_loop = Some(crash_loop.clone());
        self.events.push(PoolEvent::GaveUp { crash_loop, last_lines });
    }

    /// Returns the last lines of a replica's last process. This waits, but only for a bounded time. No other process needs the driver
    /// meanwhile: the replica set has already signalled those that terminate.
    async fn take_last_lines(&mut self, replica: ReplicaId) -> Vec<String> {
        match self.last_lines.remove(&replica) {
            Some(lines) => lines.await.unwrap_or_default().into_vec(),
            None => Vec::new(),
        }
    }

    fn publish_status(&mut self) {
        // The last lines of a removed replica are not needed any more.
        self.last_lines.retain(|replica, lines| self.replicas.contains(*replica) || !lines.is_finished());
        let replicas = self.replicas.view().map(|view| ReplicaStatus {
            id: view.id,
            instance: view.instance,
            restarts: view.restarts,
            generation: view.generation,
            last_exit: view.last_exit,
            next_start: view.next_start.map(|at| (self.started + at.since(Time::ZERO)).into_std()),
            state: view.state,
            crash_looping: view.crash_looping,
        });
        self.status.send_replace(PoolStatus {
            size: self.replicas.size(),
            bounds: self.replicas.bounds(),
            generation: self.replicas.generation(),
            rollout: self.replicas.rollout(),
            last_rollout: self.last_rollout.clone(),
            crash_loop: self.crash_loop.clone(),
            replicas: replicas.collect(),
        });
    }

    /// Prints the remaining output, then sends the last event.
    async fn finish(mut self) {
        for lines in std::mem::take(&mut self.last_lines).into_values() {
            let _ = lines.await;
        }
        self.printer.finish().await;
        self.events.push(PoolEvent::Finished);
        let _ = timeout(FINAL_EVENTS_TIMEOUT, async {
            while self.events.has_pending() {
                self.events.send().await;
            }
        })
        .await;
    }

    fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }
}

/// Receives the next request. Returns `None` once, when the owner has dropped its last handle, and then waits forever. Cancel safe.
async fn next_request(requests: &mut Option<mpsc::Receiver<Request>>) -> Option<Request> {
    match requests {
        Some(requests) => requests.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits until the deadline; without one, forever. Cancel safe.
async fn sleep_until_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
