//! Lines in the log about what anybody can cause by the thousand, such as connections that end badly: as many as are of use.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::limits::LOG_LINES_MAX;

/// Who sends bad connections, or casts that fail, by the thousand must not fill the disk with what is said about them.
#[derive(Debug, Default)]
pub(crate) struct Complaints(BTreeMap<&'static str, Second>);

/// What was said about one reason within a second.
#[derive(Debug)]
struct Second {
    since: Instant,
    lines: u32,
    unsaid: u64,
}

impl Complaints {
    /// Says one more thing for this reason, unless the log has had enough of its kind.
    pub(crate) fn say(&mut self, reason: &'static str, say: impl FnOnce()) {
        let Some(unsaid) = self.may_say(reason, Instant::now()) else { return };
        if unsaid > 0 {
            tracing::warn!(reason, unsaid, "more like the next one were not told of");
        }
        say();
    }

    /// Whether to say it, and how many were left out since the last one.
    fn may_say(&mut self, reason: &'static str, now: Instant) -> Option<u64> {
        let second = self.0.entry(reason).or_insert(Second { since: now, lines: 0, unsaid: 0 });
        if now - second.since >= Duration::from_secs(1) {
            (second.since, second.lines) = (now, 0);
        }
        if second.lines == LOG_LINES_MAX {
            second.unsaid += 1;
            return None;
        }
        second.lines += 1;
        Some(std::mem::take(&mut second.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_counted_and_told_with_the_next() {
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        for _ in 0..LOG_LINES_MAX {
            assert_eq!(complaints.may_say("flood", now), Some(0));
        }
        assert_eq!((complaints.may_say("flood", now), complaints.may_say("flood", now)), (None, None));
        assert_eq!(complaints.may_say("other", now), Some(0));
        assert_eq!(complaints.may_say("flood", now + Duration::from_secs(1)), Some(2));
    }
}
