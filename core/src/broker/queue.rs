//! The calls that wait for a service. Those who share it have their turns in rounds: first the parties, and of each the priorities,
//! and of each the sessions. So nobody gains by opening more sessions, nor by calling everything urgent.

use std::collections::BTreeMap;

use super::round::{QUANTUM, Round};
use crate::{time::Time, wire::envelope::Priority};

/// What a call costs beyond its bytes, so that many small calls are not free.
const CALL_COST: usize = 1024;
/// The most that one call costs: how often the round goes before the largest call has its turn is bounded by this.
const COST_MAX: usize = 64 * 1024;

/// What each priority may spend a turn, beside others of its party: none starves.
const fn share(priority: Priority) -> usize {
    match priority {
        Priority::Low => CALL_COST,
        Priority::Normal => 4 * CALL_COST,
        Priority::High => 8 * CALL_COST,
    }
}

/// A queue with a lane for each party, in it one for each priority, in it one for each session, and in that a row for each method.
///
/// `C` is what waits. Rows keep a call that nobody can take now from hiding one behind it that somebody can; of those that can be
/// taken, a session's oldest goes first.
#[derive(Debug)]
pub struct FairQueue<C> {
    parties: Round<Lane<C>>,
    next_place: u64,
    calls: usize,
    bytes: usize,
}

/// What waits of one party.
#[derive(Debug)]
struct Lane<C> {
    classes: Round<Round<Rows<C>>>,
    /// Nothing here waits since before that time, for what comes is younger than what waits.
    none_before: Time,
    /// What waited longest when that was last looked for.
    oldest: Option<(Place, C)>,
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
    /// Its priority, beside others of its party.
    pub priority: Priority,
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

impl<C> Default for Lane<C> {
    fn default() -> Self {
        Lane { classes: Round::default(), none_before: Time::ZERO, oldest: None }
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
        let party = self.parties.lane(whose.party, QUANTUM);
        let class = party.classes.lane(whose.class(), share(whose.priority));
        let rows = class.lane(whose.session, QUANTUM);
        rows.0.entry(row).or_default().insert(number, Waiting { call, bytes });
        self.calls += 1;
        self.bytes += bytes;
        Place { whose, row, number }
    }

    /// Takes the call whose turn it is, among those at the head of a row that `fits`.
    pub fn pop_where(&mut self, mut fits: impl FnMut(C) -> bool) -> Option<C> {
        let turn = self.parties.turn(|lane| {
            let turn = lane.classes.turn(|sessions| {
                let turn = sessions.turn(|rows| rows.oldest(&mut fits));
                turn.map(|(session, head, cost)| ((session, head), cost))
            });
            turn.map(|(class, head, cost)| ((class, head), cost))
        });
        let (party, (class, (session, (row, number))), cost) = turn?;
        self.parties.pay(party, cost);
        let classes = &mut self.parties.find_mut(party)?.classes;
        classes.pay(class, cost);
        classes.find_mut(class)?.pay(session, cost);
        let priority = Priority::from_number(class)?;
        self.remove(Place { whose: Whose { party, priority, session }, row, number })
    }

    /// Takes a call out of its place, whoever's turn it is. Does nothing if it is no longer there.
    pub fn remove(&mut self, place: Place) -> Option<C> {
        let Whose { party, session, .. } = place.whose;
        let classes = &mut self.parties.find_mut(party)?.classes;
        let sessions = classes.find_mut(place.whose.class())?;
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
            classes.leave(place.whose.class());
        }
        if classes.is_empty() {
            self.parties.leave(party);
        }
        Some(waiting.call)
    }

