//! A map with ascending numbers as keys, such as those of calls and dispatches. Most are removed soon, and some stay for long.
//!
//! A tree takes some hundred instructions to insert and remove. Here the recent numbers are places in a ring, and a tree holds
//! only the values that many later numbers have passed. The number of values bounds the ring, whatever the numbers are: a peer
//! may choose them.

use std::collections::{BTreeMap, VecDeque};

/// A ring has at most this many places in addition to those for each value.
const PLACES_MORE: usize = 64;
/// An empty ring keeps memory for this many places.
const PLACES_KEPT: usize = 512;

/// A map from ascending numbers to values.
///
/// The ring has at most `PLACES` places for each value. Choose more if most numbers in between belong to other maps, as with the
/// dispatches of a worker.
#[derive(Clone, Debug)]
pub(crate) struct SequenceMap<V, const PLACES: usize = 4> {
    /// The values from the number `first` on. The first and the last place are never empty.
    recent: VecDeque<Option<V>>,
    first: u64,
    /// How many values are in `recent`.
    recent_len: usize,
    /// The values below `first`.
    old: BTreeMap<u64, V>,
}

impl<V, const PLACES: usize> Default for SequenceMap<V, PLACES> {
    fn default() -> Self {
        SequenceMap { recent: VecDeque::new(), first: 0, recent_len: 0, old: BTreeMap::new() }
    }
}

impl<V, const PLACES: usize> SequenceMap<V, PLACES> {
    pub(crate) fn len(&self) -> usize {
        self.recent_len + self.old.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, number: u64) -> Option<&V> {
        match number.checked_sub(self.first) {
            Some(place) => self.recent.get(usize::try_from(place).ok()?)?.as_ref(),
            None => self.old.get(&number),
        }
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.get(number).is_some()
    }

