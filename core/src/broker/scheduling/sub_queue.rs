//! The waiting calls of one session that may be taken in their order: a sub-queue.

use std::collections::{BTreeMap, VecDeque};

/// The queue has at most this many places for each call in it.
const PLACES_EACH: usize = 4;
/// The queue has at most this many places in addition to those for each call.
const PLACES_MORE: usize = 64;

/// Waiting calls in the order of their numbers.
///
/// Nearly all calls are added behind all others. These form a plain queue of 16 bytes for each call, in which a call that is removed
/// leaves an empty place. A tree, which takes three times as much, holds the others: calls that came back from a worker.
#[derive(Debug)]
pub(super) struct SubQueue<C> {
    /// In the order of the numbers. The first and the last place are never empty.
    queue: VecDeque<Place<C>>,
    /// How many places are not empty.
    queued: usize,
    /// All other calls.
    others: BTreeMap<u64, Waiting<C>>,
}

/// A waiting call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting<C> {
    pub(super) call: C,
    bytes: u32,
}

#[derive(Debug)]
struct Place<C> {
    number: u64,
    call: Option<C>,
    bytes: u32,
}

impl<C> Waiting<C> {
    /// Creates a waiting call with a body of so many bytes. A body of 4 GiB or more counts as 4 GiB.
    pub(super) fn new(call: C, bytes: usize) -> Waiting<C> {
        Waiting { call, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) }
    }

    /// Returns the bytes of its body.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl<C: Copy> Place<C> {
    fn waiting(&self) -> Option<(u64, Waiting<C>)> {
        self.call.map(|call| (self.number, Waiting { call, bytes: self.bytes }))
    }
}

impl<C> Default for SubQueue<C> {
    fn default() -> Self {
        SubQueue { queue: VecDeque::new(), queued: 0, others: BTreeMap::new() }
    }
}

impl<C: Copy> SubQueue<C> {
    pub(super) fn len(&self) -> usize {
        self.queued + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a call, whose number no other waiting call has.
    pub(super) fn insert(&mut self, number: u64, waiting: Waiting<C>) {
        if self.queue.back().is_some_and(|last| last.number >= number) {
            self.others.insert(number, waiting);
            return;
        }
        self.queue.push_back(Place { number, call: Some(waiting.call), bytes: waiting.bytes });
        self.queued += 1;
    }

    /// Removes the call of a number, if it waits here.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting<C>> {
        if let Some(waiting) = self.others.remove(&number) {
            return Some(waiting);
        }
        let at = self.place_of(number)?;
        let place = &mut self.queue[at];
        let (_, waiting) = place.waiting()?;
        place.call = None;
        self.queued -= 1;
        self.remove_empty_places();
        Some(waiting)
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let is_queued = || self.place_of(number).is_some_and(|at| self.queue[at].call.is_some());
        self.others.contains_key(&number) || is_queued()
    }

    /// Returns the call with the lowest number.
    pub(super) fn first(&self) -> Option<(u64, Waiting<C>)> {
        let queued = self.queue.front().and_then(Place::waiting);
        let other = self.others.first_key_value().map(|(&number, &waiting)| (number, waiting));
        queued.into_iter().chain(other).min_by_key(|&(number, _)| number)
    }

    /// Returns all calls in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Waiting<C>)> {
        let mut queued = self.queue.iter().filter_map(Place::waiting).peekable();
        let mut others = self.others.iter().map(|(&number, &waiting)| (number, waiting)).peekable();
        std::iter::from_fn(move || match (queued.peek(), others.peek()) {
            (Some(&(queue, _)), Some(&(other, _))) if other < queue => others.next(),
            (Some(_), _) => queued.next(),
            (None, _) => others.next(),
        })
    }

    fn place_of(&self, number: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&number, |place| place.number).ok()
    }

    /// Removes the empty places at both ends, and all of them if they are most of the queue.
    fn remove_empty_places(&mut self) {
        while self.queue.front().is_some_and(|place| place.call.is_none()) {
            self.queue.pop_front();
        }
        while self.queue.back().is_some_and(|place| place.call.is_none()) {
            self.queue.pop_back();
        }
        if self.queue.len() > PLACES_EACH * self.queued + PLACES_MORE {
            self.queue.retain(|place| place.call.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_tree_map(steps in prop::collection::vec((0_u8..4, 0_usize..200), 0..300)) {
            let (mut queue, mut model, mut removed) = (SubQueue::default(), BTreeMap::new(), Vec::new());
            for (number, (step, nth)) in (0..).zip(steps) {
                let added = match step {
                    0 | 1 => Some(number),
                    // A call that was taken comes back.
                    2 if !removed.is_empty() => Some(removed.swap_remove(nth % removed.len())),
                    _ => None,
                };
                match added {
                    Some(number) => {
                        queue.insert(number, Waiting::new(number, nth));
                        model.insert(number, Waiting::new(number, nth));
                    }
                    None => {
                        let number = model.keys().nth(nth % model.len().max(1)).copied().unwrap_or(number);
                        prop_assert_eq!(queue.contains(number), model.contains_key(&number));
                        prop_assert_eq!(queue.remove(number), model.remove(&number));
                        prop_assert_eq!(queue.remove(number), None);
                        removed.push(number);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.first(), model.first_key_value().map(|(&number, &waiting)| (number, waiting)));
                prop_assert!(queue.iter().eq(model.iter().map(|(&number, &waiting)| (number, waiting))));
                prop_assert!(queue.queue.len() <= PLACES_EACH * queue.queued + PLACES_MORE);
            }
        }
    }

    #[test]
    fn a_waiting_call_takes_sixteen_bytes() {
        assert_eq!(size_of::<Place<NonZeroU32>>(), 16);
    }

    #[test]
    fn calls_that_are_removed_from_the_middle_leave_few_places() {
        let mut queue = SubQueue::default();
        (0..10_000_u64).for_each(|number| queue.insert(number, Waiting::new(number, 1)));
        (1..9_999).for_each(|number| assert!(queue.remove(number).is_some()));
        assert_eq!((queue.len(), queue.iter().map(|(number, _)| number).sum::<u64>()), (2, 9_999));
        assert!(queue.queue.len() <= 2 * PLACES_EACH + PLACES_MORE);
    }
}
