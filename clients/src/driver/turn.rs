//! One turn of the driver.

use std::{
    mem,
    sync::{Arc, PoisonError},
    thread,
};

use callboard_core::{
    auth::ChannelBinding,
    client::{Action, Diagnostic, Event, NewCall, Ticket},
    time::Time,
    wire::{
        envelope::Envelope,
        item_batch::ItemBatch,
        limits::{BUNDLE_ENVELOPES_MAX, TURN_ENVELOPES_MAX},
        status::{Code, Executed, Failure},
    },
};
use callboard_transport::{ConnectionEvent, TurnBudget, new_nonce, random_u32};

use super::{
    Driver, Placement,
    shutdown::{Lifecycle, Shutdown},
};
use crate::{
    completion::reply_sink::ReplySink,
    error::call_error::CallError,
    shared::{command::Command, state::ClientState, statistics::Statistics},
    stream::{
        buffer::{StreamBuffer, StreamSink},
        command::StreamCommand,
    },
};

/// The number of turns in a row that may defer the machine's timeout because there is still input. It is limited so that a flood of
/// input does not stop the machine's timers.
const TIMEOUT_DEFERRALS_MAX: u32 = 16;

impl Driver {
    /// Runs one turn: gives the machine all input that is ready, carries out its actions, and flushes its messages.
    pub(super) fn turn(&mut self, event: Option<ConnectionEvent>) {
        let now = self.clock.now();
        self.completions.handle_timeout(now);
        let all_read = self.read(now, event);
        self.handle_commands(now);
        self.handle_timeout(now, all_read);
        self.release_permits();
        self.publish_statistics();
        self.execute_actions();
        self.completions.deliver(self.clock);
        self.connection.flush();
    }

    /// Reads the messages of the connection within the budget of a turn. Returns true if that was all of them.
    fn read(&mut self, now: Time, event: Option<ConnectionEvent>) -> bool {
        let mut budget = TurnBudget::new();
        let mut next = match event {
            Some(ConnectionEvent::Message(frames)) => Some(frames),
            Some(ConnectionEvent::Connected { curve }) => {
                let channel = curve.map(|broker| ChannelBinding(broker.binding));
                self.machine.handle_event(now, Event::Connected { nonce: new_nonce(), channel }, &mut self.actions);
                None
            }
            Some(ConnectionEvent::Disconnected) => {
                self.on_disconnected(now);
                return true;
            }
            None => None,
        };
        while let Some(frames) = next.take().or_else(|| self.connection.try_next_message()) {
            let before = self.actions.len();
            self.machine.handle_message(now, &frames, &mut self.actions);
            self.lifecycle.on_message(&self.actions);
            budget.spend(&frames, self.actions.len() - before);
            if budget.is_spent() {
                return false;
            }
        }
        true
    }

    fn on_disconnected(&mut self, now: Time) {
        let failure = self.connection.last_failure().cloned();
        self.status.send_modify(|status| status.last_failure = failure);
        self.machine.handle_event(now, Event::Disconnected { chance: random_u32() }, &mut self.actions);
    }

    fn handle_commands(&mut self, now: Time) {
        self.receive_commands();
        for _ in 0..TURN_ENVELOPES_MAX {
            let Some(command) = self.received.pop_front() else { return };
            match command {
                Command::Call(call) => self.handle_call(now, call),
                // The machine ignores the ticket of a call that was cancelled in the queue and never reached it.
                Command::Cancel(ticket) => self.machine.handle_event(now, Event::Cancel(ticket), &mut self.actions),
                Command::Stream(command) => self.handle_stream_command(now, command),
                Command::Close => self.close(now),
            }
        }
    }

    /// Receives commands as long as more arrive. The caller that woke the I/O thread is often about to make its next
    /// calls, and a bundle of many costs little more than a bundle of one. But the thread does not wait: if nothing
    /// arrives while other threads can run, the turn continues. An inline driver takes what the tasks before it left.
    fn receive_commands(&mut self) {
        while self.received.len() < BUNDLE_ENVELOPES_MAX {
            let mut commands = self.channels.commands.take(mem::take(&mut self.spare));
            let none = commands.is_empty();
            self.received.extend(commands.drain(..));
            // Releases memory that a burst of commands needed.
            commands.shrink_to(TURN_ENVELOPES_MAX);
            self.spare = commands;
            if none || self.placement == Placement::Inline {
                return;
            }
            thread::yield_now();
        }
    }

    fn handle_call(&mut self, now: Time, call: NewCall<ReplySink>) {
        self.permits += 1;
        if !call.token.is_abandoned() {
            self.start_call(now, call);
        }
    }

    fn start_call(&mut self, now: Time, mut call: NewCall<ReplySink>) {
        let ticket = call.ticket;
        let mut send_ended = false;
        if let ReplySink::Stream(sink) = &mut call.token {
            sink.ticket = Some(ticket);
            // The caller may have ended its items before this thread received the call.
            send_ended = sink.buffer.is_send_ended();
            self.streams.insert(ticket, Arc::clone(&sink.buffer));
        }
        self.machine.handle_event(now, Event::Call(call), &mut self.actions);
        if send_ended {
            self.machine.handle_event(now, Event::End(ticket), &mut self.actions);
        }
    }

