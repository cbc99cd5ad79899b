//! How a process of a pool ends, and what the pool says of it.

use std::{fmt, time::Duration};

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be started at all; why.
    NotStarted(String),
    /// Nobody knows: something else in the pool's program has waited for it. Why.
    Unknown(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Status(status) => write!(f, "exit status {status}"),
            Exit::Signal(signal) => write!(f, "signal {signal}{}", signal_name(*signal)),
            Exit::NotStarted(error) => write!(f, "it could not be started: {error}"),
            Exit::Unknown(error) => write!(f, "its end is not known: {error}"),
        }
    }
}

/// The names of the signals that end processes most often, in parentheses; nothing for the others, whose numbers differ
/// from system to system.
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

/// Why a pool gave up, or goes on without one of its workers: a seat could not keep a process alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The last process of that seat.
    pub instance: String,
    /// How many processes of that seat ended, this one included.
    pub exits: usize,
    /// Within how long a time.
    pub within: Duration,
    /// How the last one ended.
    pub last: Exit,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { instance, exits, within, last } = self;
        let seconds = within.as_secs();
        write!(f, "the seat of {instance} lost {exits} processes within {seconds} s; the last one: {last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_one_sentence() {
        let within = Duration::from_secs(10);
        let verdict = Verdict { instance: "echo-2.4".into(), exits: 5, within, last: Exit::Signal(11) };
        let sentence = "the seat of echo-2.4 lost 5 processes within 10 s; the last one: signal 11 (SIGSEGV)";
        assert_eq!(verdict.to_string(), sentence);
        assert_eq!(Exit::Status(1).to_string(), "exit status 1");
        assert_eq!(Exit::Signal(64).to_string(), "signal 64");
    }
}
