//! The times at which an open loop makes its calls, whatever the time that earlier calls take.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, mpsc};

/// Times that may wait for a caller. Later ones wait in the thread, and lose nothing: a latency counts from its time.
const WAITING_MAX: usize = 1024;

/// The times of the calls of one client.
///
/// A thread waits for each, because a timer of the runtime has a resolution of a millisecond.
pub(crate) struct Schedule(Mutex<mpsc::Receiver<Instant>>);

impl Schedule {
    /// Starts at `start`. Times at `end` or later are dropped.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(crate) fn start(start: Instant, end: Instant, interval: Duration) -> std::io::Result<Schedule> {
        let (sender, times) = mpsc::channel(WAITING_MAX);
        thread::Builder::new().name("schedule".to_owned()).spawn(move || {
            times_of(start, end, interval).try_for_each(|time| {
                thread::sleep(time.saturating_duration_since(Instant::now()));
                // Fails if all callers have ended.
                sender.blocking_send(time)
            })
        })?;
        Ok(Schedule(Mutex::new(times)))
    }

    /// Waits for the next time, and returns it; `None` after the last one.
    ///
    /// # Cancel safety
    /// Cancel safe: no time is lost.
    pub(crate) async fn next(&self) -> Option<Instant> {
        self.0.lock().await.recv().await
    }
}

fn times_of(start: Instant, end: Instant, interval: Duration) -> impl Iterator<Item = Instant> {
    let time = move |turn: u64| start + Duration::from_secs_f64(interval.as_secs_f64() * turn as f64);
    (0..).map(time).take_while(move |time| *time < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_has_as_many_times_as_its_rate() {
        let start = Instant::now();
        let times = times_of(start, start + Duration::from_secs(2), Duration::from_micros(333));
        assert_eq!(times.count(), 6007);
    }
}
