//! What is due when: for calls, most of which have the same time-out, and end long before it.
//!
//! So most are due in the order in which they were set: those are a queue, out of which an alarm that is unset leaves only its
//! place. A tree has the rest. With a tree for all, deadlines that never came were a tenth of the broker's work.

use std::collections::{BTreeMap, VecDeque};

use crate::time::Time;

/// So many places in the queue for each alarm that is set, at most.
const PLACES_EACH: usize = 4;
/// And so many beside that.
const PLACES_MORE: usize = 64;

/// What is due when.
#[derive(Clone, Debug)]
pub(crate) struct Alarms<K> {
    /// By rising time, and begins with one that is set.
    queue: VecDeque<(Time, Option<K>)>,
    /// The number of the first of them; each next one has the next number.
    first: u64,
    /// How many of them are set.
    queued: usize,
    /// All others.
    others: BTreeMap<Alarm, K>,
    /// Their numbers count down from the highest, so that none is ever one of the queue.
    next_other: u64,
}

/// One alarm that was set. The order is by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alarm {
    at: Time,
    number: u64,
}

impl Alarm {
    pub(crate) fn at(self) -> Time {
        self.at
    }
}

impl<K> Default for Alarms<K> {
    fn default() -> Self {
        Alarms { queue: VecDeque::new(), first: 0, queued: 0, others: BTreeMap::new(), next_other: u64::MAX }
    }
}

impl<K: Copy> Alarms<K> {
    pub(crate) fn len(&self) -> usize {
        self.queued + self.others.len()
    }

    /// Sets an alarm.
    pub(crate) fn set(&mut self, at: Time, key: K) -> Alarm {
        if self.queue.back().is_some_and(|&(last, _)| at < last) {
            let alarm = Alarm { at, number: self.next_other };
            self.next_other -= 1;
            self.others.insert(alarm, key);
            return alarm;
        }
        if self.queue.len() >= PLACES_EACH * self.queued + PLACES_MORE {
            self.move_first();
        }
        let number = self.first + self.queue.len() as u64;
        self.queue.push_back((at, Some(key)));
        self.queued += 1;
        Alarm { at, number }
    }

    /// Unsets one. What it was for, if it was still set.
    pub(crate) fn unset(&mut self, alarm: Alarm) -> Option<K> {
        let place = self.place(alarm);
        let Some((_, key)) = place.and_then(|place| self.queue.get_mut(place)) else {
            return self.others.remove(&alarm);
        };
        let key = key.take()?;
        self.queued -= 1;
        self.trim();
        Some(key)
    }

    /// The one that is due first.
    pub(crate) fn first(&self) -> Option<(Alarm, K)> {
        let queued = self.queue.front().and_then(|&(at, key)| Some((Alarm { at, number: self.first }, key?)));
        let other = self.others.first_key_value().map(|(&alarm, &key)| (alarm, key));
        match (queued, other) {
            (Some(queued), Some(other)) => Some(if other.0 < queued.0 { other } else { queued }),
            (queued, other) => queued.or(other),
        }
    }

    /// Whether that alarm is set, for this.
    pub(crate) fn has(&self, alarm: Alarm, key: K) -> bool
    where
        K: PartialEq,
    {
        match self.place(alarm).and_then(|place| self.queue.get(place)) {
            Some(&(at, set)) => at == alarm.at && set == Some(key),
            None => self.others.get(&alarm) == Some(&key),
        }
    }

    /// Its place in the queue, if it has one.
    fn place(&self, alarm: Alarm) -> Option<usize> {
        usize::try_from(alarm.number.checked_sub(self.first)?).ok()
    }

    /// The first of the queue makes room: many that were set after it are gone.
    fn move_first(&mut self) {
        if let Some((at, Some(key))) = self.queue.pop_front() {
            self.others.insert(Alarm { at, number: self.first }, key);
            self.queued -= 1;
        }
        self.first += 1;
        self.trim();
    }

    fn trim(&mut self) {
        while let Some((_, None)) = self.queue.front() {
            self.queue.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_due_at_its_time_until_it_is_unset(steps in prop::collection::vec((0u8..4, 0u64..9), 0..400)) {
            let (mut alarms, mut set, mut now) = (Alarms::default(), BTreeMap::new(), 0);
            for (key, (step, number)) in steps.into_iter().enumerate() {
                now += number / 8;
                // Most with the same time-out.
                let at = Time::from_micros(now + if step == 0 { number } else { 5 });
                if step == 3 {
                    let nth = set.keys().nth(number as usize).copied();
                    if let Some(alarm) = nth {
                        prop_assert_eq!(alarms.unset(alarm), set.remove(&alarm));
                        prop_assert_eq!(alarms.unset(alarm), None);
                    }
                } else {
                    let alarm = alarms.set(at, key);
                    prop_assert_eq!(alarm.at(), at);
                    prop_assert_eq!(set.insert(alarm, key), None);
                }
                prop_assert_eq!(alarms.len(), set.len());
                prop_assert!(set.iter().all(|(&alarm, &key)| alarms.has(alarm, key)));
                let first = set.first_key_value().map(|(alarm, _)| alarm.at());
                prop_assert_eq!(alarms.first().map(|(alarm, _)| alarm.at()), first);
                prop_assert!(alarms.first().is_none_or(|(alarm, key)| set[&alarm] == key));
            }
        }
    }

    #[test]
    fn one_that_stays_lets_the_others_pass() {
        let mut alarms = Alarms::default();
        let stays = alarms.set(Time::from_micros(1), 0);
        for micros in 2..100_000 {
            let alarm = alarms.set(Time::from_micros(micros), 1);
            assert_eq!(alarms.unset(alarm), Some(1));
            assert!(alarms.queue.len() <= PLACES_EACH + PLACES_MORE);
        }
        assert_eq!((alarms.first(), alarms.unset(stays), alarms.len()), (Some((stays, 0)), Some(0), 0));
    }
}