    /// Calls that have their turn before the one at this place, by session: about, for it is bytes that take turns.
    pub fn ahead(&self, place: Place) -> BTreeMap<u64, usize> {
        let Whose { party, priority, session } = place.whose;
        let mut ahead = BTreeMap::new();
        let Some(own) = self.parties.find(party) else { return ahead };
        let Some(beside) = own.classes.find(place.whose.class()) else { return ahead };
        let before = |row: &BTreeMap<u64, Waiting<C>>| row.range(..place.number).count();
        let mine: usize = beside.find(session).map_or(0, |rows| rows.0.values().map(before).sum());
        let turns = |(key, rows): (u64, &Rows<C>)| (key, if key == session { mine } else { rows.len().min(mine + 1) });
        ahead.extend(beside.lanes().map(turns));
        let of_class: usize = ahead.values().sum();
        for (class, sessions) in own.classes.lanes().filter(|&(class, _)| class != place.whose.class()) {
            let other = Priority::from_number(class).map_or(0, share);
            spread(sessions.lanes(), ((of_class + 1) * other).div_ceil(share(priority)), &mut ahead);
        }
        let of_party: usize = ahead.values().sum();
        for (_, lane) in self.parties.lanes().filter(|&(key, _)| key != party) {
            spread(lane.classes.lanes().flat_map(|(_, sessions)| sessions.lanes()), of_party + 1, &mut ahead);
        }
        ahead.retain(|_, calls| *calls > 0);
        ahead
    }

    /// A call of that party that waits since before `then`; `since` tells since when one waits, or that it does not count. Looks
    /// through the party's sessions only after the one that waited longest has left.
    pub fn waiting_since(&mut self, party: u64, then: Time, since: impl Fn(C) -> Option<Time>) -> Option<C> {
        let lane = self.parties.find_mut(party).filter(|lane| lane.none_before < then)?;
        let found = lane.oldest.filter(|(place, call)| lane.holds(*place) && since(*call).is_some_and(|at| at < then));
        if let Some((_, call)) = found {
            return Some(call);
        }
        let heads = lane.heads(party).filter_map(|(place, call)| Some((since(call)?, place, call)));
        let oldest = heads.min_by_key(|&(at, place, _)| (at, place.number));
        lane.oldest = oldest.map(|(_, place, call)| (place, call));
        lane.none_before = oldest.map_or(then, |(at, ..)| at);
        oldest.filter(|&(at, ..)| at < then).map(|(.., call)| call)
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
        self.parties.lanes().flat_map(|(_, lane)| lane.sessions()).map(|(_, _, rows)| rows)
    }

    fn all(&self) -> impl Iterator<Item = &Waiting<C>> {
        self.sessions().flat_map(|rows| rows.0.values()).flat_map(BTreeMap::values)
    }

    /// Asserts what must hold after every step.
    pub fn check(&self) {
        assert_eq!(self.calls, self.all().count(), "calls are counted");
        assert_eq!(self.bytes, self.all().map(|waiting| waiting.bytes).sum::<usize>(), "bytes are counted");
        self.parties.check();
        for (_, lane) in self.parties.lanes() {
            lane.classes.check();
            lane.classes.lanes().for_each(|(_, sessions)| sessions.check());
            let empty = lane.classes.lanes().any(|(_, sessions)| sessions.is_empty());
            assert!(!empty && !lane.classes.is_empty(), "a party or class without calls is gone");
        }
        let full = |rows: &Rows<C>| !rows.0.is_empty() && rows.0.values().all(|row| !row.is_empty());
        assert!(self.sessions().all(full), "a lane or row without calls is gone");
    }
}

impl<C: Copy> Lane<C> {
    fn holds(&self, place: Place) -> bool {
        let sessions = self.classes.find(place.whose.class());
        let rows = sessions.and_then(|sessions| sessions.find(place.whose.session));
        rows.and_then(|rows| rows.0.get(&place.row)).is_some_and(|row| row.contains_key(&place.number))
    }

    /// The first of each row.
    fn heads(&self, party: u64) -> impl Iterator<Item = (Place, C)> {
        self.sessions().flat_map(move |(class, session, rows)| {
            let whose = Whose { party, priority: Priority::from_number(class).unwrap_or_default(), session };
            rows.0.iter().filter_map(move |(&row, calls)| {
                let (&number, waiting) = calls.first_key_value()?;
                Some((Place { whose, row, number }, waiting.call))
            })
        })
    }
}

impl<C> Lane<C> {
    /// Its sessions with what waits of them, each with its class.
    fn sessions(&self) -> impl Iterator<Item = (u64, u64, &Rows<C>)> {
        self.classes
            .lanes()
            .flat_map(|(class, sessions)| sessions.lanes().map(move |(session, rows)| (class, session, rows)))
    }
}