    /// Puts a value under a number. Returns the value that was there before.
    pub(crate) fn insert(&mut self, number: u64, value: V) -> Option<V> {
        if self.recent.is_empty() && self.old.last_key_value().is_none_or(|(&last, _)| last < number) {
            self.first = number;
        }
        if number < self.first {
            return self.old.insert(number, value);
        }
        if let Some(place) = usize::try_from(number - self.first).ok().and_then(|place| self.recent.get_mut(place)) {
            let before = place.replace(value);
            self.recent_len += usize::from(before.is_none());
            return before;
        }
        self.make_room_for(number);
        self.recent.resize_with((number - self.first) as usize, || None);
        self.recent.push_back(Some(value));
        self.recent_len += 1;
        None
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<V> {
        let Some(place) = number.checked_sub(self.first) else { return self.old.remove(&number) };
        let place = usize::try_from(place).ok()?;
        let value = self.recent.get_mut(place)?.take()?;
        self.recent_len -= 1;
        if place == 0 || place + 1 == self.recent.len() {
            self.trim();
        }
        Some(value)
    }

    /// Returns the lowest number, with its value.
    pub(crate) fn first(&self) -> Option<(u64, &V)> {
        let oldest = self.old.first_key_value().map(|(&number, value)| (number, value));
        oldest.or_else(|| Some((self.first, self.recent.front()?.as_ref()?)))
    }

    /// Returns the lowest number that is not below `number`, with its value.
    pub(crate) fn first_from(&self, number: u64) -> Option<(u64, &V)> {
        let oldest = self.old.range(number..).next().map(|(&number, value)| (number, value));
        oldest.or_else(|| {
            let passed = usize::try_from(number.saturating_sub(self.first)).ok()?;
            let mut recent = self.recent.iter().enumerate().skip(passed);
            recent.find_map(|(place, value)| Some((self.first + place as u64, value.as_ref()?)))
        })
    }

    /// Iterates over all values, in ascending order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        let recent = self.recent.iter().enumerate();
        let recent = recent.filter_map(|(place, value)| Some((self.first + place as u64, value.as_ref()?)));
        self.old.iter().map(|(&number, value)| (number, value)).chain(recent)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Moves old values to the tree until the ring is short enough to reach `number`, which is behind its end.
    fn make_room_for(&mut self, number: u64) {
        while number - self.first >= (PLACES * self.recent_len + PLACES_MORE) as u64 {
            let passed = self.recent.pop_front().flatten();
            if let Some(value) = passed {
                self.old.insert(self.first, value);
                self.recent_len -= 1;
            }
            self.first = self.first.saturating_add(1);
            self.trim();
            if self.recent.is_empty() {
                self.first = number;
            }
        }
    }

    /// Removes empty places before the first value and behind the last.
    fn trim(&mut self) {
        while let Some(None) = self.recent.front() {
            self.recent.pop_front();
            // No number follows the highest.
            self.first = self.first.saturating_add(1);
        }
        while let Some(None) = self.recent.back() {
            self.recent.pop_back();
        }
        if self.recent.is_empty() && self.recent.capacity() > PLACES_KEPT {
            self.recent.shrink_to(PLACES_KEPT);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(map: &SequenceMap<u64, 1>, model: &BTreeMap<u64, u64>) {
        assert!(map.iter().map(|(number, &value)| (number, value)).eq(model.clone()));
        assert_eq!(map.len(), model.len());
        assert_eq!(map.recent_len, map.recent.iter().flatten().count());
        assert_eq!(map.first().map(|(number, _)| number), model.first_key_value().map(|(&number, _)| number));
        assert!(map.old.last_key_value().is_none_or(|(&last, _)| last < map.first));
        assert!(map.recent.front().is_none_or(Option::is_some) && map.recent.back().is_none_or(Option::is_some));
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_tree_map(steps in prop::collection::vec((0u8..4, 0u64..90, 0u64..400), 0..400)) {
            let (mut map, mut model, mut next) = (SequenceMap::<_, 1>::default(), BTreeMap::new(), 0);
            for (step, near, far) in steps {
                match step {
                    0 => next += 1 + near / 30,
                    1 => next += far / 8,
                    _ => {}
                }
                // As in practice, most are near the end and some are anywhere.
                let number = if step == 3 { far } else { next - near.min(next) };
                if step == 2 || near % 3 == 0 {
                    prop_assert_eq!(map.remove(number), model.remove(&number));
                } else {
                    prop_assert_eq!(map.insert(number, next), model.insert(number, next));
                }
                check(&map, &model);
                prop_assert_eq!(map.get(far), model.get(&far));
                let from = model.range(far..).next().map(|(&number, value)| (number, value));
                prop_assert_eq!(map.first_from(far), from);
            }
        }

        #[test]
        fn numbers_can_be_reused_between_the_few_that_stayed(
            stay in prop::collection::btree_set(0u64..400, 1..9),
            again in prop::collection::vec(0u64..500, 1..20),
        ) {
            let (mut map, mut model) = (SequenceMap::<_, 1>::default(), BTreeMap::new());
            (0..400).for_each(|number| assert_eq!(map.insert(number, number), None));
            (0..400).filter(|number| !stay.contains(number)).for_each(|number| assert!(map.remove(number).is_some()));
            model.extend(stay.into_iter().map(|number| (number, number)));
            for number in again {
                prop_assert_eq!(map.insert(number, 7), model.insert(number, 7));
                check(&map, &model);
            }
        }
    }

    #[test]
    fn numbers_that_are_skipped_cost_no_memory() {
        let mut map = SequenceMap::<_>::default();
        for step in 0..1_000 {
            map.insert(step * 1_000_003, step);
            assert!(map.recent.len() <= 4 + PLACES_MORE);
        }
        map.insert(u64::MAX, 7);
        assert_eq!((map.len(), map.get(u64::MAX), map.get(1_000_003)), (1_001, Some(&7), Some(&1)));
        assert_eq!(map.remove(u64::MAX), Some(7));
    }

    #[test]
    fn a_number_that_stays_does_not_make_the_ring_grow() {
        let mut map = SequenceMap::<_>::default();
        map.insert(0, 0);
        for number in 1..100_000 {
            map.insert(number, number);
            map.remove(number);
        }
        assert_eq!((map.get(0), map.old.len()), (Some(&0), 1));
        assert!(map.recent.capacity() < 1_000);
    }

    #[test]
    fn an_emptied_map_frees_its_memory() {
        let mut map = SequenceMap::<_>::default();
        (0..100_000).for_each(|number| assert_eq!(map.insert(number, number), None));
        (0..100_000).for_each(|number| assert_eq!(map.remove(number), Some(number)));
        assert!(map.is_empty() && map.recent.capacity() <= 2 * PLACES_KEPT);
    }
}
