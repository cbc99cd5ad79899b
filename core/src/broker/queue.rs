//! The calls that wait for a service: clients are served in turn, by deficit round robin (Shreedhar and Varghese, 1995).

use std::collections::{BTreeMap, VecDeque};

/// What a call costs beyond its bytes, so that many small calls are not free.
const CALL_COST: usize = 1024;
/// The most that one call costs: how often the round goes before the largest call has its turn is bounded by this.
const COST_MAX: usize = 256 * 1024;
/// What each client may spend a round.
const QUANTUM: usize = 8 * 1024;

/// A queue with a lane for each client, and in it a row for each method.
///
/// `C` is what waits. Rows keep a call that nobody can take now from hiding one behind it that somebody can; of those that can be
/// taken, a client's oldest goes first.
#[derive(Debug)]
pub struct FairQueue<C> {
    lanes: BTreeMap<u64, Lane<C>>,
    round: VecDeque<u64>,
    next_place: u64,
    calls: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Lane<C> {
    rows: BTreeMap<usize, BTreeMap<u64, Waiting<C>>>,
    deficit: usize,
}

#[derive(Debug)]
struct Waiting<C> {
    call: C,
    bytes: usize,
}

/// Where a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    lane: u64,
    row: usize,
    number: u64,
}

impl<C> Default for FairQueue<C> {
    fn default() -> Self {
        FairQueue { lanes: BTreeMap::new(), round: VecDeque::new(), next_place: 0, calls: 0, bytes: 0 }
    }
}

impl<C: Copy> FairQueue<C> {
    /// Calls that wait.
    pub fn len(&self) -> usize {
        self.calls
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// Bytes of the bodies that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets `call` wait in its client's lane, at the end of its method's row.
    pub fn push(&mut self, lane: u64, row: usize, call: C, bytes: usize) -> Place {
        let number = self.next_place;
        self.next_place += 1;
        let entry = self.lanes.entry(lane).or_insert_with(|| {
            self.round.push_back(lane);
            Lane { rows: BTreeMap::new(), deficit: 0 }
        });
        entry.rows.entry(row).or_default().insert(number, Waiting { call, bytes });
        self.calls += 1;
        self.bytes += bytes;
        Place { lane, row, number }
    }

    /// Takes the call whose turn it is, among those at the head of a row that `fits`.
    pub fn pop_where(&mut self, mut fits: impl FnMut(C) -> bool) -> Option<C> {
        let mut refused = 0;
        while refused < self.round.len() {
            let lane = *self.round.front().expect("a round longer than zero has a front");
            let entry = self.lanes.get_mut(&lane).expect("each lane of the round exists");
            let Some((place, call, cost)) = entry.oldest(lane, &mut fits) else {
                refused += 1;
                self.round.rotate_left(1);
                continue;
            };
            if entry.deficit < cost {
                entry.deficit += QUANTUM;
                self.round.rotate_left(1);
                refused = 0;
                continue;
            }
            entry.deficit -= cost;
            self.remove(place);
            return Some(call);
        }
        None
    }

    /// Takes a call out of its place, whoever's turn it is. Does nothing if it is no longer there.
    pub fn remove(&mut self, place: Place) -> Option<C> {
        let entry = self.lanes.get_mut(&place.lane)?;
        let row = entry.rows.get_mut(&place.row)?;
        let waiting = row.remove(&place.number)?;
        self.calls -= 1;
        self.bytes -= waiting.bytes;
        if row.is_empty() {
            entry.rows.remove(&place.row);
        }
        if entry.rows.is_empty() {
            self.lanes.remove(&place.lane);
            self.leave_round(place.lane);
        }
        Some(waiting.call)
    }

    fn leave_round(&mut self, lane: u64) {
        if self.round.front() == Some(&lane) {
            self.round.pop_front();
        } else {
            self.round.retain(|&other| other != lane);
        }
    }

    /// Calls that have their turn before the one at this place, by lane: about, for it is bytes that take turns.
    pub fn ahead(&self, place: Place) -> impl Iterator<Item = (u64, usize)> + '_ {
        let len = |lane: &Lane<C>| lane.rows.values().map(BTreeMap::len).sum::<usize>();
        let before = |row: &BTreeMap<u64, Waiting<C>>| row.range(..place.number).count();
        let own: usize = self.lanes.get(&place.lane).map_or(0, |lane| lane.rows.values().map(before).sum());
        let turns = move |(&lane, calls): (&u64, &Lane<C>)| match lane == place.lane {
            true => (lane, own),
            false => (lane, len(calls).min(own + 1)),
        };
        self.lanes.iter().map(turns).filter(|&(_, calls)| calls > 0)
    }

    /// What waits in each row: how many calls, and the one that waits longest. Costs as much as there are rows in all lanes.
    pub fn rows(&self) -> BTreeMap<usize, (usize, C)> {
        let mut rows = BTreeMap::<usize, (usize, u64, C)>::new();
        for (&row, calls) in self.lanes.values().flat_map(|lane| &lane.rows) {
            let Some((&number, waiting)) = calls.first_key_value() else { continue };
            let entry = rows.entry(row).or_insert((0, number, waiting.call));
            entry.0 += calls.len();
            if number < entry.1 {
                (entry.1, entry.2) = (number, waiting.call);
            }
        }
        rows.into_iter().map(|(row, (calls, _, oldest))| (row, (calls, oldest))).collect()
    }

