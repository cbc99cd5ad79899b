//! Items on standard input: JSON, one a line.

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

/// JSON takes at most six bytes for one of CBOR, in a string of `\u0000`; a line that is longer holds no item that may be sent.
const LINE_BYTES_MAX: u64 = 8 * ITEM_BYTES_MAX;
/// Lines that are read ahead: the next ones are there while one is on its way, and memory is a few megabytes at most.
const LINES_AHEAD: usize = 16;

/// Items on standard input, read by a thread of their own: reading a terminal cannot be given up, and the process must be able to end.
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
    /// Begins to read.
    ///
    /// # Errors
    /// If the system has no thread.
    pub(super) fn of_stdin() -> anyhow::Result<Lines> {
        if io::stdin().is_terminal() {
            output::note("items are read from the terminal: JSON, one a line; Ctrl-D ends them");
        }
        let (sender, lines) = mpsc::channel(LINES_AHEAD);
        let reading = thread::Builder::new().name("stdin".to_owned()).spawn(move || read(&sender));
        reading.context("cannot read standard input")?;
        Ok(Lines { lines, read: 0 })
    }

    /// The next item; `None` after the last one. Blank lines are none.
    ///
    /// # Errors
    /// A line that is no JSON, or too long: exit code 2. Standard input cannot be read: 4.
    ///
    /// # Cancel safety
    /// Dropping the future loses no line.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Item>> {
        loop {
            let Some(line) = self.lines.recv().await else { return Ok(None) };
            self.read += 1;
            let line = line.context("cannot read standard input")?;
            if line.len() as u64 > LINE_BYTES_MAX {
                return Err(wrong(self.read, format!("it has more than {LINE_BYTES_MAX} bytes")));
            }
            let text = str::from_utf8(&line).map_err(|_| wrong(self.read, "it is no UTF-8".to_owned()))?;
            if !text.trim().is_empty() {
                let value = arguments::json(text).map_err(|why| wrong(self.read, why))?;
                return Ok(Some(Item { line: self.read, value }));
            }
        }
    }
}

/// What is wrong with a line, as the end of the command.
pub(super) fn wrong(line: u64, why: String) -> anyhow::Error {
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
