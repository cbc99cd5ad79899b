//! A limit on the log lines that any peer can cause.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Lines of one reason per second. The rest is counted.
const LINES_MAX: u32 = 5;

/// Limits the log lines of each reason in a second: bad connections or failing casts by the thousand must not fill the disk.
#[derive(Debug, Default)]
pub(crate) struct LogLimiter(BTreeMap<&'static str, Window>);

/// The lines of one reason within a second.
#[derive(Debug)]
struct Window {
    since: Instant,
    lines: u32,
    suppressed: u64,
}

impl LogLimiter {
    /// Calls `write`, which writes a line for this reason, unless there were too many of them. Its argument is the number of lines that
    /// were suppressed before this one, if any.
    pub(crate) fn log(&mut self, reason: &'static str, write: impl FnOnce(Option<u64>)) {
        if let Some(suppressed) = self.admit(reason, Instant::now()) {
            write(Some(suppressed).filter(|&suppressed| suppressed > 0));
        }
    }

    /// Returns how many lines were suppressed since the last one, or `None` to suppress this one, too.
    fn admit(&mut self, reason: &'static str, now: Instant) -> Option<u64> {
        let window = self.0.entry(reason).or_insert(Window { since: now, lines: 0, suppressed: 0 });
        if now - window.since >= Duration::from_secs(1) {
            (window.since, window.lines) = (now, 0);
        }
        if window.lines == LINES_MAX {
            window.suppressed += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suppressed_lines_are_counted_and_reported_with_the_next() {
        let (mut limiter, now) = (LogLimiter::default(), Instant::now());
        for _ in 0..LINES_MAX {
            assert_eq!(limiter.admit("flood", now), Some(0));
        }
        assert_eq!((limiter.admit("flood", now), limiter.admit("flood", now)), (None, None));
        assert_eq!(limiter.admit("other", now), Some(0));
        assert_eq!(limiter.admit("flood", now + Duration::from_secs(1)), Some(2));
    }
}
