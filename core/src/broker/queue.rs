//! The calls that wait for a service. Those who share it have their turns in two rounds: first the parties, then the sessions of
//! each. So nobody gains by opening more of them.

use std::collections::BTreeMap;

use super::round::Round;

/// What a call costs beyond its bytes, so that many small calls are not free.
const CALL_COST: usize = 1024;
/// The most that one call costs: how often the round goes before the largest call has its turn is bounded by this.
const COST_MAX: usize = 64 * 1024;

/// A queue with a lane for each party, in it a lane for each session, and in that a row for each method.
///
/// `C` is what waits. Rows keep a call that nobody can take now from hiding one behind it that somebody can; of those that can be
/// taken, a session's oldest goes first.
#[derive(Debug)]
pub struct FairQueue<C> {
    parties: Round<Round<Rows<C>>>,
    next_place: u64,
    calls: usize,
    bytes: usize,
}

/// What waits of one session, by method, each in the order in which it came.
#[derive(Debug)]
struct Rows<C>(BTreeMap<usize, BTreeMap<u64, Waiting<C>>>);

#[derive(Debug)]
struct Waiting<C> {
    call: C,
    bytes: usize,
}

/// Whose a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Its party.
    pub party: u64,
    /// Its session.
    pub session: u64,
}

/// Where a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    whose: Whose,
    row: usize,
    number: u64,
}

impl<C> Default for FairQueue<C> {
    fn default() -> Self {
        FairQueue { parties: Round::default(), next_place: 0, calls: 0, bytes: 0 }
    }
}

impl<C> Default for Rows<C> {
    fn default() -> Self {
        Rows(BTreeMap::new())
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

    /// Lets `call` wait in its session's lane, at the end of its method's row.
    pub fn push(&mut self, whose: Whose, row: usize, call: C, bytes: usize) -> Place {
        let number = self.next_place;
        self.next_place += 1;
        let rows = self.parties.lane(whose.party).lane(whose.session);
        rows.0.entry(row).or_default().insert(number, Waiting { call, bytes });
        self.calls += 1;
        self.bytes += bytes;
        Place { whose, row, number }
    }

    /// Takes the call whose turn it is, among those at the head of a row that `fits`.
    pub fn pop_where(&mut self, mut fits: impl FnMut(C) -> bool) -> Option<C> {
        let turn = self.parties.turn(|sessions| {
            let turn = sessions.turn(|rows| rows.oldest(&mut fits));
            turn.map(|(session, head, cost)| ((session, head), cost))
        });
        let (party, (session, (row, number)), cost) = turn?;
        self.parties.pay(party, cost);
        self.parties.lane(party).pay(session, cost);
        self.remove(Place { whose: Whose { party, session }, row, number })
    }

    /// Takes a call out of its place, whoever's turn it is. Does nothing if it is no longer there.
    pub fn remove(&mut self, place: Place) -> Option<C> {
        let Whose { party, session } = place.whose;
        let sessions = self.parties.find_mut(party)?;
        let rows = sessions.find_mut(session)?;
        let row = rows.0.get_mut(&place.row)?;
        let waiting = row.remove(&place.number)?;
        self.calls -= 1;
        self.bytes -= waiting.bytes;
        if row.is_empty() {
            rows.0.remove(&place.row);
        }
        if rows.0.is_empty() {
            sessions.leave(session);
        }
        if sessions.is_empty() {
            self.parties.leave(party);
        }
        Some(waiting.call)
    }

    /// Calls that have their turn before the one at this place, by session: about, for it is bytes that take turns.
    pub fn ahead(&self, place: Place) -> impl Iterator<Item = (u64, usize)> + '_ {
        let Whose { party, session } = place.whose;
        let before = |row: &BTreeMap<u64, Waiting<C>>| row.range(..place.number).count();
        let sessions = self.parties.find(party);
        let own_rows = sessions.and_then(|sessions| sessions.find(session));
        let own: usize = own_rows.map_or(0, |rows| rows.0.values().map(before).sum());
        let beside = move |(key, rows): (u64, &Rows<C>)| if key == session { own } else { rows.len().min(own + 1) };
        let of_party: usize = sessions.map_or(0, |sessions| sessions.lanes().map(beside).sum());
        let turns = move |(key, sessions): (u64, &'_ Round<Rows<C>>)| -> Vec<(u64, usize)> {
            let mut left = if key == party { usize::MAX } else { of_party + 1 };
            let each = left.div_ceil(sessions.len().max(1));
            let share = |(other, rows): (u64, &Rows<C>)| {
                let calls = if key == party { beside((other, rows)) } else { rows.len().min(each).min(left) };
                left -= calls;
                (other, calls)
            };
            sessions.lanes().map(share).collect()
        };
        self.parties.lanes().flat_map(turns).filter(|&(_, calls)| calls > 0)
    }

