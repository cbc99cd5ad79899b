//! Items on standard output: one JSON value per line.

use std::{
    io::{self, BufWriter, ErrorKind, Write as _},
    thread,
};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};

/// Lines that may wait for the reader of standard output. Then the call's credit applies backpressure to the handler.
const LINES_WAITING: usize = 16;

/// A printer with its own thread. A slow reader delays the items, but neither Ctrl-C nor the items of the other direction.
pub(super) struct Printer {
    lines: mpsc::Sender<String>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Printer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn start() -> anyhow::Result<Printer> {
        let (lines, received) = mpsc::channel(LINES_WAITING);
        let (end, ended) = oneshot::channel();
        let printing = thread::Builder::new().name("stdout".to_owned()).spawn(move || end.send(print(received)));
        printing.context("cannot write to standard output")?;
        Ok(Printer { lines, ended })
    }

    /// Prints a line as soon as there is room. Returns false if the reader has closed the output.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready prints nothing.
    pub(super) async fn print(&self, line: String) -> bool {
        self.lines.send(line).await.is_ok()
    }

    /// Waits until everything is printed. A reader that has closed the output is not an error.
    ///
    /// # Errors
    /// If standard output cannot be written, such as for a full disk.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        drop(self.lines);
        match self.ended.await {
            Ok(Err(error)) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("cannot write to standard output")
            }
            _ => Ok(()),
        }
    }
}

/// Writes waiting lines together, and flushes when none wait.
fn print(mut lines: mpsc::Receiver<String>) -> io::Result<()> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    while let Some(line) = lines.blocking_recv() {
        writeln!(stdout, "{line}")?;
        while let Ok(line) = lines.try_recv() {
            writeln!(stdout, "{line}")?;
        }
        stdout.flush()?;
    }
    Ok(())
}