impl Whose {
    fn class(self) -> u64 {
        self.priority.number().into()
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

/// Calls of these sessions that have their turn among so many of theirs: alike of each, as far as it has them.
fn spread<'a, C: Copy + 'a>(
    sessions: impl Iterator<Item = (u64, &'a Rows<C>)>,
    calls: usize,
    ahead: &mut BTreeMap<u64, usize>,
) {
    let sessions: Vec<_> = sessions.map(|(session, rows)| (session, rows.len())).collect();
    let (each, mut left) = (calls.div_ceil(sessions.len().max(1)), calls);
    for (session, waiting) in sessions {
        let turns = waiting.min(each).min(left);
        left -= turns;
        *ahead.entry(session).or_default() += turns;
    }
}

fn cost(bytes: usize) -> usize {
    (CALL_COST + bytes).min(COST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that is a party of its own.
    fn own(session: u64) -> Whose {
        Whose { party: session, priority: Priority::Normal, session }
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
            queue.push(Whose { party: 1, priority: Priority::Normal, session: u64::from(call % 1_000) }, 0, call, 0);
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
    fn what_waits_longest_is_found_for_each_party() {
        let mut queue = FairQueue::default();
        let (time, since) =
            (|at: u32| Time::from_micros(u64::from(at)), |at: u32| Some(Time::from_micros(u64::from(at))));
        let first = queue.push(Whose { party: 1, priority: Priority::Normal, session: 10 }, 0, 5, 0);
        queue.push(Whose { party: 1, priority: Priority::Normal, session: 11 }, 0, 7, 0);
        queue.push(own(2), 0, 3, 0);
        assert_eq!(queue.waiting_since(1, time(5), since), None);
        assert_eq!(queue.waiting_since(1, time(6), since), Some(5));
        assert_eq!(queue.waiting_since(2, time(6), since), Some(3));
        queue.remove(first);
        assert_eq!(queue.waiting_since(1, time(6), since), None, "that one has left");
        assert_eq!(queue.waiting_since(1, time(8), since), Some(7));
        assert_eq!(queue.waiting_since(1, time(9), |_| None), None, "it does not count");
        assert_eq!(queue.waiting_since(3, time(9), since), None);
    }

    #[test]
    fn each_priority_has_its_share_of_its_partys_turns_and_none_starves() {
        let mut queue = FairQueue::default();
        for (kind, priority) in [Priority::Low, Priority::Normal, Priority::High].into_iter().enumerate() {
            let whose = Whose { party: 1, priority, session: 1 };
            (0..1_000).for_each(|_| {
                queue.push(whose, 0, u32::try_from(kind).unwrap(), 0);
            });
        }
        let order = drain(&mut queue);
        let count = |kind| order[..130].iter().filter(|&&call| call == kind).count();
        assert_eq!([count(0), count(1), count(2)], [10, 40, 80]);
    }

    #[test]
    fn a_party_that_calls_everything_urgent_gains_nothing() {
        let mut queue = FairQueue::default();
        for call in 0..1_000 {
            queue.push(Whose { party: 1, priority: Priority::High, session: 1 }, 0, call, 0);
            queue.push(Whose { party: 2, priority: Priority::Low, session: 2 }, 0, 5_000 + call, 0);
        }
        let low = drain(&mut queue)[..100].iter().filter(|&&call| call >= 5_000).count();
        assert_eq!(low, 50);
    }

    #[test]
    fn who_is_ahead_is_told_by_party_and_session() {
        let mut queue = FairQueue::default();
        for call in 0..40u32 {
            queue.push(Whose { party: 1, priority: Priority::Normal, session: 10 + u64::from(call % 4) }, 0, call, 0);
        }
        queue.push(own(2), 0, 100, 0);
        let place = queue.push(own(2), 0, 101, 0);
        let ahead = queue.ahead(place);
        assert_eq!(ahead.range(10..).map(|(_, calls)| calls).sum::<usize>(), 2);
        assert_eq!(ahead.get(&2), Some(&1), "{ahead:?}");
    }
}
