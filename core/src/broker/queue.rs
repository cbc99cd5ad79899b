//! The calls that wait for a service. Those who share it have their turns in rounds: first the parties, and of each the priorities,
//! and of each the sessions. So nobody gains by opening more sessions, nor by calling everything urgent.

use std::{collections::BTreeMap, ops::RangeBounds};

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
    /// How many calls wait in each row, in all lanes: where none can be taken, nobody has to look through the lanes.
    rows: BTreeMap<usize, usize>,
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
        FairQueue { parties: Round::default(), rows: BTreeMap::new(), next_place: 0, calls: 0, bytes: 0 }
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
        *self.rows.entry(row).or_default() += 1;
        self.calls += 1;
        self.bytes += bytes;
        Place { whose, row, number }
    }

    /// Whether something waits in one of these rows that `fits`. Costs as much as there are such rows, however many wait in them.
    pub fn has_row_where(&self, rows: impl RangeBounds<usize>, mut fits: impl FnMut(usize) -> bool) -> bool {
        self.rows.range(rows).any(|(&row, _)| fits(row))
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
        let calls = self.rows.get_mut(&place.row)?;
        *calls -= 1;
        if *calls == 0 {
            self.rows.remove(&place.row);
        }
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
        let rows = self.rows().into_iter().map(|(row, (calls, _))| (row, calls));
        assert_eq!(self.rows, rows.collect(), "calls of each row are counted");
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
mod tests;
