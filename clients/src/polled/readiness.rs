//! A file descriptor that is readable while entries are ready.

use std::io::{self, PipeReader, PipeWriter, Read, Write};

/// A pipe that holds at most one byte, so that neither writing nor reading that byte blocks.
#[derive(Debug)]
pub(super) struct ReadinessPipe {
    reader: PipeReader,
    writer: PipeWriter,
    is_ready: bool,
}

impl ReadinessPipe {
    /// Creates a pipe that is not readable.
    ///
    /// # Errors
    /// If the process has no file descriptors left.
    pub(super) fn new() -> io::Result<ReadinessPipe> {
        let (reader, writer) = io::pipe()?;
        Ok(ReadinessPipe { reader, writer, is_ready: false })
    }

    /// Makes the pipe readable.
    pub(super) fn set_ready(&mut self) {
        if !self.is_ready {
            self.is_ready = self.writer.write_all(&[0]).is_ok();
        }
    }

    /// Makes the pipe unreadable.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_ready) {
            // Cannot block: `set_ready` has written the byte.
            let _ = self.reader.read_exact(&mut [0]);
        }
    }

    /// Returns a duplicate of the readable end, which is usable without the lock around the pipe.
    ///
    /// # Errors
    /// If the process has no file descriptors left.
    pub(super) fn readable_end(&self) -> io::Result<PipeReader> {
        self.reader.try_clone()
    }
}
