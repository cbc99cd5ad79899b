//! The output of a process, read as it arrives.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::DEADLINE;

/// The lines of one output of a process. A thread reads them, so that the process never waits for its reader.
pub(crate) struct Lines(Arc<(Mutex<Printed>, Condvar)>);

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    /// The number of lines that [`Lines::next`] has returned.
    given: usize,
    ended: bool,
}

impl Lines {
    pub(crate) fn of(output: impl Read + Send + 'static) -> Lines {
        let shared = Arc::new((Mutex::default(), Condvar::new()));
        let lines = Lines(Arc::clone(&shared));
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                lock(&shared.0).lines.push(line);
                shared.1.notify_all();
            }
            lock(&shared.0).ended = true;
            shared.1.notify_all();
        });
        lines
    }

    /// Waits for the next line; `None` after the last one.
    pub(crate) fn next(&self) -> Option<String> {
        let (_, mut read) = self.wait(|read| (read.given < read.lines.len() || read.ended).then_some(()), "a line");
        let line = read.lines.get(read.given).cloned();
        read.given += usize::from(line.is_some());
        line
    }

    /// Waits for a line that contains `words`, among all lines from the first one on.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        let find = |read: &Printed| read.lines.iter().find(|line| line.contains(words)).cloned();
        self.wait(find, words).0
    }

    /// Returns all lines that have arrived.
    pub(crate) fn so_far(&self) -> String {
        lock(&self.0.0).lines.join("\n")
    }

    /// Waits for the end of the output, and returns all lines.
    pub(crate) fn all(&self) -> String {
        self.wait(|read| read.ended.then(|| read.lines.join("\n")), "the end of the output").0
    }

    fn wait<T>(&self, look: impl Fn(&Printed) -> Option<T>, what: &str) -> (T, MutexGuard<'_, Printed>) {
        let (mutex, changed) = &*self.0;
        let waiting = changed.wait_timeout_while(lock(mutex), DEADLINE, |read| look(read).is_none() && !read.ended);
        let read = waiting.unwrap_or_else(PoisonError::into_inner).0;
        let Some(seen) = look(&read) else { panic!("timeout: waited for {what:?} in: {}", read.lines.join("\n")) };
        (seen, read)
    }
}

fn lock(mutex: &Mutex<Printed>) -> MutexGuard<'_, Printed> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
