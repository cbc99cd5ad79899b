//! The worker's run loop: it owns the link, the clock and the machine, and decides nothing.

use bytes::Bytes;
use callboard_core::{
    peer::DisconnectReason,
    time::Time,
    wire::status::Failure,
    worker::{self, Action, Diagnostic, Event, JobId},
};
use callboard_transport::{
    Clock, Connection, ConnectionEvent, Timer, TurnBudget, new_nonce, random_u32, yield_to_tasks,
};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info};

use crate::{
    absence::Absence,
    line::{Line, Post},
    runner::Runner,
    state::{State, reachable},
};

/// What the program tells its worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    /// Take no more calls, let finish what runs, until then at most, and leave.
    Shutdown { deadline: Time },
}

/// Everything on the link's thread.
pub(crate) struct Driver {
    machine: worker::Worker,
    connection: Connection,
    timer: Timer,
    clock: Clock,
    runner: Runner,
    commands: mpsc::Receiver<Command>,
    state: watch::Sender<State>,
    /// The machine's answers; kept so that its memory is.
    actions: Vec<Action>,
    ended: Option<Result<(), Box<Failure>>>,
    absence: Absence,
}

/// What ended a wait.
enum Woken {
    Connection(ConnectionEvent),
    Handlers,
    Command(Option<Command>),
    Timer,
}

impl Driver {
    pub(crate) fn new(
        machine: worker::Worker,
        connection: Connection,
        clock: Clock,
        runner: Runner,
        commands: mpsc::Receiver<Command>,
        state: watch::Sender<State>,
    ) -> Driver {
        let (timer, actions) = (Timer::new(), Vec::new());
        Driver {
            machine,
            connection,
            timer,
            clock,
            runner,
            commands,
            state,
            actions,
            ended: None,
            absence: Absence::default(),
        }
    }

    /// Serves until the worker has left in order, or is refused.
    pub(crate) async fn run(mut self) -> Result<(), Box<Failure>> {
        let mut commanded = true;
        loop {
            let due = self.machine.poll_timeout();
            let woken = tokio::select! {
                biased;
                // Cancel safe: says so.
                event = self.connection.next_event() => Woken::Connection(event),
                // Cancel safe: outcomes stay where they are until they are taken.
                () = self.runner.news() => Woken::Handlers,
                // Cancel safe: tokio's `recv` loses nothing.
                command = self.commands.recv(), if commanded => Woken::Command(command),
                // Cancel safe: says so.
                () = self.timer.wait(self.clock, due) => Woken::Timer,
            };
            commanded &= !matches!(woken, Woken::Command(None));
            self.turn(woken);
            if let Some(end) = self.ended.take() {
                self.connection.disconnect();
                yield_to_tasks().await;
                return end;
            }
            yield_to_tasks().await;
        }
    }

    fn turn(&mut self, woken: Woken) {
        let now = self.clock.now();
        match woken {
            Woken::Connection(ConnectionEvent::Message(frames)) => self.read(now, frames),
            Woken::Connection(ConnectionEvent::Connected) => self.handle(now, Event::Connected { nonce: new_nonce() }),
            Woken::Connection(ConnectionEvent::Disconnected) => self.disconnected(now),
            Woken::Command(Some(Command::Shutdown { deadline })) => self.handle(now, Event::Shutdown { deadline }),
            // Nobody can end this worker in order any more; its process will.
            Woken::Command(None) | Woken::Handlers | Woken::Timer => {}
        }
        let ended = self.runner.take_ended();
        for post in self.runner.take_posts() {
            self.post(now, post);
        }
        for (job, end) in ended {
            self.handle(
                now,
                match end {
                    Ok(outcome) => Event::Finished { job, outcome },
                    Err(begun) => Event::Stopped { job, begun },
                },
            );
        }
        // With all read that was there: what has arrived is not late.
        if self.machine.poll_timeout().is_some_and(|due| due <= now) {
            self.handle(now, Event::Timeout);
        }
        self.play(now);
        self.runner.flush();
        self.connection.flush();
    }

