//! When a process has done enough and is exchanged for a new one: pure.

/// The age at which a process is recycled; what is `None` has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recycle {
    /// Calls that it has answered.
    pub calls: Option<u64>,
    /// Bytes of memory that it holds.
    pub rss: Option<u64>,
}

/// A process as far as its age matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// Its name.
    pub instance: String,
    /// Calls that it has answered.
    pub calls: u64,
    /// Bytes of memory that it holds; `None`: not known.
    pub rss: Option<u64>,
}

impl Recycle {
    /// Whether anything is limited.
    pub fn is_on(&self) -> bool {
        self.calls.is_some() || self.rss.is_some()
    }

    /// Who is to be exchanged next, and why: of those beyond a limit the one with the most calls. One at a time, so that the pool
    /// never lacks more than that.
    pub fn due<'a>(&self, ages: &'a [Age]) -> Option<(&'a str, String)> {
        let due = ages.iter().filter_map(|age| Some((age, self.why(age)?)));
        due.max_by_key(|(age, _)| age.calls).map(|(age, why)| (age.instance.as_str(), why))
    }

    fn why(&self, age: &Age) -> Option<String> {
        if self.calls.is_some_and(|most| age.calls >= most) {
            return Some(format!("it has answered {} calls", age.calls));
        }
        let rss = age.rss.filter(|rss| self.rss.is_some_and(|most| *rss >= most))?;
        Some(format!("it holds {} MiB of memory", rss >> 20))
    }
}

/// The memory that a process of this machine holds, in bytes; `None` where the system does not say.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(instance: &str, calls: u64, rss: Option<u64>) -> Age {
        Age { instance: instance.into(), calls, rss }
    }

    #[test]
    fn the_most_used_of_those_beyond_a_limit_is_next() {
        let limits = Recycle { calls: Some(100), rss: Some(64 << 20) };
        let young = age("young", 99, Some((64 << 20) - 1));
        assert_eq!(limits.due(std::slice::from_ref(&young)), None);
        let ages = [young.clone(), age("old", 100, None), age("older", 120, None)];
        assert_eq!(limits.due(&ages), Some(("older", "it has answered 120 calls".into())));
        let ages = [young, age("fat", 3, Some(80 << 20))];
        assert_eq!(limits.due(&ages), Some(("fat", "it holds 80 MiB of memory".into())));
    }

    #[test]
    fn without_limits_nobody_is_too_old() {
        assert_eq!(Recycle::default().due(&[age("a", u64::MAX, Some(u64::MAX))]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_what_a_process_holds() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
