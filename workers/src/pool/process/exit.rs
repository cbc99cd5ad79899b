//! How a process of a pool exited.

use std::fmt;

/// How a process exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// This signal killed it.
    Signal(i32),
    /// The system could not start it. The text is the system's error.
    NotStarted(String),
    /// The exit status is unknown, because other code in the pool's program has reaped the process. The text is the system's error.
    Unknown(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Status(status) => write!(f, "exit status {status}"),
            Exit::Signal(signal) => write!(f, "signal {signal}{}", signal_name(*signal)),
            Exit::NotStarted(error) => write!(f, "not started: {error}"),
            Exit::Unknown(error) => write!(f, "unknown exit status: {error}"),
        }
    }
}

/// Returns the name of a frequent signal in parentheses, and nothing for other signals, whose numbers differ between systems.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_names_its_status_or_its_signal() {
        assert_eq!(Exit::Status(1).to_string(), "exit status 1");
        assert_eq!(Exit::Signal(11).to_string(), "signal 11 (SIGSEGV)");
        assert_eq!(Exit::Signal(64).to_string(), "signal 64");
    }
}
