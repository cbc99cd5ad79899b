//! Seats are emptied: one, or all with the end of the pool.

use super::*;
use crate::pool::seat::Leaving;

impl Seats {
    /// Asks a seat's process to end, and kills it at the deadline. A second time may only shorten the time.
    pub(super) fn leave(&mut self, now: Time, id: SeatId, deadline: Time, out: &mut Vec<Action>) {
        let seat = self.seat(id);
        if let Some(leaving) = &mut seat.leaving {
            leaving.deadline = leaving.deadline.min(deadline);
            return;
        }
        seat.leaving = Some(Leaving { deadline, killed: false });
        match (seat.state, seat.state.pid()) {
            (SeatState::Backoff { .. }, _) => self.empty(id),
            (_, Some(pid)) => {
                seat.state = SeatState::Draining { pid, ended: false };
                // Without time for an end in order nobody is asked: it will be killed.
                out.extend((deadline > now).then_some(Action::Signal { seat: id, signal: Notice::Term }));
            }
            (_, None) => {} // starting: told when it is there
        }
    }

    /// The seat has no process any more, and gets none.
    pub(super) fn empty(&mut self, id: SeatId) {
        match self.phase {
            Phase::Serving => drop(self.seats.remove(&id)),
            Phase::Stopping | Phase::Finished => self.seat(id).state = SeatState::Empty,
        }
    }

    /// The seat's process and its whole group are done. The deadline may have come between that and its telling: nothing is
    /// left to do then.
    pub(super) fn emptied(&mut self, id: SeatId, out: &mut Vec<Action>) {
        let ended = |seat: &Seat| matches!(seat.state, SeatState::Draining { ended: true, .. });
        if self.seats.get(&id).is_some_and(ended) {
            self.empty(id);
            out.push(Action::Reap { seat: id });
        }
    }

    pub(super) fn shutdown(&mut self, now: Time, deadline: Time, out: &mut Vec<Action>) {
        if self.phase == Phase::Finished {
            return;
        }
        self.phase = Phase::Stopping;
        self.exchange = None;
        for id in self.seats.keys().copied().collect::<Vec<_>>() {
            self.leave(now, id, deadline, out);
        }
    }

    pub(super) fn kill_what_is_late(&mut self, now: Time, out: &mut Vec<Action>) {
        let late = |seat: &Seat| seat.leaving.is_some_and(|leaving| !leaving.killed && leaving.deadline <= now);
        let late: Vec<_> = self.seats.iter().filter(|(_, seat)| late(seat)).map(|(&id, _)| id).collect();
        for id in late {
            let seat = self.seat(id);
            seat.leaving.iter_mut().for_each(|leaving| leaving.killed = true);
            match seat.state {
                SeatState::Draining { ended: false, .. } => {
                    out.push(Action::Signal { seat: id, signal: Notice::Kill });
                }
                SeatState::Draining { ended: true, .. } => self.emptied(id, out),
                _ => {}
            }
        }
    }

    pub(super) fn tell_the_end(&mut self, out: &mut Vec<Action>) {
        let stopping = self.phase == Phase::Stopping;
        if stopping && self.seats.values().all(|seat| seat.state == SeatState::Empty) {
            self.phase = Phase::Finished;
            out.push(Action::Finished);
        }
    }
}
