//! The client's lifecycle: connecting, disconnecting, rejection, closing.

use super::{Action, Client, Diagnostic, call::State, calls::NUMBER_FIRST, phase::Phase};
use crate::{
    peer::DisconnectReason,
    time::Time,
    wire::{
        envelope::{Cancel, Credit, Effect, Envelope},
        status::{Code, Executed, Failure},
    },
};

impl<T> Client<T> {
    /// Handles the welcome. A connection starts with new credit, and the open calls use it first.
    pub(super) fn on_welcome(&mut self, now: Time, same_start: bool, out: &mut Vec<Action<T>>) {
        let welcome = self.peer.welcome().expect("the peer has just stored it");
        let (broker, start) = (welcome.broker, welcome.start);
        self.credit = Credit { calls: welcome.credit_calls, bytes: welcome.credit_bytes, offer: 0 };
        self.done_below_sent = NUMBER_FIRST;
        self.counters.connections += 1;
        if same_start {
            for number in self.cancelled.clone() {
                self.send(now, Envelope::Cancel(Cancel { number: number.0, done_below: None }), out);
            }
        } else {
            self.cancelled.clear();
            self.fail_once_calls(out);
        }
        self.resend_from = Some(NUMBER_FIRST);
        out.push(Action::Log(Diagnostic::Connected { broker, start, open: self.open_len() }));
    }

    /// Fails the open calls that must not run twice. The broker was restarted and has lost them, and they cannot be sent again.
    fn fail_once_calls(&mut self, out: &mut Vec<Action<T>>) {
        for key in self.calls.select(|call| is_open(call.state) && call.new.effect == Some(Effect::Once)) {
            let text = "the broker was restarted while the call was open, and it must not run twice";
            let failure = self.calls.at(key).failure(Code::Unavailable, text);
            self.fail(key, failure, out);
        }
    }

    /// Ends a connection that the peer gave up, and asks the driver to drop the socket.
    pub(super) fn drop_socket(&mut self, reason: DisconnectReason, out: &mut Vec<Action<T>>) {
        out.push(Action::Disconnect);
        self.on_disconnected(reason, out);
    }

    /// Handles the end of the connection. Open calls wait for the next one or for their deadline. Calls with items in flight end.
    pub(super) fn on_disconnected(&mut self, reason: DisconnectReason, out: &mut Vec<Action<T>>) {
        self.resend_from = None;
        out.push(Action::Log(Diagnostic::Disconnected { reason, open: self.open_len() }));
        self.end_streams(out);
    }

    /// Handles the rejection of this client: every call ends with the failure.
    pub(super) fn on_rejected(&mut self, failure: Box<Failure>, out: &mut Vec<Action<T>>) {
        out.push(Action::Disconnect);
        out.push(Action::Rejected(failure.clone()));
        self.resend_from = None;
        self.cancelled.clear();
        for key in self.calls.select(|_| true) {
            let executed = self.calls.at(key).executed();
            self.fail(key, Box::new(Failure { executed, ..(*failure).clone() }), out);
        }
        match self.phase {
            Phase::Closing { .. } => self.finish(out),
            _ => self.phase = Phase::Rejected(Box::new(Failure { executed: Executed::No, ..*failure })),
        }
    }

    /// Starts to close. Goodbye also cancels the open calls, so they need no cancel each.
    pub(super) fn close(&mut self, deadline: Time, out: &mut Vec<Action<T>>) {
        match self.phase {
            Phase::Running => {
                self.phase = Phase::Closing { deadline };
                self.cancel_calls(out);
            }
            Phase::Closing { deadline: earlier } => self.phase = Phase::Closing { deadline: deadline.min(earlier) },
            Phase::Rejected(_) => self.finish(out),
            Phase::Closed => {}
        }
    }

    /// Ends all calls, but not the casts.
    fn cancel_calls(&mut self, out: &mut Vec<Action<T>>) {
        self.resend_from = None;
        self.cancelled.clear();
        for key in self.calls.select(|call| !call.new.cast) {
            let failure =
                self.calls.at(key).failure(Code::Cancelled, "the client was closed before the outcome was known");
            self.fail(key, failure, out);
        }
    }

    /// Continues a close: sends goodbye once all casts are sent. Gives up at the deadline, or if no cast waits and the
    /// client is not connected.
    pub(super) fn advance_closing(&mut self, now: Time, out: &mut Vec<Action<T>>) {
        let Phase::Closing { deadline } = self.phase else { return };
        if deadline <= now {
            self.give_up(out);
        } else if self.waiting_len() > 0 || self.peer.is_closing() {
            // Casts wait for credit or a connection, or our goodbye waits for the broker's.
        } else if self.peer.is_connected() {
            self.send(now, Envelope::Goodbye(None), out);
            self.peer.start_closing(deadline);
        } else {
            self.give_up(out);
        }
    }

    /// Ends the client without a goodbye from the broker.
    fn give_up(&mut self, out: &mut Vec<Action<T>>) {
        if self.peer.give_up() {
            out.push(Action::Disconnect);
        }
        self.finish(out);
    }

    /// Ends the client after the broker's goodbye, or after the wait for it.
    pub(super) fn on_goodbye_done(&mut self, out: &mut Vec<Action<T>>) {
        out.push(Action::Disconnect);
        self.finish(out);
    }

    /// Ends the client. Casts that were not sent are dropped.
    pub(super) fn finish(&mut self, out: &mut Vec<Action<T>>) {
        self.phase = Phase::Closed;
        for key in self.calls.select(|_| true) {
            let failure =
                self.calls.at(key).failure(Code::Cancelled, "the client was closed before the cast could be sent");
            self.fail(key, failure, out);
        }
        out.push(Action::Closed);
    }
}

fn is_open(state: State) -> bool {
    matches!(state, State::Open { .. })
}
