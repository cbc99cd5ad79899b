//! The thread that writes the log, so that nobody who logs ever waits for its reader.
//!
//! A log without a reader, or a full disk, must not stop a broker: lines that do not fit are dropped and counted. For the comparison
//! with `tracing-appender` see docs/decisions/0101-log-writer.md.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What may wait to be written: some thousand lines. A log that is read never has so much; of one that is not, nobody wants more.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Takes lines and writes them on a thread of its own, which is started with the first one.
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Whole lines, one after another.
    waiting: Vec<u8>,
    /// Lines that did not fit in there since it was taken.
    lost: u64,
    /// Whether the thread is writing what it has taken; `None`: there is no thread yet.
    writing: Option<bool>,
    /// Where to write, until the thread has it.
    output: Option<Box<dyn Write + Send>>,
}

impl Writer {
    /// One that writes to `output`. Errors are ignored there, but for the count of what was lost.
    pub(super) fn new(output: impl Write + Send + 'static) -> Writer {
        let state = State { waiting: Vec::new(), lost: 0, writing: None, output: Some(Box::new(output)) };
        Writer(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Takes a line, with its end, or loses it. Never waits.
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
            // A system without a thread for it has none for this line; it is asked again with the next.
            state.writing = thread.spawn(move || shared.write_all()).ok().map(|_| true);
        }
        // A thread that is writing looks for more before it waits: waking it would be a system call for each line.
        let waits = state.writing == Some(false);
        drop(state);
        if waits {
            self.0.changed.notify_all();
        }
    }

    /// Waits until all is written, `within` at most. Whether it is, or never will be for want of a thread.
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

/// As the subscriber uses it: each write is a line.
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
        // Nothing that is done with the lock held leaves the state half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread. It ends with the process.
    fn write_all(&self) {
        let Some(mut output) = self.lock().output.take() else { return };
        let mut lost = 0;
        loop {
            let (lines, unfit) = self.take();
            // Line by line: other processes write to the same pipe, and only what is short is not cut there.
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                lost += u64::from(output.write_all(line).is_err());
            }
            lost += unfit;
            if lost > 0 && output.write_all(told(lost).as_bytes()).is_ok() {
                lost = 0;
            }
        }
    }

    /// Waits for lines, and takes all with the number of those that were lost behind them.
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

/// The line that stands for those that are not there.
fn told(lost: u64) -> String {
    format!(" WARN callboard: {lost} lines of this log are lost: it was not read in time, or could not be written\n")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// An output whose reader takes one write after another, and says whether it is one.
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
        (Writer::new(Pipe { written, fine }), lines, answer)
    }

    #[test]
    fn what_is_too_much_is_lost_and_told_when_it_goes_on() {
        let (writer, written, fine) = piped();
        writer.put(b"first\n");
        assert_eq!(written.recv().as_deref(), Ok("first\n"));
        // Nobody takes it: these wait, and those after them find no room.
        let (fits, huge) = (vec![b'x'; WAITING_BYTES_MAX - 1], [b'y'; 2]);
        writer.put(&fits);
        (0..3).for_each(|_| writer.put(&huge));
        writer.put(b"\n");
        assert!(!writer.finish(Duration::ZERO), "nobody has read it yet");
        let _ = fine.send(true);
        assert_eq!(written.recv().map(|line| line.len()), Ok(WAITING_BYTES_MAX));
        let _ = fine.send(true);
        let told = written.recv().unwrap_or_default();
        assert!(told.contains(" 3 lines of this log are lost"), "{told}");
        let _ = fine.send(true);
        assert!(writer.finish(LONG));
    }

    #[test]
    fn what_cannot_be_written_is_told_when_it_can() {
        let (writer, written, fine) = piped();
        for (line, is_fine) in [("one\n", false), ("1 lines", false), ("two\n", true), ("1 lines", true)] {
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
