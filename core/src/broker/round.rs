//! Lanes that take turns, by deficit round robin (Shreedhar and Varghese, 1995).

use std::collections::{BTreeMap, VecDeque};

/// What each lane may spend a turn, where all are alike.
pub(super) const QUANTUM: usize = 2 * 1024;

/// Lanes, each with its turn.
#[derive(Debug)]
pub(super) struct Round<L> {
    lanes: BTreeMap<u64, Turn<L>>,
    order: VecDeque<u64>,
}

#[derive(Debug)]
struct Turn<L> {
    lane: L,
    /// What it may spend a turn.
    quantum: usize,
    /// What it may spend now.
    deficit: usize,
}

impl<L> Default for Round<L> {
    fn default() -> Self {
        Round { lanes: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<L: Default> Round<L> {
    /// A lane; a new one is the last in the round, and may spend so much a turn.
    pub(super) fn lane(&mut self, key: u64, quantum: usize) -> &mut L {
        let turn = self.lanes.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Turn { lane: L::default(), quantum, deficit: quantum }
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
    /// is the same again.
    pub(super) fn turn<H>(&mut self, mut head: impl FnMut(&mut L) -> Option<(H, usize)>) -> Option<(u64, H, usize)> {
        let mut passed = 0;
        while passed < self.order.len() {
            let key = *self.order.front().expect("a round longer than zero has a front");
            let Turn { lane, quantum, deficit } = self.lanes.get_mut(&key).expect("each lane of the round exists");
            match head(lane) {
                Some((head, cost)) if *deficit >= cost => return Some((key, head, cost)),
                Some(_) => {
                    *deficit += *quantum;
                    passed = 0;
                }
                None => passed += 1,
            }
            self.order.rotate_left(1);
        }
        None
    }

    /// A lane pays for what its turn was for.
    pub(super) fn pay(&mut self, key: u64, cost: usize) {
        let turn = self.lanes.get_mut(&key).expect("only a lane that has its turn pays");
        turn.deficit -= cost;
    }

    /// A lane has nothing any more.
    pub(super) fn leave(&mut self, key: u64) {
        self.lanes.remove(&key);
        if self.order.front() == Some(&key) {
            self.order.pop_front();
        } else {
            self.order.retain(|&other| other != key);
        }
    }

    /// Asserts what must hold after every step.
    pub(super) fn check(&self) {
        assert_eq!(self.order.len(), self.lanes.len(), "each lane has its turn, once");
        assert!(self.order.iter().all(|key| self.lanes.contains_key(key)), "the round knows only lanes that wait");
    }
}
