//! Deficit round robin (Shreedhar and Varghese, 1995).

use std::collections::{BTreeMap, VecDeque};

/// What a flow may spend per turn, if all flows have the same share.
pub(crate) const QUANTUM: usize = 2 * 1024;

/// Flows that take turns.
#[derive(Debug)]
pub(crate) struct DeficitRoundRobin<F> {
    flows: BTreeMap<u64, Entry<F>>,
    /// The tickets of the flows, in the order of their turns. A flow that leaves does not search for its ticket: the stale ticket
    /// is removed when its turn comes, or when there are more stale tickets than flows.
    order: VecDeque<Ticket>,
    last_ticket: u64,
}

/// The turn of a flow, for as long as the flow has this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket {
    key: u64,
    number: u64,
}

#[derive(Debug)]
struct Entry<F> {
    flow: F,
    /// The number of its ticket.
    ticket: u64,
    /// What it may spend per turn.
    quantum: usize,
    /// What it may spend now.
    deficit: usize,
}

impl<F> Default for DeficitRoundRobin<F> {
    fn default() -> Self {
        DeficitRoundRobin { flows: BTreeMap::new(), order: VecDeque::new(), last_ticket: 0 }
    }
}

impl<F: Default> DeficitRoundRobin<F> {
    /// Returns a flow. A new one has the last turn, and may spend `quantum` per turn.
    pub(crate) fn flow_mut(&mut self, key: u64, quantum: usize) -> &mut F {
        let entry = self.flows.entry(key).or_insert_with(|| {
            self.last_ticket += 1;
            self.order.push_back(Ticket { key, number: self.last_ticket });
            Entry { flow: F::default(), ticket: self.last_ticket, quantum, deficit: quantum }
        });
        &mut entry.flow
    }
}

impl<F> DeficitRoundRobin<F> {
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Returns all flows, in the order of their keys.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (u64, &F)> {
        self.flows.iter().map(|(&key, entry)| (key, &entry.flow))
    }

    pub(crate) fn get(&self, key: u64) -> Option<&F> {
        self.flows.get(&key).map(|entry| &entry.flow)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut F> {
        self.flows.get_mut(&key).map(|entry| &mut entry.flow)
    }

    /// Returns the flow that has the turn, among those with a `head`, with its head and the head's cost. Until the flow pays, the
    /// next call returns the same flow. Visits each flow at most three times, whatever the heads cost.
    pub(crate) fn next<H>(&mut self, mut head: impl FnMut(&mut F) -> Option<(H, usize)>) -> Option<(u64, H, usize)> {
        match self.visit_all(&mut head) {
            Ok(found) => Some(found),
            Err(None) => None,
            Err(Some(rounds)) => {
                self.skip_rounds(rounds, &mut head);
                self.visit_all(&mut head).ok()
            }
        }
    }

    /// Visits each flow once, up to one that can pay for its head; the others add a quantum to their deficit. If none can pay:
    /// after how many more rounds the first one can, or `None` if no flow has a head.
    fn visit_all<H>(
        &mut self,
        head: &mut impl FnMut(&mut F) -> Option<(H, usize)>,
    ) -> Result<(u64, H, usize), Option<usize>> {
        let mut missing = None;
        for _ in 0..self.order.len() {
            let &Ticket { key, number } = self.order.front().expect("the loop takes at most as many as there are");
            let Some(Entry { flow, quantum, deficit, .. }) =
                self.flows.get_mut(&key).filter(|entry| entry.ticket == number)
            else {
                self.order.pop_front();
                continue;
            };
            if let Some((head, cost)) = head(flow) {
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

    /// Accounts for so many whole rounds in which no flow can pay.
    fn skip_rounds<H>(&mut self, rounds: usize, head: &mut impl FnMut(&mut F) -> Option<(H, usize)>) {
        for entry in self.flows.values_mut().filter(|_| rounds > 0) {
            if head(&mut entry.flow).is_some() {
                entry.deficit += rounds * entry.quantum;
            }
        }
    }

    /// Deducts the cost of a head from its flow's deficit.
    pub(crate) fn pay(&mut self, key: u64, cost: usize) {
        let entry = self.flows.get_mut(&key).expect("only the flow that has the turn pays");
        entry.deficit -= cost;
    }

    /// Removes a flow.
    pub(crate) fn remove(&mut self, key: u64) {
        self.flows.remove(&key);
        if self.order.len() > 2 * self.flows.len() {
            self.order.retain(|ticket| is_valid(&self.flows, ticket));
        }
    }

    /// Asserts that each flow has one ticket, and that stale tickets are bounded.
    pub(crate) fn assert_invariants(&self) {
        let valid = self.order.iter().filter(|ticket| is_valid(&self.flows, ticket));
        assert_eq!(valid.count(), self.flows.len(), "each flow has one ticket");
        assert!(self.order.len() <= 2 * self.flows.len(), "stale tickets are no more than flows");
    }
}

fn is_valid<F>(flows: &BTreeMap<u64, Entry<F>>, ticket: &Ticket) -> bool {
    flows.get(&ticket.key).is_some_and(|entry| entry.ticket == ticket.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flows with these costs at their heads, each of which may spend `quantum` per turn.
    fn flows(costs: &[usize], quantum: usize) -> DeficitRoundRobin<usize> {
        let mut flows = DeficitRoundRobin::default();
        (0..).zip(costs).for_each(|(key, &cost)| *flows.flow_mut(key, quantum) = cost);
        flows
    }

    /// Returns the flow that has the turn, found round by round.
    fn slowly(flows: &mut DeficitRoundRobin<usize>) -> u64 {
        loop {
            let key = flows.order[0].key;
            let entry = flows.flows.get_mut(&key).expect("each flow exists");
            if entry.flow > 0 && entry.deficit >= entry.flow {
                return key;
            }
            entry.deficit += if entry.flow > 0 { entry.quantum } else { 0 };
            flows.order.rotate_left(1);
        }
    }

    #[test]
    fn a_flow_that_returns_has_one_turn_at_the_end() {
        let mut flows = flows(&[1, 1, 1, 1], 1);
        [1, 2].into_iter().for_each(|key| flows.remove(key));
        *flows.flow_mut(1, 1) = 1;
        flows.assert_invariants();
        let order: Vec<_> = (0..5)
            .map(|_| {
                let (key, (), cost) = flows.next(|&mut cost| Some(((), cost))).expect("each has a head");
                flows.pay(key, cost);
                key
            })
            .collect();
        assert_eq!(order, [0, 3, 1, 0, 3]);
        flows.assert_invariants();
    }

    #[test]
    fn skipped_rounds_are_accounted_for() {
        let costs = [60_000, 0, 50_000, 50_001, 64_000];
        let (mut fast, mut slow) = (flows(&costs, 1024), flows(&costs, 1024));
        for _ in 0..200 {
            let mut visits = 0;
            let next = fast.next(|&mut cost| {
                visits += 1;
                (cost > 0).then_some(((), cost))
            });
            let (key, (), cost) = next.expect("four flows have a head");
            assert!(visits <= 3 * costs.len(), "{visits} visits");
            assert_eq!(key, slowly(&mut slow));
            fast.pay(key, cost);
            slow.pay(key, cost);
            let deficits =
                |flows: &DeficitRoundRobin<usize>| flows.flows.values().map(|entry| entry.deficit).collect::<Vec<_>>();
            assert_eq!((deficits(&fast), &fast.order), (deficits(&slow), &slow.order));
        }
    }
}
