//! The events of a client's calls, and their form as lines that a client process prints.

use std::{fmt, str::FromStr};

use callboard::{CallError, Code, Executed};

/// A call was made, or it ended. The number is its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Made(u64),
    Ended(u64, Outcome),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Failed(Code, Executed),
}

impl<T> From<Result<T, CallError>> for Outcome {
    fn from(outcome: Result<T, CallError>) -> Outcome {
        outcome.map_or_else(|error| Outcome::Failed(error.code(), error.executed()), |_| Outcome::Answered)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Made(key) => write!(f, "made {key}"),
            Event::Ended(key, Outcome::Answered) => write!(f, "answered {key}"),
            Event::Ended(key, Outcome::Failed(code, executed)) => {
                write!(f, "failed {key} {} {}", code.number(), executed.number())
            }
        }
    }
}

impl FromStr for Event {
    type Err = String;

    fn from_str(line: &str) -> Result<Event, String> {
        let (word, numbers) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Result<Vec<u64>, _> = numbers.split(' ').map(str::parse).collect();
        let event = match (word, &numbers.unwrap_or_default()[..]) {
            ("made", &[key]) => Some(Event::Made(key)),
            ("answered", &[key]) => Some(Event::Ended(key, Outcome::Answered)),
            ("failed", &[key, code, executed]) => Executed::from_number(executed)
                .map(|executed| Event::Ended(key, Outcome::Failed(Code::from_number(code), executed))),
            _ => None,
        };
        event.ok_or_else(|| format!("a client printed {line:?}"))
    }
}
