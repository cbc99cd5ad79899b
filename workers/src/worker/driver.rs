//! The driver: the loop of the I/O thread, or a task of the program's runtime. It owns the connection, the clock and the state machine, and makes no decisions.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    auth::ChannelBinding,
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

use super::{
    outage_log::OutageLog,
    state::{WorkerState, reachable_frontend},
};
use crate::{
    executor::Executor,
    log,
    outcome::JobEnd,
    stream::{StreamChannel, StreamCommand},
};

/// A command of the program to its worker.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    /// Take no more calls, finish the running ones until the deadline, and disconnect.
    Shutdown { deadline: Time },
}

/// The state of the driver.
pub(super) struct Driver {
    machine: worker::Worker,
    connection: Connection,
    timer: Timer,
    clock: Clock,
    executor: Executor,
    commands: mpsc::Receiver<Command>,
    state: watch::Sender<WorkerState>,
    /// How long running calls can continue after an operator asked the worker to drain.
    drain: Duration,
    /// The machine's actions. Kept between turns to reuse its allocation.
    actions: Vec<Action>,
    /// Set when the worker has stopped.
    end: Option<Result<(), Box<Failure>>>,
    outage_log: OutageLog,
}

/// What ended a wait.
enum Wakeup {
    Connection(ConnectionEvent),
    Handlers,
    Command(Option<Command>),
    Timer,
}

impl Driver {
    pub(super) fn new(
        machine: worker::Worker,
        connection: Connection,
        clock: Clock,
        executor: Executor,
        commands: mpsc::Receiver<Command>,
        state: watch::Sender<WorkerState>,
        drain: Duration,
    ) -> Driver {
        let (timer, actions) = (Timer::new(), Vec::new());
        let outage_log = OutageLog::default();
        Driver { machine, connection, timer, clock, executor, commands, state, drain, actions, end: None, outage_log }
    }

    /// Runs until the worker has shut down, or the broker has rejected it.
    pub(super) async fn run(mut self) -> Result<(), Box<Failure>> {
        let mut commands_open = true;
        loop {
            let deadline = self.machine.poll_timeout();
            let wakeup = tokio::select! {
                biased;
                // Cancel safe: documented.
                event = self.connection.next_event() => Wakeup::Connection(event),
                // Cancel safe: completions stay queued until they are taken.
                () = self.executor.notified() => Wakeup::Handlers,
                // Cancel safe: tokio's `recv` loses no command.
                command = self.commands.recv(), if commands_open => Wakeup::Command(command),
                // Cancel safe: documented.
                () = self.timer.wait(self.clock, deadline) => Wakeup::Timer,
            };
            commands_open &= !matches!(wakeup, Wakeup::Command(None));
            self.turn(wakeup);
            if let Some(end) = self.end.take() {
                self.connection.disconnect();
                yield_to_tasks().await;
                return end;
            }
            yield_to_tasks().await;
        }
    }

