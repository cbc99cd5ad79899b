//! A pool grows and shrinks.

use std::{cmp::Reverse, collections::BTreeMap};

use super::*;
use crate::pool::ask::Refusal;

/// Calls that each process runs, by its name, as the broker knows it.
pub(in crate::pool) type RunningCalls = BTreeMap<String, u64>;

impl Seats {
    /// How many seats are to have a process, those on trial apart.
    pub(in crate::pool) fn size(&self) -> u32 {
        self.seats.iter().filter(|(id, seat)| seat.stays() && !self.is_new(**id)).count() as u32
    }

    /// Makes the pool `size` seats large. Who leaves is who is least missed: first who has no process, then who is idle by the
    /// broker's word in `running`, then who has fewest calls; what runs is finished. A name that is not in it counts as idle.
    ///
    /// # Errors
    /// The size is out of bounds, or now is not the time.
    pub(in crate::pool) fn scale(
        &mut self,
        now: Time,
        size: u32,
        running: &RunningCalls,
        out: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if self.phase != Phase::Serving {
            return Err(Refusal::Ending);
        }
        let bounds = self.rules.bounds;
        if !bounds.contain(size) {
            return Err(Refusal::Bounds { size, bounds });
        }
        if self.exchange.is_some() {
            return Err(Refusal::Exchanging);
        }
        let present = self.size();
        self.check_room(size.saturating_sub(present))?;
        for _ in present..size {
            self.add_seat(now, self.generation());
        }
        for id in self.least_missed(running, present.saturating_sub(size)) {
            self.leave(now, id, now + self.rules.drain, out);
        }
        self.follow_up(now, out);
        Ok(())
    }

    /// Whether `more` processes may be started. Those that leave take their time: who asks up and down again and again must not
    /// pile them up beyond twice the most that the pool may have.
    pub(super) fn check_room(&self, more: u32) -> Result<(), Refusal> {
        let room = (2 * self.rules.bounds.max).saturating_sub(self.seats.len() as u32);
        let leaving = self.seats.values().filter(|seat| !seat.stays()).count() as u32;
        if more > room { Err(Refusal::Crowded { leaving }) } else { Ok(()) }
    }

    /// Which `count` seats are least missed.
    fn least_missed(&self, running: &RunningCalls, count: u32) -> Vec<SeatId> {
        let missed = |(id, seat): (&SeatId, &Seat)| {
            let calls = running.get(&self.instance(*id, seat)).copied().unwrap_or(0);
            // Of equals the youngest: its numbers make room for the next ones.
            (matches!(seat.state, SeatState::Registered { .. }), calls, seat.state.pid().is_some(), Reverse(*id))
        };
        let mut seats: Vec<_> = self.seats.iter().filter(|(_, seat)| seat.stays()).map(missed).collect();
        seats.sort_unstable();
        seats.into_iter().take(count as usize).map(|(.., Reverse(id))| id).collect()
    }

    /// The reload that the serving seats belong to.
    pub(in crate::pool) fn generation(&self) -> u32 {
        let staying = self.seats.iter().filter(|(id, seat)| seat.stays() && !self.is_new(**id));
        staying.map(|(_, seat)| seat.generation).max().unwrap_or(self.last_generation)
    }
}
