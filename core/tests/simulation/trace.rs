//! What happened: a hash of all of it, and the last lines for people.

use std::{collections::VecDeque, fmt};

use callboard_core::time::Time;

/// Lines that a report shows.
const LINES_MAX: usize = 60;
/// Bytes of a line.
const LINE_BYTES_MAX: usize = 600;

/// The record of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    /// Only where the run is told to people: writing lines takes longer than running the machines.
    lines: Option<VecDeque<String>>,
}

impl Trace {
    pub(crate) fn new(told: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, lines: told.then(VecDeque::new) }
    }

    /// Takes bytes into the hash (FNV-1a).
    pub(crate) fn hash(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Something happened; `line` says what, if somebody wants to know.
    pub(crate) fn note(&mut self, now: Time, who: impl fmt::Display, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let mut line = line();
            // Of a large body the beginning tells enough.
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
            lines.push_back(format!("{now} {who:<10} {line}"));
            if lines.len() > LINES_MAX {
                lines.pop_front();
            }
        }
    }

    /// What stands for the whole run.
    pub(crate) fn digest(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        self.lines.iter().flatten().map(|line| format!("  {line}\n")).collect()
    }
}