    /// What waits in each row: how many calls, and the one that waits longest. Costs as much as there are rows in all lanes.
    pub fn rows(&self) -> BTreeMap<usize, (usize, C)> {
        let mut rows = BTreeMap::<usize, (usize, u64, C)>::new();
        for (&row, calls) in self.sessions().flat_map(|session| &session.0) {
            let Some((&number, waiting)) = calls.first_key_value() else { continue };
            let entry = rows.entry(row).or_insert((0, number, waiting.call));
            entry.0 += calls.len();
            if number < entry.1 {
                (entry.1, entry.2) = (number, waiting.call);
            }
        }
        rows.into_iter().map(|(row, (calls, _, oldest))| (row, (calls, oldest))).collect()
    }

    /// Everything that waits, session by session and row by row.
    pub fn iter(&self) -> impl Iterator<Item = C> + '_ {
        self.all().map(|waiting| waiting.call)
    }

    fn sessions(&self) -> impl Iterator<Item = &Rows<C>> {
        self.parties.lanes().flat_map(|(_, sessions)| sessions.lanes()).map(|(_, rows)| rows)
    }

    fn all(&self) -> impl Iterator<Item = &Waiting<C>> {
        self.sessions().flat_map(|rows| rows.0.values()).flat_map(BTreeMap::values)
    }

    /// Asserts what must hold after every step.
    pub fn check(&self) {
        assert_eq!(self.calls, self.all().count(), "calls are counted");
        assert_eq!(self.bytes, self.all().map(|waiting| waiting.bytes).sum::<usize>(), "bytes are counted");
        self.parties.check();
        for (_, sessions) in self.parties.lanes() {
            sessions.check();
            assert!(!sessions.is_empty(), "a party without calls is gone");
        }
        let full = |rows: &Rows<C>| !rows.0.is_empty() && rows.0.values().all(|row| !row.is_empty());
        assert!(self.sessions().all(full), "a lane or row without calls is gone");
    }
}

impl<C: Copy> Rows<C> {
    fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// The place in its row of the oldest call at the head of one that fits, and its cost.
    fn oldest(&self, fits: &mut impl FnMut(C) -> bool) -> Option<((usize, u64), usize)> {
        let heads = self.0.iter().filter_map(|(&row, calls)| calls.first_key_value().map(|head| (row, head)));
        let fitting = heads.filter(|(_, (_, waiting))| fits(waiting.call));
        let (row, (&number, waiting)) = fitting.min_by_key(|(_, (number, _))| **number)?;
        Some(((row, number), cost(waiting.bytes)))
    }
}