    fn read(&mut self, now: Time, first: Vec<Bytes>) {
        let mut budget = TurnBudget::new();
        let mut next = Some(first);
        while let Some(frames) = next {
            let before = self.actions.len();
            self.machine.handle_message(now, &frames, &mut self.actions);
            budget.spend(&frames, self.actions.len() - before);
            next = if budget.is_spent() { None } else { self.connection.try_next_message() };
        }
    }

    fn disconnected(&mut self, now: Time) {
        self.handle(now, Event::Disconnected { chance: random_u32() });
    }

    fn handle(&mut self, now: Time, event: Event) {
        self.machine.handle_event(now, event, &mut self.actions);
    }

    /// A handler with streams has something to say. The machine does not listen to what is said of a job that has ended.
    fn post(&mut self, now: Time, post: Post) {
        match post {
            Post::Item { job, latest, body } => self.handle(now, Event::Item { job, latest, body }),
            Post::Read { job, room } => self.handle(now, Event::Read { job, credit: room }),
            Post::Progress(line) => {
                if let Some(body) = line.take_progress() {
                    self.handle(now, Event::Progress { job: line.job(), body });
                }
            }
        }
    }

    fn line(&self, job: JobId, change: impl FnOnce(&Line)) {
        if let Some(line) = self.runner.line(job) {
            change(&line);
        }
    }

    /// Does what the machine wants, and what it wants of the answers.
    fn play(&mut self, now: Time) {
        while !self.actions.is_empty() {
            self.play_once(now);
        }
    }

    fn play_once(&mut self, now: Time) {
        let mut actions = std::mem::take(&mut self.actions);
        let mut begun = Vec::new();
        for action in actions.drain(..) {
            match action {
                Action::Connect => self.connection.connect(),
                Action::Disconnect => self.connection.disconnect(),
                Action::Send(envelope) => self.connection.send(&envelope),
                Action::Run(job) => self.runner.run(job),
                Action::Stop(job) => self.runner.stop(job),
                Action::StreamCredit { job, credit } => self.line(job, |line| line.grant(credit)),
                Action::Item { job, body } => self.line(job, |line| line.push(body)),
                Action::End { job } => self.line(job, Line::end),
                Action::Look(job) => begun.extend(self.runner.has_begun(job).then_some(Event::Begun { job })),
                Action::Refused(failure) => self.ended = Some(Err(failure)),
                Action::Left => self.ended = Some(Ok(())),
                Action::Log(diagnostic) => self.log(diagnostic),
            }
        }
        self.actions = actions;
        begun.into_iter().for_each(|event| self.handle(now, event));
    }

    fn log(&mut self, diagnostic: Diagnostic) {
        match diagnostic {
            Diagnostic::Registered { broker, start, running } => {
                self.absence.end();
                info!(address = self.connection.address(), %broker, %start, running, "joined the broker");
                let told = self.machine.welcome().map_or("", |welcome| welcome.frontend.as_str());
                self.state.send_replace(State::Joined { frontend: reachable(told, self.connection.address()) });
            }
            Diagnostic::Disconnected { reason, running } => {
                self.state.send_replace(State::Apart);
                self.tell_absence(&reason, running);
            }
            Diagnostic::UnknownMethod(method) => debug!(%method, "a call came for a method that is not here"),
            Diagnostic::OutcomeDropped(call) => info!(%call, "an outcome came too late: its connection is gone"),
            other => debug!(?other, "note"),
        }
    }

    /// Why the worker is without a broker, once for each absence.
    fn tell_absence(&mut self, loss: &DisconnectReason, running: usize) {
        let why = match (loss, self.connection.last_failure()) {
            (DisconnectReason::SocketClosed, Some(trouble)) => trouble.message.clone(),
            (DisconnectReason::SocketClosed, None) => "the connection was closed".to_owned(),
            (DisconnectReason::Goodbye(failure), _) => failure.message.to_string(),
            (DisconnectReason::HeartbeatTimeout, _) => "nothing is heard from the broker".to_owned(),
            (DisconnectReason::HandshakeTimeout, _) => "the broker does not let this worker in in time".to_owned(),
            (DisconnectReason::InvalidHandshake(what), _) => format!("what the broker says cannot be read: {what}"),
            (other, _) => format!("{other:?}"),
        };
        self.absence.tell(self.clock.now(), self.connection.address(), &why, running);
    }
}
