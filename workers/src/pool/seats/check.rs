//! What always holds between events.

use super::*;

impl Seats {
    /// Asserts it.
    pub(super) fn check(&self) {
        self.seats.values().for_each(|seat| check_seat(self.phase, seat));
        let states = || self.seats.values().map(|seat| seat.state);
        match self.phase {
            Phase::Serving => assert!(self.size() > 0, "a pool that serves has a seat"),
            Phase::Stopping => {
                assert!(states().any(|state| state != SeatState::Empty), "the end is told with the last process");
            }
            Phase::Finished => assert!(states().all(|state| state == SeatState::Empty)),
        }
        assert!(self.exchange.is_none() || self.phase == Phase::Serving, "a pool that stops exchanges nothing");
        assert!(self.seats.len() as u32 <= 2 * self.rules.bounds.max, "leavers do not pile up");
        if let Some(exchange) = &self.exchange {
            exchange.check(&self.seats);
        }
        // No two seats share a process.
        let pids: Vec<_> = states().filter_map(|state| state.pid()).collect();
        let distinct: std::collections::BTreeSet<_> = pids.iter().collect();
        assert_eq!(pids.len(), distinct.len());
    }
}

/// A seat that stays has a process, a promise of one, or a time for one; one that leaves was told, and is killed once.
fn check_seat(phase: Phase, seat: &Seat) {
    match seat.leaving {
        None => {
            assert_eq!(phase, Phase::Serving, "a pool that stops has told every process");
            assert!(!matches!(seat.state, SeatState::Draining { .. } | SeatState::Empty));
        }
        Some(leaving) => {
            assert!(matches!(seat.state, SeatState::Starting | SeatState::Draining { .. } | SeatState::Empty));
            assert!(!leaving.killed || !matches!(seat.state, SeatState::Draining { ended: true, .. }));
            assert!(phase != Phase::Serving || seat.state != SeatState::Empty, "an empty seat is gone");
        }
    }
}