    /// Gives the machine a command of a call with streams. It ignores those of a call that has ended.
    fn handle_stream_command(&mut self, now: Time, command: StreamCommand) {
        let event = match command {
            StreamCommand::Items(ticket) => return self.send_items(now, ticket),
            StreamCommand::End(ticket) => Event::End(ticket),
            StreamCommand::Read(ticket, credit) => Event::Read { ticket, credit },
        };
        self.machine.handle_event(now, event, &mut self.actions);
    }

    /// Gives the machine the items that a caller has sent since the last turn.
    fn send_items(&mut self, now: Time, ticket: Ticket) {
        let Some(stream) = self.streams.get(&ticket) else { return };
        for batch in stream.take_outgoing() {
            self.machine.handle_event(now, Event::Items { ticket, batch }, &mut self.actions);
        }
    }

    fn close(&mut self, now: Time) {
        if matches!(self.lifecycle, Lifecycle::Open) {
            let deadline = now + self.close_timeout;
            self.lifecycle = Lifecycle::Closing(Shutdown::new(deadline, self.machine.counters()));
            self.machine.handle_event(now, Event::Close { deadline }, &mut self.actions);
        }
    }

    /// Gives the machine its timeout once its deadline has passed. Pending input is read first, because it may contain what the
    /// machine waits for.
    fn handle_timeout(&mut self, now: Time, all_read: bool) {
        if self.machine.poll_timeout().is_none_or(|deadline| deadline > now) {
            return;
        }
        if !all_read && self.timeout_deferrals < TIMEOUT_DEFERRALS_MAX {
            self.timeout_deferrals += 1;
            return;
        }
        self.timeout_deferrals = 0;
        self.machine.handle_event(now, Event::Timeout, &mut self.actions);
    }

    /// Releases the permits of calls that do not wait in the client any more.
    fn release_permits(&mut self) {
        let unused = self.permits.saturating_sub(self.machine.waiting_len());
        if unused > 0 {
            self.permits -= unused;
            self.channels.queue.release(unused);
        }
    }

    fn publish_statistics(&self) {
        let machine = &self.machine;
        let statistics = Statistics::of_machine(machine.counters(), machine.waiting_len(), machine.open_len());
        *self.channels.statistics.lock().unwrap_or_else(PoisonError::into_inner) = statistics;
    }

    /// Carries out the machine's actions in order.
    fn execute_actions(&mut self) {
        let mut actions = mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Connect => self.connection.connect(),
                Action::Disconnect => self.connection.disconnect(),
                Action::Send(envelope) => self.send(&envelope),
                Action::Complete { token, outcome } => {
                    self.remove_stream(&token);
                    let outcome = outcome.map_err(|failure| CallError::from(self.with_connection_failure(failure)));
                    self.completions.complete(token, outcome);
                }
                Action::Release { token } => self.remove_stream(&token),
                Action::StreamCredit { ticket, credit } => self.stream(ticket, |stream| stream.add_credit(credit)),
                Action::Items { ticket, latest, batch } => self.on_items(ticket, latest, batch),
                Action::Progress { ticket, body } => self.stream(ticket, |stream| stream.set_progress(body)),
                Action::Rejected(failure) => self.on_rejected(failure),
                Action::Closed => self.lifecycle = self.lifecycle.closed(),
                Action::Log(diagnostic) => self.log_diagnostic(&diagnostic),
            }
        }
        self.actions = actions;
    }

    fn stream(&mut self, ticket: Ticket, change: impl FnOnce(&StreamBuffer)) {
        if let Some(stream) = self.streams.get(&ticket) {
            change(stream);
        }
    }

    /// Buffers items. Those that are superseded count as read, which a later command reports to the machine.
    fn on_items(&mut self, ticket: Ticket, dropped: Option<u64>, batch: ItemBatch) {
        let read = self.streams.get(&ticket).and_then(|stream| stream.push(batch, dropped));
        if let Some(credit) = read {
            // This thread receives the commands and has not ended, so the queue is open.
            let _ = self.channels.commands.push(Command::Stream(StreamCommand::Read(ticket, credit)));
        }
    }

    /// Removes the buffer of a call with streams that has ended.
    fn remove_stream(&mut self, sink: &ReplySink) {
        if let ReplySink::Stream(StreamSink { ticket: Some(ticket), .. }) = sink {
            self.streams.remove(ticket);
        }
    }

    fn send(&mut self, envelope: &Envelope) {
        if let Envelope::Goodbye(_) = envelope {
            self.lifecycle.on_goodbye_sent();
        }
        self.connection.send(envelope);
    }

    /// Adds the reason why there is no connection to a failure: only the driver has it.
    fn with_connection_failure(&self, mut failure: Box<Failure>) -> Box<Failure> {
        let unsent = failure.code == Code::DeadlineExceeded && failure.executed == Executed::No;
        if unsent
            && !self.machine.is_connected()
            && let Some(reason) = self.connection.last_failure()
        {
            failure.message = format!("{}; {}", failure.message, reason.message).into();
        }
        failure
    }

    fn on_rejected(&mut self, failure: Box<Failure>) {
        self.log.rejected(&failure);
        self.status.send_modify(|status| status.state = ClientState::Rejected(failure));
    }

    fn log_diagnostic(&mut self, diagnostic: &Diagnostic) {
        self.log.write(diagnostic, self.connection.last_failure());
        if let Diagnostic::Connected { .. } = diagnostic {
            self.status.send_if_modified(|status| {
                let first = matches!(status.state, ClientState::Connecting);
                if first {
                    status.state = ClientState::Connected;
                }
                first
            });
        }
    }
}
