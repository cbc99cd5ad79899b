//! What workers print, cut into lines that cannot grow without bound.

use std::collections::VecDeque;

/// A line that is longer is cut into several, in bytes.
pub const LINE_BYTES_MAX: usize = 4 * 1024;
/// The lines of each process that are kept to explain why a pool gave up.
pub const LAST_LINES_MAX: usize = 20;

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    /// The beginning of a line whose end has not come; shorter than [`LINE_BYTES_MAX`].
    begun: Vec<u8>,
}

impl LineCutter {
    /// Takes bytes and gives the lines that are complete with them, without their ends. A line that reaches [`LINE_BYTES_MAX`]
    /// is given as it is, and what follows begins another.
    pub(super) fn cut(&mut self, bytes: &[u8], lines: &mut Vec<Vec<u8>>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ends) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            self.take(piece, lines);
            if ends {
                lines.push(self.line());
            }
        }
    }

    /// Gives what has no end, if there is any: nothing will follow it.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        (!self.begun.is_empty()).then(|| self.line())
    }

    fn take(&mut self, mut piece: &[u8], lines: &mut Vec<Vec<u8>>) {
        while self.begun.len() + piece.len() > LINE_BYTES_MAX {
            let (fits, beyond) = piece.split_at(LINE_BYTES_MAX - self.begun.len());
            self.begun.extend_from_slice(fits);
            lines.push(std::mem::take(&mut self.begun));
            piece = beyond;
        }
        self.begun.extend_from_slice(piece);
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.begun);
        line.pop_if(|last| *last == b'\r');
        line
    }
}

/// The last lines of a process, as text: what is no UTF-8 is replaced.
#[derive(Debug, Default)]
pub(super) struct LastLines(VecDeque<String>);

impl LastLines {
    /// Keeps this line, and forgets the oldest if it must.
    pub(super) fn push(&mut self, line: &[u8]) {
        if self.0.len() == LAST_LINES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(String::from_utf8_lossy(line).into_owned());
    }

    /// The lines, oldest first.
    pub(super) fn into_vec(self) -> Vec<String> {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        pieces.iter().for_each(|piece| cutter.cut(piece, &mut lines));
        lines.extend(cutter.rest());
        lines
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        assert_eq!(cut(&[b"one\ntw", b"o\r\n", b"\nthr", b"ee"]), [&b"one"[..], b"two", b"", b"three"]);
        assert!(cut(&[b"", b""]).is_empty());
    }

    #[test]
    fn a_huge_line_is_cut_and_nothing_of_it_is_lost() {
        let huge = [b'x'; 2 * LINE_BYTES_MAX + 1];
        let lengths: Vec<_> = cut(&[&huge, b"\n", b"next"]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 1, 4]);
        assert_eq!(cut(&[&huge[..LINE_BYTES_MAX], b"\n"]).len(), 1, "a line of just this length is one line");
    }

    #[test]
    fn the_last_lines_are_bounded_and_are_text() {
        let mut last = LastLines::default();
        (0..=LAST_LINES_MAX).for_each(|number| last.push(format!("line {number}").as_bytes()));
        last.push(b"\xff\xfe");
        let last = last.into_vec();
        assert_eq!((last.len(), &*last[0], &*last[LAST_LINES_MAX - 1]), (LAST_LINES_MAX, "line 2", "\u{fffd}\u{fffd}"));
    }

    proptest! {
        #[test]
        fn any_bytes_become_the_same_lines_however_they_are_read(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300),
            at in any::<proptest::sample::Index>(),
        ) {
            let (left, right) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(cut(&[&bytes]), cut(&[left, right]));
        }
    }
}