fn cost(bytes: usize) -> usize {
    (CALL_COST + bytes).min(COST_MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::round::QUANTUM, *};

    /// A session that is a party of its own.
    fn own(session: u64) -> Whose {
        Whose { party: session, session }
    }

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
            queue.push(own(1), 0, call, 10);
        }
        assert_eq!(drain(&mut queue), (0..100).collect::<Vec<_>>());
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_flooder_delays_a_polite_client_by_one_turn() {
        let mut queue = FairQueue::default();
        for call in 0..1000 {
            queue.push(own(1), 0, call, 0);
        }
        queue.push(own(2), 0, 5000, 0);
        let place = drain(&mut queue).iter().position(|&call| call == 5000).expect("it was served");
        assert!(place <= QUANTUM / CALL_COST, "the polite call waited for {place} others");
    }

    #[test]
    fn large_calls_pay_for_their_bytes() {
        let mut queue = FairQueue::default();
        for call in 0..8 {
            queue.push(own(1), 0, call, 31 * 1024);
        }
        for call in 100..164 {
            queue.push(own(2), 0, call, 0);
        }
        let order = drain(&mut queue);
        let small_before_second_large =
            order.iter().take_while(|&&call| call != 1).filter(|&&call| call >= 100).count();
        assert!(small_before_second_large >= 32, "only {small_before_second_large} small ones went first");
    }

    #[test]
    fn a_head_that_does_not_fit_lets_others_pass() {
        let mut queue = FairQueue::default();
        queue.push(own(1), 0, 1, 0);
        queue.push(own(2), 0, 2, 0);
        assert_eq!(queue.pop_where(|call| call == 2), Some(2));
        assert_eq!(queue.pop_where(|call| call == 2), None);
        queue.check();
        assert_eq!(queue.pop_where(|_| true), Some(1));
    }

    #[test]
    fn a_call_that_does_not_fit_hides_none_of_its_client() {
        let mut queue = FairQueue::default();
        queue.push(own(1), 7, 70, 0);
        queue.push(own(1), 8, 80, 0);
        queue.push(own(1), 7, 71, 0);
        assert_eq!(queue.pop_where(|call| call == 80), Some(80));
        queue.check();
        assert_eq!(drain(&mut queue), [70, 71]);
    }

    #[test]
    fn each_row_knows_its_length_and_who_waits_longest() {
        let mut queue = FairQueue::default();
        for (lane, row, call) in [(2, 7, 1), (1, 7, 2), (1, 8, 3), (1, 7, 4)] {
            queue.push(own(lane), row, call, 0);
        }
        assert_eq!(queue.rows(), BTreeMap::from([(7, (3, 1)), (8, (1, 3))]));
    }

    #[test]
    fn a_removed_call_is_not_served() {
        let mut queue = FairQueue::default();
        let place = queue.push(own(1), 0, 1, 7);
        queue.push(own(1), 0, 2, 0);
        assert_eq!(queue.remove(place), Some(1));
        assert_eq!(queue.remove(place), None);
        queue.check();
        assert_eq!(drain(&mut queue), [2]);
    }

    #[test]
    fn a_party_gains_nothing_by_more_sessions() {
        let mut queue = FairQueue::default();
        for call in 0..4_000 {
            queue.push(Whose { party: 1, session: u64::from(call % 1_000) }, 0, call, 0);
        }
        for call in 5_000..5_100 {
            queue.push(own(2), 0, call, 0);
        }
        let order = drain(&mut queue);
        let last = order.iter().rposition(|&call| call >= 5_000).expect("all were served");
        assert!(last < 200 + 2 * QUANTUM / CALL_COST, "a hundred calls of the other party ended in place {last}");
        let first = order.iter().filter(|&&call| call < 5_000).take(1_000).map(|call| call % 1_000);
        assert!(first.collect::<std::collections::BTreeSet<_>>().len() >= 500, "its own sessions take turns");
    }

    #[test]
    fn who_is_ahead_is_told_by_party_and_session() {
        let mut queue = FairQueue::default();
        for call in 0..40u32 {
            queue.push(Whose { party: 1, session: 10 + u64::from(call % 4) }, 0, call, 0);
        }
        queue.push(own(2), 0, 100, 0);
        let place = queue.push(own(2), 0, 101, 0);
        let ahead: Vec<_> = queue.ahead(place).collect();
        assert_eq!(ahead.iter().filter(|(session, _)| *session >= 10).map(|(_, calls)| calls).sum::<usize>(), 2);
        assert!(ahead.contains(&(2, 1)), "{ahead:?}");
    }
}
