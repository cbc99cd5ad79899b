//! The driver of a pool: one thread that lives as long as the pool, and spawns, signals and reaps what [`super::seats`] decides.
//!
//! It must be one thread: the kernel kills a worker when the *thread* that started it ends. It has a runtime of its own, so that
//! nothing else in the program can delay it.

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
    ask::{Exchanged, Refusal},
    command::{Answer, Command, Ends},
    event::{Outbox, PoolEvent, PoolStatus, SeatStatus},
    exit::{Exit, Verdict},
    group,
    guard::Guard,
    lines::LastLines,
    output::Printer,
    process::{Process, Recipe},
    seat::SeatId,
    seats::{Action, Event, Notice, Rules, Seats},
    settings::PoolError,
};

/// How often a draining pool looks whether what an ended process left behind has ended, too: nothing else tells.
const FOLLOWERS_LOOK: Duration = Duration::from_millis(100);
/// How long a stuck process has to end after SIGTERM: its other calls may finish.
pub const STUCK_TERM: Duration = Duration::from_secs(1);
/// How long the end waits for an owner that does not take its events.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// What a turn begins with.
enum Occasion {
    Asked(Option<Command>),
    ChildEnded,
    FollowersMayHaveEnded,
    TimeCame,
    EventTaken,
}

/// A pool at work.
#[derive(Debug)]
pub(super) struct Driver {
    recipe: Recipe,
    drain: Duration,
    began: Instant,
    seats: Seats,
    /// Before the processes, so that should this thread panic it is dropped before they are.
    guard: Guard,
    processes: BTreeMap<SeatId, Process>,
    /// What the last process of each seat printed last, as soon as that is known.
    printed: BTreeMap<SeatId, JoinHandle<LastLines>>,
    /// Stuck processes that were told to end, and when they are killed.
    stuck: BTreeMap<SeatId, (String, Instant)>,
    printer: Printer,
    children: SignalStream,
    commands: Option<mpsc::Receiver<Command>>,
    outbox: Outbox,
    status: watch::Sender<PoolStatus>,
    /// How the last exchange ended, and why the pool gave up: for the status.
    exchanged: Option<Exchanged>,
    verdict: Option<Verdict>,
    finished: bool,
}

impl Driver {
    /// A driver of `size` seats, none of which has been started. Call it in the driver's own runtime.
    ///
    /// # Errors
    /// If the shim cannot be started, the system does not tell of ended children, or has no thread for their output.
    pub(super) fn new(recipe: Recipe, size: u32, rules: Rules, ends: Ends) -> Result<Driver, PoolError> {
        let (shim, leading) = &recipe.shim;
        let guard = Guard::start(shim, leading).map_err(|source| PoolError::Shim { shim: shim.clone(), source })?;
        Ok(Driver {
            drain: rules.drain,
            began: Instant::now(),
            seats: Seats::new(rules, size, Time::ZERO),
            guard,
            recipe,
            processes: BTreeMap::new(),
            printed: BTreeMap::new(),
            stuck: BTreeMap::new(),
            printer: Printer::start()?,
            // Before the first child, so that none can end unseen.
            children: signal(SignalKind::child())?,
            commands: Some(ends.commands),
            outbox: Outbox::new(ends.events),
            status: ends.status,
            exchanged: None,
            verdict: None,
            finished: false,
        })
    }

    /// Runs the pool to its end.
    pub(super) async fn run(mut self) {
        self.turn(vec![Event::Timeout]).await;
        while !self.finished {
            let events = self.wait().await;
            self.turn(events).await;
        }
        self.say_farewell().await;
    }

    async fn turn(&mut self, events: Vec<Event>) {
        for event in events {
            self.handle(event).await;
        }
        // In this order: who asks for the status on an event finds it as the event left it.
        self.tell_status();
        self.outbox.send_what_fits();
    }

    /// Waits for the next occasion, and says what it means to the machine.
    async fn wait(&mut self) -> Vec<Event> {
        match self.occasion().await {
            Occasion::Asked(Some(command)) => self.asked(command).await,
            // The owner has dropped its last handle.
            Occasion::Asked(None) => {
                self.commands = None;
                vec![Event::Shutdown { deadline: self.now() + self.drain }]
            }
            Occasion::ChildEnded | Occasion::FollowersMayHaveEnded => self.look_for_ends(),
            Occasion::TimeCame => {
                self.kill_stuck();
                vec![Event::Timeout]
            }
            Occasion::EventTaken => Vec::new(),
        }
    }

