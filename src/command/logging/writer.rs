//! The log writer: a thread that writes the log, so that a log call never waits for the log's reader.
//!
//! A log without a reader, or a full disk, must not stop a broker: lines that do not fit are dropped and counted. For the comparison
//! with `tracing-appender` see docs/decisions/0024-log-writer.md.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::Level;

use super::{format::Format, line::Line};

/// The bytes that may wait to be written: some thousand lines. A log that is read stays below it.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// A queue of lines with a thread that writes them. The thread starts with the first line.
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Whole lines, one after another.
    waiting: Vec<u8>,
    /// The number of lines dropped since `waiting` was taken.
    lost: u64,
    /// Whether the thread is writing the lines that it has taken; `None`: there is no thread yet.
    writing: Option<bool>,
    /// The output, until the thread takes it.
    output: Option<Box<dyn Write + Send>>,
    /// The format of the line that reports lost lines.
    format: Format,
}

impl Writer {
    /// Creates a writer to `output`. An error of the output only counts as a lost line.
    pub(super) fn new(output: impl Write + Send + 'static, format: Format) -> Writer {
        let state = State { waiting: Vec::new(), lost: 0, writing: None, output: Some(Box::new(output)), format };
        Writer(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Queues a line, with its newline, or drops it. Never waits.
    fn put(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.waiting.len() + line.len() > WAITING_BYTES_MAX {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        if state.writing.is_none() {
            let shared = Arc::clone(&self.0);
            let thread = thread::Builder::new().name("callboard-log".into());
            // If the system cannot start a thread, the next line tries again.
            state.writing = thread.spawn(move || shared.write_all()).ok().map(|_| true);
        }
        // A thread that is writing looks for more before it waits: waking it would be a system call for each line.
        let waits = state.writing == Some(false);
        drop(state);
        if waits {
            self.0.changed.notify_all();
        }
    }

    /// Waits until all lines are written, for at most `within`. Returns true if they are, or if there is no thread.
    pub(super) fn finish(&self, within: Duration) -> bool {
        let unwritten = |state: &mut State| state.writing.is_some_and(|writing| writing || !state.waiting.is_empty());
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), within, unwritten);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Clone for Writer {
    fn clone(&self) -> Writer {
        Writer(Arc::clone(&self.0))
    }
}

/// For the subscriber: each write is a line.
impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock leaves an inconsistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the thread, which ends with the process.
    fn write_all(&self) {
        let format = self.lock().format;
        let Some(mut output) = self.lock().output.take() else { return };
        let mut lost = 0;
        loop {
            let (lines, unfit) = self.take();
            // Line by line: other processes write to the same pipe, and only short writes are atomic there.
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                lost += u64::from(output.write_all(line).is_err());
            }
            lost += unfit;
            if lost > 0 && output.write_all(lost_line(lost, format).as_bytes()).is_ok() {
                lost = 0;
            }
        }
    }

    /// Waits for lines. Takes all of them, with the number of lines that were dropped after them.
    fn take(&self) -> (Vec<u8>, u64) {
        let mut state = self.lock();
        state.writing = Some(false);
        self.changed.notify_all();
        let waited = self.changed.wait_while(state, |state| state.waiting.is_empty());
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.writing = Some(true);
        (mem::take(&mut state.waiting), mem::take(&mut state.lost))
    }
}

/// Returns the line that reports lost lines.
fn lost_line(lost: u64, format: Format) -> String {
    let text = format!("{lost} log lines were lost: they were not read in time, or could not be written");
    let mut line = String::new();
    // A text always has room.
    let _ = Line::new(Level::WARN, "callboard").with_message(text).write(&mut line, format, false);
    line
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// An output whose reader takes one write at a time, and decides whether it succeeds.
    struct Pipe {
        written: SyncSender<String>,
        fine: Receiver<bool>,
    }

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.written.send(String::from_utf8_lossy(line).into_owned());
            match self.fine.recv() {
                Ok(true) => Ok(line.len()),
                _ => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn piped() -> (Writer, Receiver<String>, SyncSender<bool>) {
        let ((written, lines), (answer, fine)) = (sync_channel(0), sync_channel(0));
        (Writer::new(Pipe { written, fine }, Format::Text), lines, answer)
    }

    #[test]
    fn dropped_lines_are_counted_and_reported() {
        let (writer, written, fine) = piped();
        writer.put(b"first\n");
        assert_eq!(written.recv().as_deref(), Ok("first\n"));
        // The reader does not take it: these lines wait, and there is no room for the following ones.
        let (fits, huge) = (vec![b'x'; WAITING_BYTES_MAX - 1], [b'y'; 2]);
        writer.put(&fits);
        (0..3).for_each(|_| writer.put(&huge));
        writer.put(b"\n");
        assert!(!writer.finish(Duration::ZERO), "the reader has not taken the lines yet");
        let _ = fine.send(true);
        assert_eq!(written.recv().map(|line| line.len()), Ok(WAITING_BYTES_MAX));
        let _ = fine.send(true);
        let report = written.recv().unwrap_or_default();
        assert!(report.contains(" 3 log lines were lost"), "{report}");
        let _ = fine.send(true);
        assert!(writer.finish(LONG));
    }

    #[test]
    fn lines_that_cannot_be_written_are_reported_later() {
        let (writer, written, fine) = piped();
        for (line, is_fine) in [("one\n", false), ("1 log lines", false), ("two\n", true), ("1 log lines", true)] {
            if line.ends_with('\n') {
                writer.put(line.as_bytes());
            }
            let found = written.recv().unwrap_or_default();
            assert!(found.contains(line), "{found}");
            let _ = fine.send(is_fine);
        }
        assert!(writer.finish(LONG));
    }
}
