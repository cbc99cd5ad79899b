//! A map with jobs as keys, which is fast for the jobs of the current connection.

use std::collections::BTreeMap;

use slab::Slab;

use super::JobId;
use crate::{
    sequence_map::SequenceMap,
    wire::ids::{ConnectionNumber, DispatchNumber},
};

/// A map from jobs to values.
///
/// Dispatch numbers ascend on one connection, and almost all jobs belong to the latest connection.
#[derive(Debug)]
pub struct JobMap<V> {
    table: Slab<V>,
    /// The latest connection.
    connection: ConnectionNumber,
    /// The jobs of that connection, by their dispatch numbers.
    current: SequenceMap<usize, 32>,
    /// The jobs of earlier connections.
    others: BTreeMap<JobId, usize>,
}

impl<V> Default for JobMap<V> {
    fn default() -> Self {
        let connection = ConnectionNumber::default();
        JobMap { table: Slab::new(), connection, current: SequenceMap::default(), others: BTreeMap::new() }
    }
}

impl<V> JobMap<V> {
    /// Returns the number of jobs.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether the map has no jobs.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns the value of a job.
    pub fn get(&self, id: JobId) -> Option<&V> {
        self.table.get(self.place(id)?)
    }

    /// Returns the value of a job, mutably.
    pub fn get_mut(&mut self, id: JobId) -> Option<&mut V> {
        let place = self.place(id)?;
        self.table.get_mut(place)
    }

    /// Returns whether the map has a job.
    pub fn contains(&self, id: JobId) -> bool {
        self.place(id).is_some()
    }

    /// Adds a job, which must not be in the map.
    pub fn insert(&mut self, id: JobId, value: V) {
        debug_assert!(!self.contains(id), "a job is inserted once");
        if id.connection > self.connection {
            self.start_connection(id.connection);
        }
        let place = self.table.insert(value);
        if id.connection == self.connection {
            self.current.insert(id.dispatch.0, place);
        } else {
            self.others.insert(id, place);
        }
    }

    /// Removes a job. Returns its value.
    pub fn remove(&mut self, id: JobId) -> Option<V> {
        let place = match id.connection == self.connection {
            true => self.current.remove(id.dispatch.0),
            false => self.others.remove(&id),
        };
        place.map(|place| self.table.remove(place))
    }

    /// Iterates over all jobs, in the order of connections and numbers.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &V)> {
        let connection = self.connection;
        let current = self
            .current
            .iter()
            .map(move |(number, &place)| (JobId { connection, dispatch: DispatchNumber(number) }, place));
        let others = self.others.iter().map(|(&id, &place)| (id, place));
        others.chain(current).map(|(id, place)| (id, &self.table[place]))
    }

    fn place(&self, id: JobId) -> Option<usize> {
        match id.connection == self.connection {
            true => self.current.get(id.dispatch.0).copied(),
            false => self.others.get(&id).copied(),
        }
    }

    /// Starts a new connection: the present jobs belong to an earlier one.
    fn start_connection(&mut self, connection: ConnectionNumber) {
        let earlier: Vec<_> = self.iter().map(|(id, _)| id).collect();
        for id in earlier.into_iter().filter(|id| id.connection == self.connection) {
            let place = self.current.remove(id.dispatch.0).expect("the job is in the map");
            self.others.insert(id, place);
        }
        self.connection = connection;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(connection: u64, dispatch: u64) -> JobId {
        JobId { connection: ConnectionNumber(connection), dispatch: DispatchNumber(dispatch) }
    }

    #[test]
    fn equal_numbers_of_different_connections_are_different_jobs() {
        let mut jobs = JobMap::default();
        let ids = [id(1, 7), id(1, 8), id(3, 7), id(2, 7), id(3, 9)];
        for (value, id) in ids.into_iter().enumerate() {
            assert!(!jobs.contains(id));
            jobs.insert(id, value);
        }
        assert_eq!(
            jobs.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            [0, 1, 3, 2, 4],
            "the order is by connection and number"
        );
        for (value, id) in ids.into_iter().enumerate() {
            assert_eq!(jobs.get(id), Some(&value));
            assert_eq!((jobs.remove(id), jobs.remove(id)), (Some(value), None));
        }
        assert!(jobs.is_empty());
    }
}