    /// Answers what was asked, or says what event it is.
    async fn asked(&mut self, command: Command) -> Vec<Event> {
        let (now, mut out) = (self.now(), Vec::new());
        // Who does not wait for the answer any more gets none.
        match command {
            Command::Registered(instance) => return vec![Event::Registered { instance }],
            Command::EndStuck(instance) => self.end_stuck(instance),
            Command::Condemn(number, why) => return vec![Event::Condemned { number, why }],
            Command::Shutdown(within) => return vec![Event::Shutdown { deadline: now + within }],
            Command::Scale(size, running, answer) => {
                let done = self.seats.scale(now, size, &running, &mut out);
                self.answer(answer, done);
            }
            Command::Reload(answer) => {
                let begun = self.seats.reload(now, &mut out);
                self.answer(answer, begun);
            }
            Command::Replace(name, answer) => {
                let begun = self.seats.replace(now, &name, &mut out);
                self.answer(answer, begun);
            }
        }
        let mut events = Vec::new();
        for action in out {
            events.extend(self.perform(action).await);
        }
        events
    }

    /// In this order: who has the answer and looks at the status finds what was answered.
    fn answer<T>(&mut self, answer: Answer<T>, what: Result<T, Refusal>) {
        self.tell_status();
        let _ = answer.send(what);
    }

    async fn occasion(&mut self) -> Occasion {
        let followers = self.processes.values().any(|process| process.exit.is_some());
        let deadline = self.seats.next_deadline().map(|time| self.began + time.since(Time::ZERO));
        let deadline = deadline.into_iter().chain(self.stuck.values().map(|&(_, at)| at)).min();
        // Every arm only waits, and is cancel safe.
        tokio::select! {
            command = asked(&mut self.commands) => Occasion::Asked(command),
            _ = self.children.recv() => Occasion::ChildEnded,
            () = sleep(FOLLOWERS_LOOK), if followers => Occasion::FollowersMayHaveEnded,
            () = at(deadline) => Occasion::TimeCame,
            () = self.outbox.send(), if self.outbox.is_waiting() => Occasion::EventTaken,
        }
    }

    /// Looks at every process: one signal may stand for many ends.
    fn look_for_ends(&mut self) -> Vec<Event> {
        let ended: Vec<_> = self.processes.iter_mut().map(|(seat, process)| (*seat, process.ended())).collect();
        if self.processes.values().all(|process| process.exit.is_none()) {
            return Vec::new();
        }
        // Where the system does not tell, an ended process counts as alone, and what it left behind is killed at once.
        let followers = group::with_followers().unwrap_or_default();
        let mut events = Vec::new();
        for (seat, exit) in ended {
            let process = &self.processes[&seat];
            let alone = !group::has_followers(&followers, process.pid());
            if let Some(exit) = exit {
                let told = PoolEvent::Exited { instance: process.instance().to_owned(), seat, exit: exit.clone() };
                self.outbox.push(told);
                events.push(Event::Exited { seat, exit, alone });
            } else if process.exit.is_some() && alone {
                events.push(Event::Alone { seat });
            }
        }
        events
    }

    /// Feeds the machine, and does what it says, until it has nothing more to say.
    async fn handle(&mut self, event: Event) {
        let mut next = Some(event);
        let mut actions = Vec::new();
        let mut answers = Vec::new();
        while let Some(event) = next {
            let now = self.now();
            self.seats.handle(now, event, rand::random(), &mut actions);
            for action in actions.drain(..) {
                answers.extend(self.perform(action).await);
            }
            next = answers.pop();
        }
    }

