//! Lanes that take turns, by deficit round robin (Shreedhar and Varghese, 1995).

use std::collections::{BTreeMap, VecDeque};

/// What each lane may spend a turn, where all are alike.
pub(super) const QUANTUM: usize = 2 * 1024;

/// Lanes, each with its turn.
#[derive(Debug)]
pub(super) struct Round<L> {
    lanes: BTreeMap<u64, Turn<L>>,
    /// The seats of the lanes, in the order of their turns. A lane that leaves does not look for its seat: that is empty, and is taken
    /// out when its turn comes, or when there are more of its kind than lanes.
    order: VecDeque<Seat>,
    next_seat: u64,
}

/// Whose turn it is, if the lane has still this seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    key: u64,
    number: u64,
}

#[derive(Debug)]
struct Turn<L> {
    lane: L,
    /// The number of its seat.
    seat: u64,
    /// What it may spend a turn.
    quantum: usize,
    /// What it may spend now.
    deficit: usize,
}

impl<L> Default for Round<L> {
    fn default() -> Self {
        Round { lanes: BTreeMap::new(), order: VecDeque::new(), next_seat: 0 }
    }
}

impl<L: Default> Round<L> {
    /// A lane; a new one is the last in the round, and may spend so much a turn.
    pub(super) fn lane(&mut self, key: u64, quantum: usize) -> &mut L {
        let turn = self.lanes.entry(key).or_insert_with(|| {
            self.next_seat += 1;
            self.order.push_back(Seat { key, number: self.next_seat });
            Turn { lane: L::default(), seat: self.next_seat, quantum, deficit: quantum }
        });
        &mut turn.lane
    }
}

impl<L> Round<L> {
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    pub(super) fn lanes(&self) -> impl Iterator<Item = (u64, &L)> {
        self.lanes.iter().map(|(&key, turn)| (key, &turn.lane))
    }

    pub(super) fn find(&self, key: u64) -> Option<&L> {
        self.lanes.get(&key).map(|turn| &turn.lane)
    }

    pub(super) fn find_mut(&mut self, key: u64) -> Option<&mut L> {
        self.lanes.get_mut(&key).map(|turn| &mut turn.lane)
    }

    /// The lane whose turn it is, among those with something at their `head`, and that with its cost. As long as it is not paid for, it
    /// is the same again. Looks at each lane three times at most, however much its head costs.
    pub(super) fn turn<H>(&mut self, mut head: impl FnMut(&mut L) -> Option<(H, usize)>) -> Option<(u64, H, usize)> {
        match self.go_round(&mut head) {
            Ok(found) => Some(found),
            Err(None) => None,
            Err(Some(rounds)) => {
                self.save_up(rounds, &mut head);
                self.go_round(&mut head).ok()
            }
        }
    }

    /// Goes round once, up to a lane that can pay for its head; the others save up. If none can: how many rounds more they all have to
    /// save before one can, or `None` if none has a head.
    fn go_round<H>(
        &mut self,
        head: &mut impl FnMut(&mut L) -> Option<(H, usize)>,
    ) -> Result<(u64, H, usize), Option<usize>> {
        let mut missing = None;
        for _ in 0..self.order.len() {
            let &Seat { key, number } = self.order.front().expect("a seat leaves the round only in its turn");
            let Some(Turn { lane, quantum, deficit, .. }) = self.lanes.get_mut(&key).filter(|turn| turn.seat == number)
            else {
                self.order.pop_front();
                continue;
            };
            if let Some((head, cost)) = head(lane) {
                if *deficit >= cost {
                    return Ok((key, head, cost));
                }
                *deficit += *quantum;
                let rounds = cost.saturating_sub(*deficit).div_ceil(*quantum);
                missing = Some(missing.map_or(rounds, |least: usize| least.min(rounds)));
            }
            self.order.rotate_left(1);
        }
        Err(missing)
    }

    /// So many whole rounds pass, in which nobody can pay.
    fn save_up<H>(&mut self, rounds: usize, head: &mut impl FnMut(&mut L) -> Option<(H, usize)>) {
        for turn in self.lanes.values_mut().filter(|_| rounds > 0) {
            if head(&mut turn.lane).is_some() {
                turn.deficit += rounds * turn.quantum;
            }
        }
    }

    /// A lane pays for what its turn was for.
    pub(super) fn pay(&mut self, key: u64, cost: usize) {
        let turn = self.lanes.get_mut(&key).expect("only a lane that has its turn pays");
        turn.deficit -= cost;
    }

    /// A lane has nothing any more.
    pub(super) fn leave(&mut self, key: u64) {
        self.lanes.remove(&key);
        if self.order.len() > 2 * self.lanes.len() {
            self.order.retain(|seat| is_taken(&self.lanes, seat));
        }
    }

    /// Asserts what must hold after every step.
    pub(super) fn check(&self) {
        let taken = self.order.iter().filter(|seat| is_taken(&self.lanes, seat));
        assert_eq!(taken.count(), self.lanes.len(), "each lane has its turn, once");
        assert!(self.order.len() <= 2 * self.lanes.len(), "empty seats are no more than lanes");
    }
}

fn is_taken<L>(lanes: &BTreeMap<u64, Turn<L>>, seat: &Seat) -> bool {
    lanes.get(&seat.key).is_some_and(|turn| turn.seat == seat.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lanes with these costs at their heads, each of which may spend `quantum` a turn.
    fn round(costs: &[usize], quantum: usize) -> Round<usize> {
        let mut round = Round::default();
        (0..).zip(costs).for_each(|(key, &cost)| *round.lane(key, quantum) = cost);
        round
    }

    /// Whose turn it is, round by round.
    fn slowly(round: &mut Round<usize>) -> u64 {
        loop {
            let key = round.order[0].key;
            let turn = round.lanes.get_mut(&key).expect("each lane of the round exists");
            if turn.lane > 0 && turn.deficit >= turn.lane {
                return key;
            }
            turn.deficit += if turn.lane > 0 { turn.quantum } else { 0 };
            round.order.rotate_left(1);
        }
    }

    #[test]
    fn a_lane_that_leaves_and_comes_back_has_its_turn_last_and_once() {
        let mut round = round(&[1, 1, 1, 1], 1);
        [1, 2].into_iter().for_each(|key| round.leave(key));
        *round.lane(1, 1) = 1;
        round.check();
        let order: Vec<_> = (0..5)
            .map(|_| {
                let (key, (), cost) = round.turn(|&mut cost| Some(((), cost))).expect("each has something");
                round.pay(key, cost);
                key
            })
            .collect();
        assert_eq!(order, [0, 3, 1, 0, 3]);
        round.check();
    }

    #[test]
    fn rounds_in_which_nobody_can_pay_are_skipped_and_count_all_the_same() {
        let costs = [60_000, 0, 50_000, 50_001, 64_000];
        let (mut fast, mut slow) = (round(&costs, 1024), round(&costs, 1024));
        for _ in 0..200 {
            let mut looks = 0;
            let turn = fast.turn(|&mut cost| {
                looks += 1;
                (cost > 0).then_some(((), cost))
            });
            let (key, (), cost) = turn.expect("four of them have something");
            assert!(looks <= 3 * costs.len(), "{looks} looks");
            assert_eq!(key, slowly(&mut slow));
            fast.pay(key, cost);
            slow.pay(key, cost);
            let deficits = |round: &Round<usize>| round.lanes.values().map(|turn| turn.deficit).collect::<Vec<_>>();
            assert_eq!((deficits(&fast), &fast.order), (deficits(&slow), &slow.order));
        }
    }
}
