//! The trace of a run: a hash of all events, and the text of the last ones.

use std::{collections::VecDeque, fmt};

use callboard_core::time::Time;

/// The maximum lines of a report.
const LINES_MAX: usize = 60;
/// The maximum bytes of a line.
const LINE_BYTES_MAX: usize = 600;

/// The trace of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    /// `None` unless the run is verbose: writing lines takes longer than running the machines.
    lines: Option<VecDeque<String>>,
}

impl Trace {
    pub(crate) fn new(verbose: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, lines: verbose.then(VecDeque::new) }
    }

    /// Adds bytes to the hash (FNV-1a).
    pub(crate) fn hash(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Adds an event. `line` is called only if the run is verbose.
    pub(crate) fn note(&mut self, now: Time, who: impl fmt::Display, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let mut line = line();
            // The beginning of a large body is enough.
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
            lines.push_back(format!("{now} {who:<10} {line}"));
            if lines.len() > LINES_MAX {
                lines.pop_front();
            }
        }
    }

    /// Returns the hash of all events.
    pub(crate) fn digest(&self) -> u64 {
        self.hash
    }

    /// Returns the last lines.
    pub(crate) fn tail(&self) -> String {
        self.lines.iter().flatten().map(|line| format!("  {line}\n")).collect()
    }
}
