//! Processes are exchanged for newer ones: the new ones first, and the old ones leave when all of the new ones serve.
//!
//! If one of the new ones ends before that, or they are not all registered in time, or they are found to do worse than the old ones,
//! then they leave and the old ones stay: nothing has changed.

use super::*;
use crate::pool::ask::Refusal;

/// An exchange that is under way.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) number: ExchangeNumber,
    /// New seats, each with the one whose process leaves.
    pairs: BTreeMap<SeatId, SeatId>,
    /// How long the new ones serve beside the old ones.
    trial: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not all of the new ones are registered; how long that may last.
    Starting { until: Time },
    /// All are, and serve beside the old ones.
    Trial { until: Time },
}

impl Exchange {
    pub(super) fn deadline(&self) -> Time {
        match self.stage {
            Stage::Starting { until } | Stage::Trial { until } => until,
        }
    }

    pub(super) fn is_on_trial(&self) -> bool {
        matches!(self.stage, Stage::Trial { .. })
    }

    /// Both sides of each pair are there, and stay for now.
    #[cfg(test)]
    pub(super) fn check(&self, seats: &BTreeMap<SeatId, Seat>) {
        assert!(self.pairs.iter().all(|(new, old)| seats[new].stays() && seats[old].stays()));
        let olds: std::collections::BTreeSet<_> = self.pairs.values().collect();
        assert_eq!(olds.len(), self.pairs.len(), "each old one has one successor");
    }
}

impl Seats {
    /// Exchanges all processes: a new generation. It serves beside the old one for the trial's time.
    ///
    /// # Errors
    /// Now is not the time.
    pub(in crate::pool) fn reload(&mut self, now: Time, out: &mut Vec<Action>) -> Result<ExchangeNumber, Refusal> {
        let old: Vec<_> = self.seats.iter().filter(|(_, seat)| seat.stays()).map(|(&id, _)| id).collect();
        self.check_free(old.len() as u32)?;
        self.last_generation += 1;
        Ok(self.begin(now, &old, self.last_generation, self.rules.trial, out))
    }

    /// Exchanges one process, without a trial.
    ///
    /// # Errors
    /// No process of this name runs, or now is not the time.
    pub(in crate::pool) fn replace(
        &mut self,
        now: Time,
        instance: &str,
        out: &mut Vec<Action>,
    ) -> Result<ExchangeNumber, Refusal> {
        self.check_free(1)?;
        let mut running = self.seats.iter().filter(|(_, seat)| seat.stays() && seat.state.pid().is_some());
        let Some((&old, seat)) = running.find(|(id, seat)| self.instance(**id, seat) == instance) else {
            return Err(Refusal::NoSuchWorker { instance: instance.to_owned() });
        };
        let generation = seat.generation;
        Ok(self.begin(now, &[old], generation, Duration::ZERO, out))
    }

    fn check_free(&self, more: u32) -> Result<(), Refusal> {
        if self.phase != Phase::Serving {
            return Err(Refusal::Ending);
        }
        if self.exchange.is_some() {
            return Err(Refusal::Exchanging);
        }
        self.check_room(more)
    }

    fn begin(
        &mut self,
        now: Time,
        old: &[SeatId],
        generation: u32,
        trial: Duration,
        out: &mut Vec<Action>,
    ) -> ExchangeNumber {
        let pairs = old.iter().map(|&old| (self.add_seat(now, generation), old)).collect();
        self.last_exchange += 1;
        let number = ExchangeNumber(self.last_exchange);
        let stage = Stage::Starting { until: now + self.rules.ready };
        self.exchange = Some(Exchange { number, pairs, trial, stage });
        self.follow_up(now, out);
        number
    }

    /// Whether a seat is one of the new ones of an exchange.
    pub(super) fn is_new(&self, id: SeatId) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.pairs.contains_key(&id))
    }

    /// Begins the trial if all new processes are registered.
    pub(super) fn begin_trial(&mut self, now: Time) {
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| !exchange.is_on_trial()) else { return };
        let registered = |id| matches!(self.seats[id].state, SeatState::Registered { .. });
        if exchange.pairs.keys().all(registered) {
            exchange.stage = Stage::Trial { until: now + exchange.trial };
        }
    }

    /// A trial that is over without a complaint ends the old processes; new ones that are late end themselves.
    pub(super) fn end_exchange_in_time(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(exchange) = self.exchange.as_ref().filter(|exchange| exchange.deadline() <= now) else { return };
        if exchange.is_on_trial() {
            self.commit(now, out);
        } else {
            let seconds = self.rules.ready.as_secs();
            self.roll_back(now, format!("not all new workers were registered within {seconds} s"), None, out);
        }
    }

    /// A new process has ended before the exchange was made.
    pub(super) fn new_one_ended(&mut self, now: Time, id: SeatId, exit: &Exit, out: &mut Vec<Action>) {
        let instance = self.instance(id, &self.seats[&id]);
        self.seat(id).state = SeatState::Backoff { until: now };
        self.roll_back(now, format!("the new worker {instance} ended: {exit}"), Some(id), out);
    }

    pub(super) fn condemned(&mut self, now: Time, number: ExchangeNumber, why: String, out: &mut Vec<Action>) {
        if self.exchange.as_ref().is_some_and(|exchange| exchange.number == number) {
            self.roll_back(now, why, None, out);
        }
    }

    fn commit(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(exchange) = self.exchange.take() else { return };
        for &old in exchange.pairs.values() {
            self.leave(now, old, now + self.rules.drain, out);
        }
        let outcome = Exchanged { number: exchange.number, rolled_back: None };
        out.push(Action::Exchanged { outcome, seat: None });
    }

    fn roll_back(&mut self, now: Time, why: String, seat: Option<SeatId>, out: &mut Vec<Action>) {
        let Some(exchange) = self.exchange.take() else { return };
        for &new in exchange.pairs.keys() {
            self.leave(now, new, now + self.rules.drain, out);
        }
        let outcome = Exchanged { number: exchange.number, rolled_back: Some(why) };
        out.push(Action::Exchanged { outcome, seat });
    }
}