    /// Handles all input that is ready, performs the actions, and flushes the output.
    fn turn(&mut self, wakeup: Wakeup) {
        let now = self.clock.now();
        self.handle_wakeup(now, wakeup);
        self.handle_completions(now);
        // After all ready input: a message that has arrived is not late.
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.handle_event(now, Event::Timeout);
        }
        self.perform_actions(now);
        self.executor.flush();
        self.connection.flush();
    }

    fn handle_wakeup(&mut self, now: Time, wakeup: Wakeup) {
        match wakeup {
            Wakeup::Connection(ConnectionEvent::Message(frames)) => self.handle_messages(now, frames),
            Wakeup::Connection(ConnectionEvent::Connected { curve }) => {
                let channel = curve.map(|broker| ChannelBinding(broker.binding));
                self.handle_event(now, Event::Connected { nonce: new_nonce(), channel });
            }
            Wakeup::Connection(ConnectionEvent::Disconnected) => {
                self.handle_event(now, Event::Disconnected { chance: random_u32() });
            }
            Wakeup::Command(Some(Command::Shutdown { deadline })) => {
                self.handle_event(now, Event::Shutdown { deadline });
            }
            // `Command(None)`: the program has dropped its handle, and can no longer request a shutdown.
            Wakeup::Command(None) | Wakeup::Handlers | Wakeup::Timer => {}
        }
    }

    fn handle_messages(&mut self, now: Time, first: Vec<Bytes>) {
        let mut budget = TurnBudget::new();
        let mut next = Some(first);
        while let Some(frames) = next {
            let before = self.actions.len();
            self.machine.handle_message(now, &frames, &mut self.actions);
            budget.spend(&frames, self.actions.len() - before);
            next = if budget.is_spent() { None } else { self.connection.try_next_message() };
        }
    }

    /// Handles what handlers sent, and then their ends.
    fn handle_completions(&mut self, now: Time) {
        let completions = self.executor.take_completions();
        for command in self.executor.take_stream_commands() {
            self.handle_stream_command(now, command);
        }
        for completion in completions {
            let job = completion.job;
            let event = match completion.end {
                JobEnd::Finished(outcome) => Event::Finished { job, outcome, handler_time: completion.handler_time },
                JobEnd::Stopped { started } => Event::Stopped { job, started },
            };
            self.handle_event(now, event);
        }
    }

    fn handle_event(&mut self, now: Time, event: Event) {
        self.machine.handle_event(now, event, &mut self.actions);
    }

    /// Handles a message of a handler with streams. The machine ignores those of jobs that have ended.
    fn handle_stream_command(&mut self, now: Time, command: StreamCommand) {
        match command {
            StreamCommand::Items(channel) => {
                let (batches, latest) = channel.take_outgoing();
                for batch in batches {
                    self.handle_event(now, Event::Items { job: channel.job(), latest, batch });
                }
            }
            StreamCommand::Consumed { job, credit } => self.handle_event(now, Event::Read { job, credit }),
            StreamCommand::Progress(channel) => {
                if let Some(body) = channel.take_progress() {
                    self.handle_event(now, Event::Progress { job: channel.job(), body });
                }
            }
        }
    }

    fn with_channel(&self, job: JobId, change: impl FnOnce(&StreamChannel)) {
        if let Some(channel) = self.executor.stream_channel(job) {
            change(&channel);
        }
    }

    /// Performs the machine's actions, and those that follow from their results.
    fn perform_actions(&mut self, now: Time) {
        while !self.actions.is_empty() {
            self.perform_actions_once(now);
        }
    }

    fn perform_actions_once(&mut self, now: Time) {
        let mut actions = std::mem::take(&mut self.actions);
        let mut results = Vec::new();
        for action in actions.drain(..) {
            results.extend(self.perform(action));
        }
        self.actions = actions;
        results.into_iter().for_each(|event| self.handle_event(now, event));
    }

    /// Performs an action. Returns the event that results from it, if any.
    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Connect => self.connection.connect(),
            Action::Disconnect => self.connection.disconnect(),
            Action::Send(envelope) => self.connection.send(&envelope),
            Action::Run(job) => self.executor.prepare(job),
            Action::Stop(job) => self.executor.cancel(job),
            Action::StreamCredit { job, credit } => self.with_channel(job, |channel| channel.grant(credit)),
            Action::Items { job, batch } => self.with_channel(job, |channel| channel.push(batch)),
            Action::End { job } => self.with_channel(job, StreamChannel::end),
            Action::QueryStarted(job) => return self.executor.has_started(job).then_some(Event::Started { job }),
            Action::Drain => {
                info!(target: log::WORKER, "an operator asked this worker to drain");
                return Some(Event::Shutdown { deadline: self.clock.now() + self.drain });
            }
            Action::Rejected(failure) => self.end = Some(Err(failure)),
            Action::ShutdownComplete => self.end = Some(Ok(())),
            Action::Log(diagnostic) => self.log(diagnostic),
        }
        None
    }

    fn log(&mut self, diagnostic: Diagnostic) {
        match diagnostic {
            Diagnostic::Registered { broker, start, running } => {
                self.outage_log.end();
                let address = self.connection.address();
                info!(target: log::WORKER, address, %broker, %start, running, "registered at the broker");
                let frontend = self.machine.welcome().map_or("", |welcome| welcome.frontend.as_str());
                self.state.send_replace(WorkerState::Registered { frontend: reachable_frontend(frontend, address) });
            }
            Diagnostic::Disconnected { reason, running } => {
                self.state.send_replace(WorkerState::Disconnected);
                self.log_outage(&reason, running);
            }
            Diagnostic::UnknownMethod(method) => {
                debug!(target: log::WORKER, %method, "received a call of an unknown method")
            }
            Diagnostic::OutcomeDropped(call) => {
                info!(target: log::WORKER, %call, "dropped an outcome: its connection is closed")
            }
            other => debug!(target: log::WORKER, ?other, "diagnostic"),
        }
    }

    /// Logs why the worker is disconnected, once for each outage.
    fn log_outage(&mut self, reason: &DisconnectReason, running: usize) {
        let text = match (reason, self.connection.last_failure()) {
            (DisconnectReason::SocketClosed, Some(failure)) => failure.message.clone(),
            (DisconnectReason::SocketClosed, None) => "the connection was closed".to_owned(),
            (DisconnectReason::Goodbye(failure), _) => failure.message.to_string(),
            (DisconnectReason::HeartbeatTimeout, _) => {
                "no message from the broker within the heartbeat timeout".to_owned()
            }
            (DisconnectReason::HandshakeTimeout, _) => "the broker did not complete the handshake in time".to_owned(),
            (DisconnectReason::InvalidHandshake(what), _) => {
                format!("invalid handshake message from the broker: {what}")
            }
            (other, _) => format!("{other:?}"),
        };
        self.outage_log.report(self.clock.now(), self.connection.address(), &text, running);
    }
}
