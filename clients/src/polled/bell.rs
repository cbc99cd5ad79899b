//! A file descriptor that is readable while there is something to be done.

use std::io::{self, PipeReader, PipeWriter, Read, Write};

/// A pipe with at most one byte in it: so writing never blocks, and neither does reading what was written.
#[derive(Debug)]
pub(super) struct Bell {
    reader: PipeReader,
    writer: PipeWriter,
    rings: bool,
}

impl Bell {
    /// # Errors
    /// If the process has no files left.
    pub(super) fn new() -> io::Result<Bell> {
        let (reader, writer) = io::pipe()?;
        Ok(Bell { reader, writer, rings: false })
    }

    /// Makes it readable.
    pub(super) fn ring(&mut self) {
        if !self.rings {
            self.rings = self.writer.write_all(&[0]).is_ok();
        }
    }

    /// Makes it unreadable.
    pub(super) fn hush(&mut self) {
        if std::mem::take(&mut self.rings) {
            // The byte is there: we wrote it.
            let _ = self.reader.read_exact(&mut [0]);
        }
    }

    /// A second hold on the readable end, to be handed out while the bell itself is locked away.
    ///
    /// # Errors
    /// If the process has no files left.
    pub(super) fn readable_end(&self) -> io::Result<PipeReader> {
        self.reader.try_clone()
    }
}
