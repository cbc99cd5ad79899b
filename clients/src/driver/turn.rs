//! One turn of the link thread.

use std::{
    mem,
    sync::{Arc, PoisonError},
    thread,
};

use bytes::Bytes;
use callboard_core::{
    client::{Action, Diagnostic, Event, NewCall, Ticket},
    time::Time,
    wire::{
        envelope::Envelope,
        limits::{BUNDLE_ENVELOPES_MAX, TURN_ENVELOPES_MAX},
        status::{Code, Executed, Failure},
    },
};
use callboard_transport::{ConnectionEvent, TurnBudget, new_nonce, random_u32};

use super::{
    Driver,
    ending::{Ending, Life},
};
use crate::{
    call_error::CallError,
    pipe::{Pipe, PipeEnd, StreamPost},
    responder::Responder,
    shared::Command,
    state::Stage,
    statistics::Statistics,
};

/// Turns after which what is due is done although there is still something to be read: a flood must not stop the clock.
const TURNS_LATE_MAX: u32 = 16;

impl Driver {
    /// One turn: what is ready goes into the machine, what it wants done is done, what it sends goes out.
    pub(super) fn turn(&mut self, happened: Option<ConnectionEvent>) {
        let now = self.clock.now();
        self.outcomes.look(now);
        let all_read = self.read(now, happened);
        self.take_commands(now);
        self.wake(now, all_read);
        self.give_back_places();
        self.publish();
        self.act();
        self.outcomes.tell(self.clock);
        self.connection.flush();
    }

    /// Reads what the link has. Returns whether that was all.
    fn read(&mut self, now: Time, happened: Option<ConnectionEvent>) -> bool {
        let mut budget = TurnBudget::new();
        let mut next = match happened {
            Some(ConnectionEvent::Message(frames)) => Some(frames),
            Some(ConnectionEvent::Connected) => {
                let nonce = new_nonce();
                self.machine.handle_event(now, Event::Connected { nonce }, &mut self.actions);
                None
            }
            Some(ConnectionEvent::Disconnected) => {
                self.disconnected(now);
                return true;
            }
            None => None,
        };
        while let Some(frames) = next.take().or_else(|| self.connection.try_next_message()) {
            let before = self.actions.len();
            self.machine.handle_message(now, &frames, &mut self.actions);
            self.life.notice_answer(&self.actions);
            budget.spend(&frames, self.actions.len() - before);
            if budget.is_spent() {
                return false;
            }
        }
        true
    }

    fn disconnected(&mut self, now: Time) {
        let trouble = self.connection.last_failure().cloned();
        self.state.send_modify(|state| state.trouble = trouble);
        self.machine.handle_event(now, Event::Disconnected { chance: random_u32() }, &mut self.actions);
    }

    fn take_commands(&mut self, now: Time) {
        self.gather();
        for _ in 0..TURN_ENVELOPES_MAX {
            let Some(command) = self.taken.pop_front() else { return };
            match command {
                Command::Call(call) => self.take_call(now, call),
                // Of one that was given up in our queue the machine has not heard.
                Command::Cancel(ticket) => self.machine.handle_event(now, Event::Cancel(ticket), &mut self.actions),
                Command::Stream(post) => self.take_post(now, post),
                Command::Close => self.close(now),
            }
        }
    }

    fn take_call(&mut self, now: Time, call: NewCall<Responder>) {
        self.places += 1;
        if !call.token.is_abandoned() {
            self.make(now, call);
        }
    }

    fn make(&mut self, now: Time, mut call: NewCall<Responder>) {
        let ticket = call.ticket;
        let mut ended = false;
        if let Responder::Stream(end) = &mut call.token {
            end.ticket = Some(ticket);
            // It may have been said before we knew of the call.
            ended = end.pipe.has_said_end();
            self.pipes.insert(ticket, Arc::clone(&end.pipe));
        }
        self.machine.handle_event(now, Event::Call(call), &mut self.actions);
        if ended {
            self.machine.handle_event(now, Event::End(ticket), &mut self.actions);
        }
    }

    /// What callers of calls with streams have to say. Of a call that is over, the machine does not listen to it.
    fn take_post(&mut self, now: Time, post: StreamPost) {
        let event = match post {
            StreamPost::Item(ticket, body) => Event::Item { ticket, body },
            StreamPost::End(ticket) => Event::End(ticket),
            StreamPost::Read(ticket, room) => Event::Read { ticket, credit: room },
        };
        self.machine.handle_event(now, event, &mut self.actions);
    }