    /// Everything that waits, lane by lane and row by row.
    pub fn iter(&self) -> impl Iterator<Item = C> + '_ {
        self.all().map(|waiting| waiting.call)
    }

    fn all(&self) -> impl Iterator<Item = &Waiting<C>> {
        self.lanes.values().flat_map(|lane| lane.rows.values()).flat_map(BTreeMap::values)
    }

    /// Asserts what must hold after every step.
    pub fn check(&self) {
        assert_eq!(self.calls, self.all().count(), "calls are counted");
        assert_eq!(self.bytes, self.all().map(|waiting| waiting.bytes).sum::<usize>(), "bytes are counted");
        assert_eq!(self.round.len(), self.lanes.len(), "each lane has its turn, once");
        assert!(self.round.iter().all(|lane| self.lanes.contains_key(lane)), "the round knows only lanes that wait");
        let rows = |lane: &Lane<C>| !lane.rows.is_empty() && lane.rows.values().all(|row| !row.is_empty());
        assert!(self.lanes.values().all(rows), "a lane or row without calls is gone");
    }
}

impl<C: Copy> Lane<C> {
    /// The oldest call at the head of a row that fits, with its place and cost.
    fn oldest(&self, lane: u64, fits: &mut impl FnMut(C) -> bool) -> Option<(Place, C, usize)> {
        let heads = self.rows.iter().filter_map(|(&row, calls)| calls.first_key_value().map(|head| (row, head)));
        let fitting = heads.filter(|(_, (_, waiting))| fits(waiting.call));
        let (row, (&number, waiting)) = fitting.min_by_key(|(_, (number, _))| **number)?;
        Some((Place { lane, row, number }, waiting.call, cost(waiting.bytes)))
    }
}

fn cost(bytes: usize) -> usize {
    (CALL_COST + bytes).min(COST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut FairQueue<u32>) -> Vec<u32> {
        let mut order = Vec::new();
        while let Some(call) = queue.pop_where(|_| true) {
            queue.check();
            order.push(call);
        }
        order
    }

    #[test]
    fn one_client_is_served_in_order() {
        let mut queue = FairQueue::default();
        for call in 0..100 {
            queue.push(1, 0, call, 10);
        }
        assert_eq!(drain(&mut queue), (0..100).collect::<Vec<_>>());
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_flooder_delays_a_polite_client_by_one_turn() {
        let mut queue = FairQueue::default();
        for call in 0..1000 {
            queue.push(1, 0, call, 0);
        }
        queue.push(2, 0, 5000, 0);
        let place = drain(&mut queue).iter().position(|&call| call == 5000).expect("it was served");
        assert!(place <= QUANTUM / CALL_COST, "the polite call waited for {place} others");
    }

    #[test]
    fn large_calls_pay_for_their_bytes() {
        let mut queue = FairQueue::default();
        for call in 0..8 {
            queue.push(1, 0, call, 31 * 1024);
        }
        for call in 100..164 {
            queue.push(2, 0, call, 0);
        }
        let order = drain(&mut queue);
        let small_before_second_large =
            order.iter().take_while(|&&call| call != 1).filter(|&&call| call >= 100).count();
        assert!(small_before_second_large >= 32, "only {small_before_second_large} small ones went first");
    }

    #[test]
    fn a_head_that_does_not_fit_lets_others_pass() {
        let mut queue = FairQueue::default();
        queue.push(1, 0, 1, 0);
        queue.push(2, 0, 2, 0);
        assert_eq!(queue.pop_where(|call| call == 2), Some(2));
        assert_eq!(queue.pop_where(|call| call == 2), None);
        queue.check();
        assert_eq!(queue.pop_where(|_| true), Some(1));
    }

    #[test]
    fn a_call_that_does_not_fit_hides_none_of_its_client() {
        let mut queue = FairQueue::default();
        queue.push(1, 7, 70, 0);
        queue.push(1, 8, 80, 0);
        queue.push(1, 7, 71, 0);
        assert_eq!(queue.pop_where(|call| call == 80), Some(80));
        queue.check();
        assert_eq!(drain(&mut queue), [70, 71]);
    }

    #[test]
    fn each_row_knows_its_length_and_who_waits_longest() {
        let mut queue = FairQueue::default();
        for (lane, row, call) in [(2, 7, 1), (1, 7, 2), (1, 8, 3), (1, 7, 4)] {
            queue.push(lane, row, call, 0);
        }
        assert_eq!(queue.rows(), BTreeMap::from([(7, (3, 1)), (8, (1, 3))]));
    }

    #[test]
    fn a_removed_call_is_not_served() {
        let mut queue = FairQueue::default();
        let place = queue.push(1, 0, 1, 7);
        queue.push(1, 0, 2, 0);
        assert_eq!(queue.remove(place), Some(1));
        assert_eq!(queue.remove(place), None);
        queue.check();
        assert_eq!(drain(&mut queue), [2]);
    }
}
