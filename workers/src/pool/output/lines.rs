//! The output of workers, split into lines of bounded length.

use std::collections::VecDeque;

/// The maximum length of a line in bytes. A longer line is split into several.
pub const LINE_BYTES_MAX: usize = 4 * 1024;
/// How many last lines of each process the pool keeps, to explain a crash loop.
pub const LAST_LINES_MAX: usize = 20;

/// Splits bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    /// The incomplete last line; shorter than [`LINE_BYTES_MAX`].
    partial: Vec<u8>,
}

impl LineSplitter {
    /// Appends bytes, and pushes the lines that they complete to `lines`, without line ends. A line that exceeds [`LINE_BYTES_MAX`] is
    /// split there.
    pub(super) fn push(&mut self, bytes: &[u8], lines: &mut Vec<Vec<u8>>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ends) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            self.append(piece, lines);
            if ends {
                lines.push(self.take_line());
            }
        }
    }

    /// Returns the incomplete last line, if there is one. Call it at the end of the output.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        (!self.partial.is_empty()).then(|| self.take_line())
    }

    fn append(&mut self, mut piece: &[u8], lines: &mut Vec<Vec<u8>>) {
        while self.partial.len() + piece.len() > LINE_BYTES_MAX {
            let (fits, rest) = piece.split_at(LINE_BYTES_MAX - self.partial.len());
            self.partial.extend_from_slice(fits);
            lines.push(std::mem::take(&mut self.partial));
            piece = rest;
        }
        self.partial.extend_from_slice(piece);
    }

    fn take_line(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.partial);
        line.pop_if(|last| *last == b'\r');
        line
    }
}

/// The last lines of a process as text. Invalid UTF-8 is replaced.
#[derive(Debug, Default)]
pub(in crate::pool) struct LastLines(VecDeque<String>);

impl LastLines {
    /// Appends a line, and drops the oldest one beyond [`LAST_LINES_MAX`].
    pub(super) fn push(&mut self, line: &[u8]) {
        if self.0.len() == LAST_LINES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(String::from_utf8_lossy(line).into_owned());
    }

    /// Returns the lines, oldest first.
    pub(in crate::pool) fn into_vec(self) -> Vec<String> {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
        pieces.iter().for_each(|piece| splitter.push(piece, &mut lines));
        lines.extend(splitter.finish());
        lines
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        assert_eq!(split(&[b"one\ntw", b"o\r\n", b"\nthr", b"ee"]), [&b"one"[..], b"two", b"", b"three"]);
        assert!(split(&[b"", b""]).is_empty());
    }

    #[test]
    fn a_long_line_is_split_without_loss() {
        let huge = [b'x'; 2 * LINE_BYTES_MAX + 1];
        let lengths: Vec<_> = split(&[&huge, b"\n", b"next"]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 1, 4]);
        assert_eq!(
            split(&[&huge[..LINE_BYTES_MAX], b"\n"]).len(),
            1,
            "a line of exactly the maximum length stays one line"
        );
    }

    #[test]
    fn the_last_lines_are_bounded_valid_text() {
        let mut last = LastLines::default();
        (0..=LAST_LINES_MAX).for_each(|number| last.push(format!("line {number}").as_bytes()));
        last.push(b"\xff\xfe");
        let last = last.into_vec();
        assert_eq!((last.len(), &*last[0], &*last[LAST_LINES_MAX - 1]), (LAST_LINES_MAX, "line 2", "\u{fffd}\u{fffd}"));
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300),
            at in any::<proptest::sample::Index>(),
        ) {
            let (left, right) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(split(&[&bytes]), split(&[left, right]));
        }
    }
}