    /// Takes what callers are handing over, for as long as more comes: whoever woke us by a first call is often about to make
    /// the next ones, and a bundle of many costs little more than a bundle of one. Nobody is waited for: when nothing has come
    /// while other threads had their turn, the bundle goes.
    fn gather(&mut self) {
        while self.taken.len() < BUNDLE_ENVELOPES_MAX {
            let mut more = self.lines.commands.take(mem::take(&mut self.spare));
            let nothing = more.is_empty();
            self.taken.extend(more.drain(..));
            // What a flood made of it is given back.
            more.shrink_to(TURN_ENVELOPES_MAX);
            self.spare = more;
            if nothing {
                return;
            }
            thread::yield_now();
        }
    }

    fn close(&mut self, now: Time) {
        if matches!(self.life, Life::Open) {
            let deadline = now + self.close_timeout;
            self.life = Life::Closing(Ending::new(deadline, self.machine.counters()));
            self.machine.handle_event(now, Event::Close { deadline }, &mut self.actions);
        }
    }

    /// Tells the machine that its deadline has come. What is waiting is read first: it may be the very thing that is late.
    fn wake(&mut self, now: Time, all_read: bool) {
        if self.machine.poll_timeout().is_none_or(|deadline| deadline > now) {
            return;
        }
        if !all_read && self.turns_late < TURNS_LATE_MAX {
            self.turns_late += 1;
            return;
        }
        self.turns_late = 0;
        self.machine.handle_event(now, Event::Timeout, &mut self.actions);
    }

    /// Gives back the places of calls that do not wait any more.
    fn give_back_places(&mut self) {
        let free = self.places.saturating_sub(self.machine.waiting_len());
        if free > 0 {
            self.places -= free;
            self.lines.queue.give_back(free);
        }
    }

    fn publish(&self) {
        let machine = &self.machine;
        let statistics = Statistics::of_machine(machine.counters(), machine.waiting_len(), machine.open_len());
        *self.lines.statistics.lock().unwrap_or_else(PoisonError::into_inner) = statistics;
    }

    /// Does what the machine wants done, in its order.
    fn act(&mut self) {
        let mut actions = mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Connect => self.connection.connect(),
                Action::Disconnect => self.connection.disconnect(),
                Action::Send(envelope) => self.send(&envelope),
                Action::Complete { token, outcome } => {
                    self.forget_pipe(&token);
                    let outcome = outcome.map_err(|failure| CallError::from(self.explained(failure)));
                    token.resolve(outcome, &mut self.outcomes);
                }
                Action::Release { token } => self.forget_pipe(&token),
                Action::StreamCredit { ticket, credit } => self.pipe(ticket, |pipe| pipe.grant(credit)),
                Action::Item { ticket, latest, body } => self.item(ticket, latest, body),
                Action::Progress { ticket, body } => self.pipe(ticket, |pipe| pipe.tell_progress(body)),
                Action::Rejected(failure) => self.refused(failure),
                Action::Closed => self.life = self.life.closed(),
                Action::Log(diagnostic) => self.log_diagnostic(&diagnostic),
            }
        }
        self.actions = actions;
    }

    fn pipe(&mut self, ticket: Ticket, change: impl FnOnce(&Pipe)) {
        if let Some(pipe) = self.pipes.get(&ticket) {
            change(pipe);
        }
    }

    /// What an item supersedes is as good as read: the machine hears of it with the next posts.
    fn item(&mut self, ticket: Ticket, latest: Option<u64>, body: Bytes) {
        let read = self.pipes.get(&ticket).and_then(|pipe| pipe.push(body, latest));
        if let Some(room) = read {
            // We are who it is told, and have not ended.
            let _ = self.lines.commands.push(Command::Stream(StreamPost::Read(ticket, room)));
        }
    }

    /// A call with streams is over.
    fn forget_pipe(&mut self, token: &Responder) {
        if let Responder::Stream(PipeEnd { ticket: Some(ticket), .. }) = token {
            self.pipes.remove(ticket);
        }
    }

    fn send(&mut self, envelope: &Envelope) {
        if let Envelope::Goodbye(_) = envelope {
            self.life.notice_goodbye();
        }
        self.connection.send(envelope);
    }

    /// A failure with what only the driver knows: why there is no connection.
    fn explained(&self, mut failure: Box<Failure>) -> Box<Failure> {
        let unsent = failure.code == Code::DeadlineExceeded && failure.executed == Executed::No;
        if unsent
            && !self.machine.is_connected()
            && let Some(trouble) = self.connection.last_failure()
        {
            failure.message = format!("{}; {}", failure.message, trouble.message).into();
        }
        failure
    }

    fn refused(&mut self, failure: Box<Failure>) {
        self.log.refused(&failure);
        self.state.send_modify(|state| state.stage = Stage::Refused(failure));
    }

    fn log_diagnostic(&mut self, diagnostic: &Diagnostic) {
        self.log.write(diagnostic, self.connection.last_failure());
        if let Diagnostic::Connected { .. } = diagnostic {
            self.state.send_if_modified(|state| {
                let first = matches!(state.stage, Stage::New);
                if first {
                    state.stage = Stage::Joined;
                }
                first
            });
        }
    }
}
