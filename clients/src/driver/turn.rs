//! One turn of the link thread.

use std::{mem, sync::PoisonError, thread};

use callboard_core::{
    client::{Action, Event, Note},
    time::Time,
    wire::{
        envelope::Envelope,
        limits::BUNDLE_ENVELOPES_MAX,
        status::{Code, Executed, Failure},
    },
};
use futures::FutureExt;

use super::{
    Driver,
    ending::{Ending, Life},
};
use crate::{
    call_error::CallError,
    link::{self, Budget},
    shared::Command,
    state::Stage,
    statistics::Statistics,
};

/// Turns after which what is due is done although there is still something to be read: a flood must not stop the clock.
const TURNS_LATE_MAX: u32 = 16;

impl Driver {
    /// One turn: what is ready goes into the machine, what it wants done is done, what it sends goes out.
    pub(super) fn turn(&mut self, happened: Option<link::Event>) {
        let now = self.clock.now();
        let all_read = self.read(now, happened);
        self.take_commands(now);
        self.wake(now, all_read);
        self.give_back_places();
        self.publish();
        self.act();
        self.link.flush();
    }

    /// Reads what the link has. Returns whether that was all.
    fn read(&mut self, now: Time, happened: Option<link::Event>) -> bool {
        let mut budget = Budget::new();
        let mut next = match happened {
            Some(link::Event::Message(frames)) => Some(frames),
            Some(link::Event::Connected) => {
                let nonce = link::new_nonce();
                self.machine.handle(now, Event::Connected { nonce }, &mut self.actions);
                None
            }
            Some(link::Event::Disconnected) => {
                self.disconnected(now);
                return true;
            }
            None => None,
        };
        while let Some(frames) = next.take().or_else(|| self.link.try_message()) {
            let before = self.actions.len();
            self.machine.receive(now, &frames, &mut self.actions);
            self.life.notice_answer(&self.actions);
            budget.spend(&frames, self.actions.len() - before);
            if budget.is_spent() {
                return false;
            }
        }
        true
    }

    fn disconnected(&mut self, now: Time) {
        let trouble = self.link.trouble().cloned();
        self.state.send_modify(|state| state.trouble = trouble);
        self.machine.handle(now, Event::Disconnected { chance: link::chance() }, &mut self.actions);
    }

    fn take_commands(&mut self, now: Time) {
        self.gather();
        // Before the calls: a call that was given up and is not taken yet is known by its closed channel.
        for ticket in self.lines.cancels.take() {
            self.machine.handle(now, Event::Cancel(ticket), &mut self.actions);
        }
        let mut taken = mem::take(&mut self.taken);
        for command in taken.drain(..) {
            match command {
                Command::Call(call) => {
                    self.places += 1;
                    if !call.token.is_abandoned() {
                        self.machine.handle(now, Event::Call(call), &mut self.actions);
                    }
                }
                Command::Close => self.close(now),
            }
        }
        self.taken = taken;
    }

    /// Takes what callers are handing over, for as long as more comes: whoever woke us by a first call is often about to make
    /// the next ones, and a bundle of many costs little more than a bundle of one. Nobody is waited for: when nothing has come
    /// while other threads had their turn, the bundle goes.
    fn gather(&mut self) {
        loop {
            let before = self.taken.len();
            let room = BUNDLE_ENVELOPES_MAX.saturating_sub(before).max(1);
            // None is as good as pending here: the next wait will tell.
            let _ = self.commands.recv_many(&mut self.taken, room).now_or_never();
            if self.taken.len() == before || self.taken.len() >= BUNDLE_ENVELOPES_MAX {
                return;
            }
            thread::yield_now();
        }
    }

    fn close(&mut self, now: Time) {
        if matches!(self.life, Life::Open) {
            let deadline = now + self.close_timeout;
            self.life = Life::Closing(Ending::new(deadline, self.machine.counters()));
            self.machine.handle(now, Event::Close { deadline }, &mut self.actions);
        }
    }

    /// Tells the machine that its deadline has come. What is waiting is read first: it may be the very thing that is late.
    fn wake(&mut self, now: Time, all_read: bool) {
        if self.machine.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        if !all_read && self.turns_late < TURNS_LATE_MAX {
            self.turns_late += 1;
            return;
        }
        self.turns_late = 0;
        self.machine.handle(now, Event::Wake, &mut self.actions);
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
                Action::Connect => self.link.connect(),
                Action::Disconnect => self.link.disconnect(),
                Action::Send(envelope) => self.send(&envelope),
                Action::Resolve { token, outcome } => {
                    let outcome = outcome.map_err(|failure| CallError::from(self.explained(failure)));
                    token.resolve(outcome, &mut self.jobs);
                }
                // No call of this library has streams yet.
                Action::Room { .. } | Action::Item { .. } | Action::Progress { .. } => {}
                Action::Done { token } => drop(token),
                Action::Refused(failure) => self.refused(failure),
                Action::Closed => self.life = self.life.closed(),
                Action::Note(note) => self.note(&note),
            }
        }
        self.actions = actions;
        // The thread of the callbacks lives until we close it.
        let _ = self.lines.callbacks.push(&mut self.jobs);
    }

    fn send(&mut self, envelope: &Envelope) {
        if let Envelope::Goodbye(_) = envelope {
            self.life.notice_goodbye();
        }
        self.link.send(envelope);
    }

    /// A failure with what only the driver knows: why there is no connection.
    fn explained(&self, mut failure: Box<Failure>) -> Box<Failure> {
        let unsent = failure.code == Code::DeadlineExceeded && failure.executed == Executed::No;
        if unsent
            && !self.machine.is_joined()
            && let Some(trouble) = self.link.trouble()
        {
            failure.message = format!("{}; {}", failure.message, trouble.text).into();
        }
        failure
    }

    fn refused(&mut self, failure: Box<Failure>) {
        self.log.refused(&failure);
        self.state.send_modify(|state| state.stage = Stage::Refused(failure));
    }

    fn note(&mut self, note: &Note) {
        self.log.note(note, self.link.trouble());
        if let Note::Joined { .. } = note {
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