    async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { seat, instance, .. } => return Some(self.spawn(seat, &instance)),
            Action::Signal { seat, signal } => self.signal(seat, signal),
            Action::Reap { seat } => self.reap(seat),
            Action::Restarting { seat, after } => self.tell_restart(seat, after),
            Action::Looping { seat, verdict } => self.tell_loop(seat, verdict).await,
            Action::Ready(workers) => self.outbox.push(PoolEvent::Ready { workers }),
            Action::Exchanged { outcome, seat } => self.tell_exchange(outcome, seat).await,
            Action::GiveUp { seat, verdict } => self.give_up(seat, verdict).await,
            Action::Finished => self.finished = true,
        }
        None
    }

    fn spawn(&mut self, seat: SeatId, instance: &str) -> Event {
        match Process::spawn(&self.recipe, instance, &self.printer) {
            Ok(process) => {
                let pid = process.pid().as_raw_nonzero().get().unsigned_abs();
                self.guard.watch(process.pid());
                self.processes.insert(seat, process);
                self.outbox.push(PoolEvent::Started { instance: instance.to_owned(), pid, seat });
                Event::Spawned { seat, pid }
            }
            Err(error) => {
                let error = format!("{}: {error}", self.recipe.shim.0.display());
                let exit = Exit::NotStarted(error.clone());
                self.printed.remove(&seat);
                self.outbox.push(PoolEvent::Exited { instance: instance.to_owned(), seat, exit });
                Event::SpawnFailed { seat, error }
            }
        }
    }

    fn signal(&self, seat: SeatId, notice: Notice) {
        let signal = match notice {
            Notice::Term => Signal::TERM,
            Notice::Kill => Signal::KILL,
        };
        if let Some(process) = self.processes.get(&seat) {
            process.signal(signal);
        }
    }

    /// Tells a stuck process to end, once.
    fn end_stuck(&mut self, instance: String) {
        let Some((&seat, process)) = self.processes.iter().find(|(_, process)| process.instance() == instance) else {
            return;
        };
        if process.exit.is_none() && !self.stuck.contains_key(&seat) {
            process.signal(Signal::TERM);
            self.stuck.insert(seat, (instance, Instant::now() + STUCK_TERM));
        }
    }

    /// Kills the stuck processes that did not end in time.
    fn kill_stuck(&mut self) {
        let now = Instant::now();
        let processes = &self.processes;
        self.stuck.retain(|seat, (instance, at)| {
            let due = *at <= now;
            if let Some(process) = processes.get(seat).filter(|process| due && process.instance() == *instance) {
                process.signal(Signal::KILL);
            }
            !due
        });
    }

    fn reap(&mut self, seat: SeatId) {
        self.stuck.remove(&seat);
        let Some(process) = self.processes.remove(&seat) else {
            return;
        };
        // Its last signal, then the guard's word, then its number may be another's.
        process.signal(Signal::KILL);
        self.guard.release(process.pid());
        self.printed.extend(process.reap().map(|printed| (seat, printed)));
    }

    fn tell_restart(&mut self, seat: SeatId, after: Duration) {
        let instance = self.seats.view().find(|view| view.seat == seat).map(|view| view.instance);
        self.outbox.push(PoolEvent::Restarting { instance: instance.unwrap_or_default(), seat, after });
    }

    async fn tell_exchange(&mut self, outcome: Exchanged, seat: Option<SeatId>) {
        let last_lines = match seat {
            Some(seat) => self.last_lines(seat).await,
            None => Vec::new(),
        };
        self.exchanged = Some(outcome.clone());
        self.outbox.push(PoolEvent::Exchanged { outcome, last_lines });
    }

    async fn tell_loop(&mut self, seat: SeatId, verdict: Verdict) {
        let last_lines = self.last_lines(seat).await;
        self.outbox.push(PoolEvent::Looping { verdict, last_lines });
    }

    async fn give_up(&mut self, seat: SeatId, verdict: Verdict) {
        let last_lines = self.last_lines(seat).await;
        self.verdict = Some(verdict.clone());
        self.outbox.push(PoolEvent::GaveUp { instance: verdict.instance.clone(), verdict, last_lines });
    }

    /// What the last process of a seat printed last. The lines come within a bounded time, and nothing else is waiting for the
    /// driver: the other processes have their notice, or nothing to wait for.
    async fn last_lines(&mut self, seat: SeatId) -> Vec<String> {
        match self.printed.remove(&seat) {
            Some(printed) => printed.await.unwrap_or_default().into_vec(),
            None => Vec::new(),
        }
    }

    fn tell_status(&mut self) {
        // Nobody asks any more what the last process of a seat printed that is gone.
        self.printed.retain(|seat, printed| self.seats.has(*seat) || !printed.is_finished());
        let seats = self.seats.view().map(|view| SeatStatus {
            seat: view.seat,
            instance: view.instance,
            restarts: view.restarts,
            generation: view.generation,
            last_exit: view.last_exit,
            next_start: view.due.map(|due| (self.began + due.since(Time::ZERO)).into_std()),
            state: view.state,
            looping: view.looping,
        });
        self.status.send_replace(PoolStatus {
            size: self.seats.size(),
            bounds: self.seats.bounds(),
            generation: self.seats.generation(),
            exchange: self.seats.exchange(),
            exchanged: self.exchanged.clone(),
            verdict: self.verdict.clone(),
            seats: seats.collect(),
        });
    }

    /// Prints what is left to print, then tells the owner that all is over.
    async fn say_farewell(mut self) {
        for printed in std::mem::take(&mut self.printed).into_values() {
            let _ = printed.await;
        }
        self.printer.finish().await;
        self.outbox.push(PoolEvent::Finished);
        let _ = timeout(FAREWELL_MAX, async {
            while self.outbox.is_waiting() {
                self.outbox.send().await;
            }
        })
        .await;
    }

    fn now(&self) -> Time {
        Time::ZERO + self.began.elapsed()
    }
}

/// The next command; `None` once, when no owner is left, and then never again. Cancel safe.
async fn asked(commands: &mut Option<mpsc::Receiver<Command>>) -> Option<Command> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits for a deadline that there may be. Cancel safe.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
