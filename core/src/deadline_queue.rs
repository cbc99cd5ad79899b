//! A queue of deadlines, for calls: most have the same timeout and end long before it.
//!
//! So most deadlines are added in the order in which they are due. These form a plain queue, and a removed deadline only leaves
//! an empty place in it. A tree holds the others. With a tree for all of them, deadlines that were removed before they were due
//! took a tenth of the broker's time.

use std::collections::{BTreeMap, VecDeque};

use crate::time::Time;

/// The queue has at most this many places for each deadline in it.
const PLACES_EACH: usize = 4;
/// The queue has at most this many places in addition to those for each deadline.
const PLACES_MORE: usize = 64;

/// Keys by the time at which they are due.
#[derive(Clone, Debug)]
pub(crate) struct DeadlineQueue<K> {
    /// In order of time. The first place is never empty.
    queue: VecDeque<(Time, Option<K>)>,
    /// The number of the first place; each next place has the next number.
    first: u64,
    /// How many places are not empty.
    queued: usize,
    /// All other deadlines.
    others: BTreeMap<DeadlineKey, K>,
    /// The number of the next deadline in `others`. It counts down from the highest, so it never equals a number of the queue.
    next_other: u64,
}

/// Identifies a deadline in its queue. The order is by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeadlineKey {
    at: Time,
    number: u64,
}

impl DeadlineKey {
    /// Returns when the deadline is due.
    pub(crate) fn at(self) -> Time {
        self.at
    }
}

impl<K> Default for DeadlineQueue<K> {
    fn default() -> Self {
        DeadlineQueue { queue: VecDeque::new(), first: 0, queued: 0, others: BTreeMap::new(), next_other: u64::MAX }
    }
}

impl<K: Copy> DeadlineQueue<K> {
    pub(crate) fn len(&self) -> usize {
        self.queued + self.others.len()
    }

    /// Adds a deadline for `key`.
    pub(crate) fn insert(&mut self, at: Time, key: K) -> DeadlineKey {
        if self.queue.back().is_some_and(|&(last, _)| at < last) {
            let deadline = DeadlineKey { at, number: self.next_other };
            self.next_other -= 1;
            self.others.insert(deadline, key);
            return deadline;
        }
        if self.queue.len() >= PLACES_EACH * self.queued + PLACES_MORE {
            self.move_first();
        }
        let number = self.first + self.queue.len() as u64;
        self.queue.push_back((at, Some(key)));
        self.queued += 1;
        DeadlineKey { at, number }
    }

    /// Removes a deadline. Returns what it was for, or `None` if it was removed before.
    pub(crate) fn remove(&mut self, deadline: DeadlineKey) -> Option<K> {
        let place = self.place(deadline);
        let Some((_, key)) = place.and_then(|place| self.queue.get_mut(place)) else {
            return self.others.remove(&deadline);
        };
        let key = key.take()?;
        self.queued -= 1;
        self.trim();
        Some(key)
    }

    /// Returns the earliest deadline and what it is for.
    pub(crate) fn peek(&self) -> Option<(DeadlineKey, K)> {
        let queued = self.queue.front().and_then(|&(at, key)| Some((DeadlineKey { at, number: self.first }, key?)));
        let other = self.others.first_key_value().map(|(&deadline, &key)| (deadline, key));
        match (queued, other) {
            (Some(queued), Some(other)) => Some(if other.0 < queued.0 { other } else { queued }),
            (queued, other) => queued.or(other),
        }
    }

    /// Returns whether the queue holds that deadline, for that key.
    pub(crate) fn contains(&self, deadline: DeadlineKey, key: K) -> bool
    where
        K: PartialEq,
    {
        match self.place(deadline).and_then(|place| self.queue.get(place)) {
            Some(&(at, queued)) => at == deadline.at && queued == Some(key),
            None => self.others.get(&deadline) == Some(&key),
        }
    }

    /// Returns its place in the queue, if it has one.
    fn place(&self, deadline: DeadlineKey) -> Option<usize> {
        usize::try_from(deadline.number.checked_sub(self.first)?).ok()
    }

    /// Moves the first deadline of the queue to the tree: many that were added after it are gone.
    fn move_first(&mut self) {
        if let Some((at, Some(key))) = self.queue.pop_front() {
            self.others.insert(DeadlineKey { at, number: self.first }, key);
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
        fn a_deadline_is_due_at_its_time_until_it_is_removed(
            steps in prop::collection::vec((0u8..4, 0u64..9), 0..400),
        ) {
            let (mut queue, mut model, mut now) = (DeadlineQueue::default(), BTreeMap::new(), 0);
            for (key, (step, number)) in steps.into_iter().enumerate() {
                now += number / 8;
                // Most with the same timeout.
                let at = Time::from_micros(now + if step == 0 { number } else { 5 });
                if step == 3 {
                    let nth = model.keys().nth(number as usize).copied();
                    if let Some(deadline) = nth {
                        prop_assert_eq!(queue.remove(deadline), model.remove(&deadline));
                        prop_assert_eq!(queue.remove(deadline), None);
                    }
                } else {
                    let deadline = queue.insert(at, key);
                    prop_assert_eq!(deadline.at(), at);
                    prop_assert_eq!(model.insert(deadline, key), None);
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert!(model.iter().all(|(&deadline, &key)| queue.contains(deadline, key)));
                let first = model.first_key_value().map(|(deadline, _)| deadline.at());
                prop_assert_eq!(queue.peek().map(|(deadline, _)| deadline.at()), first);
                prop_assert!(queue.peek().is_none_or(|(deadline, key)| model[&deadline] == key));
            }
        }
    }

    #[test]
    fn a_deadline_that_stays_does_not_make_the_queue_grow() {
        let mut queue = DeadlineQueue::default();
        let stays = queue.insert(Time::from_micros(1), 0);
        for micros in 2..100_000 {
            let deadline = queue.insert(Time::from_micros(micros), 1);
            assert_eq!(queue.remove(deadline), Some(1));
            assert!(queue.queue.len() <= PLACES_EACH + PLACES_MORE);
        }
        assert_eq!((queue.peek(), queue.remove(stays), queue.len()), (Some((stays, 0)), Some(0), 0));
    }
}
