//! The limit on open files of this process: each connection takes one.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Returns how many files this process may have open. `None` means no limit.
pub fn file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the limit as far as an ordinary process may (the soft limit to the hard one) and returns the new limit.
///
/// Shells usually start programs with 1,024, for the sake of programs that use `select`. Nothing here does.
///
/// # Errors
/// The system refuses to raise it. The old limit holds.
pub fn raise_file_limit() -> io::Result<Option<u64>> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(file_limit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_highest_that_is_possible() {
        assert_eq!(raise_file_limit().unwrap(), getrlimit(Resource::Nofile).maximum);
        assert_eq!(file_limit(), getrlimit(Resource::Nofile).maximum);
    }
}
