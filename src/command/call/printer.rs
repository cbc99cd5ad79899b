//! Items on standard output: JSON, one a line.

use std::{
    io::{self, BufWriter, ErrorKind, Write as _},
    thread,
};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};

/// Lines that wait for who reads standard output. Beyond them the call's own credit holds its handler back.
const LINES_WAITING: usize = 16;

/// Prints lines by a thread of its own: whoever reads them slowly holds back the items, and neither Ctrl-C nor items the other way.
pub(super) struct Printer {
    lines: mpsc::Sender<String>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Printer {
    /// # Errors
    /// If the system has no thread.
    pub(super) fn start() -> anyhow::Result<Printer> {
        let (lines, received) = mpsc::channel(LINES_WAITING);
        let (end, ended) = oneshot::channel();
        let printing = thread::Builder::new().name("stdout".to_owned()).spawn(move || end.send(print(received)));
        printing.context("cannot write to standard output")?;
        Ok(Printer { lines, ended })
    }

    /// Prints a line as soon as there is room. False if nobody reads any more.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready prints nothing.
    pub(super) async fn print(&self, line: String) -> bool {
        self.lines.send(line).await.is_ok()
    }

    /// Waits until everything is printed. A reader that has gone is no error.
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

/// Whatever waits is written together, and nothing stays unwritten while nothing comes.
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
