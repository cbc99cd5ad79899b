//! Items on standard input: one JSON value per line.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Read as _},
    thread,
};

use anyhow::{Context as _, anyhow};
use callboard::core::wire::limits::ITEM_BYTES_MAX;
use ciborium::Value;
use tokio::sync::mpsc;

use super::arguments;
use crate::command::output::{self, exit::Exit};

/// The longest line. JSON takes at most six bytes for one of CBOR, in a string of `\u0000`, so a longer line is too large an item.
const LINE_BYTES_MAX: u64 = 8 * ITEM_BYTES_MAX;
/// Lines that are read ahead. The next lines are ready while one is sent, and memory stays at a few megabytes.
const LINES_AHEAD: usize = 16;

/// A reader of items from standard input. It has its own thread: a read of a terminal cannot be cancelled, and the process must be
/// able to end.
pub(super) struct Lines {
    lines: mpsc::Receiver<io::Result<Vec<u8>>>,
    read: u64,
}

/// An item, and the number of its line, from 1.
pub(super) struct Item {
    pub(super) line: u64,
    pub(super) value: Value,
}

impl Lines {
    /// Starts reading.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn of_stdin() -> anyhow::Result<Lines> {
        if io::stdin().is_terminal() {
            output::note("reading items from the terminal: one JSON value per line; Ctrl-D ends them");
        }
        let (sender, lines) = mpsc::channel(LINES_AHEAD);
        let reading = thread::Builder::new().name("stdin".to_owned()).spawn(move || read(&sender));
        reading.context("cannot read standard input")?;
        Ok(Lines { lines, read: 0 })
    }

    /// Returns the next item; `None` after the last one. Blank lines are skipped.
    ///
    /// # Errors
    /// A line is not JSON, or too long: exit code 2. Standard input cannot be read: 4.
    ///
    /// # Cancel safety
    /// Dropping the future loses no line.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Item>> {
        loop {
            let Some(line) = self.lines.recv().await else { return Ok(None) };
            self.read += 1;
            let line = line.context("cannot read standard input")?;
            if line.len() as u64 > LINE_BYTES_MAX {
                return Err(error(self.read, format!("longer than {LINE_BYTES_MAX} bytes")));
            }
            let text = str::from_utf8(&line).map_err(|_| error(self.read, "not UTF-8".to_owned()))?;
            if !text.trim().is_empty() {
                let value = arguments::json(text).map_err(|why| error(self.read, why))?;
                return Ok(Some(Item { line: self.read, value }));
            }
        }
    }
}

/// Returns the error of a line.
pub(super) fn error(line: u64, why: String) -> anyhow::Error {
    Exit::Usage.because(anyhow!("line {line} of standard input: {why}"))
}

fn read(lines: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = stdin.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let is_last = !matches!(read, Ok(length) if length > 0 && length as u64 <= LINE_BYTES_MAX);
        if matches!(read, Ok(0)) || lines.blocking_send(read.map(|_| line)).is_err() || is_last {
            return;
        }
    }
}
