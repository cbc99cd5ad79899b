//! Texts for people: durations, sizes and excerpts have one form in errors, logs and tables.

use std::{fmt, time::Duration};

/// The longest excerpt of a text that an error repeats, in characters.
const EXCERPT_CHARS_MAX: usize = 80;

/// A duration in its largest units, in the syntax of the settings: `118us`, `4.2ms`, `794ms`, `1.5s`, `7m 58s` or `2h 1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

/// A number of bytes in its largest unit, in the syntax of the settings: `512B`, `1.5KiB` or `16MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanBytes(pub u64);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (micros, seconds) = (self.0.as_micros(), self.0.as_secs());
        match seconds {
            _ if micros == 0 => f.write_str("0s"),
            _ if micros < 1_000 => write!(f, "{micros}us"),
            0 => tenths(f, micros / 100, "ms"),
            1..60 => tenths(f, self.0.as_millis() / 100, "s"),
            60..3_600 => pair(f, (seconds / 60, "m"), (seconds % 60, "s")),
            _ => pair(f, (seconds / 3_600, "h"), (seconds % 3_600 / 60, "m")),
        }
    }
}

impl fmt::Display for HumanBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths_of = |shift: u32| (u128::from(self.0) * 10) >> shift;
        match self.0 {
            0..0x400 => write!(f, "{}B", self.0),
            0x400..0x10_0000 => tenths(f, tenths_of(10), "KiB"),
            0x10_0000..0x4000_0000 => tenths(f, tenths_of(20), "MiB"),
            _ => tenths(f, tenths_of(30), "GiB"),
        }
    }
}

/// Writes a number that is given in tenths: with one decimal below ten, unless it is 0.
fn tenths(f: &mut fmt::Formatter<'_>, tenths: u128, unit: &str) -> fmt::Result {
    match tenths % 10 {
        decimal if decimal > 0 && tenths < 100 => write!(f, "{}.{decimal}{unit}", tenths / 10),
        _ => write!(f, "{}{unit}", tenths / 10),
    }
}

/// Writes a number of each of two units; only the first if the second is 0.
fn pair(f: &mut fmt::Formatter<'_>, (large, unit): (u64, &str), (small, small_unit): (u64, &str)) -> fmt::Result {
    write!(f, "{large}{unit}")?;
    if small > 0 { write!(f, " {small}{small_unit}") } else { Ok(()) }
}

/// Returns the beginning of a text that an error repeats: at most 80 characters, and the number of the others.
pub fn excerpt(text: &str) -> String {
    clipped(text, EXCERPT_CHARS_MAX)
}

/// Returns at most `max` characters of a text, and the number of the others.
pub fn clipped(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}... ({} more characters)", &text[..end], text[end..].chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_its_largest_units() {
        let texts = [
            (0, "0s"),
            (118, "118us"),
            (1_000, "1ms"),
            (4_250, "4.2ms"),
            (793_919, "793ms"),
            (1_000_000, "1s"),
            (1_250_000, "1.2s"),
            (59_999_999, "59s"),
            (480_000_000, "8m"),
            (478_000_000, "7m 58s"),
            (7_300_000_000, "2h 1m"),
        ];
        for (micros, text) in texts {
            assert_eq!(HumanDuration(Duration::from_micros(micros)).to_string(), text);
        }
        assert_eq!(HumanDuration(Duration::from_nanos(1)).to_string(), "0s");
    }

    #[test]
    fn a_size_has_its_largest_unit() {
        let texts = [(0, "0B"), (1_023, "1023B"), (1_536, "1.5KiB"), (16 << 20, "16MiB"), (1 << 40, "1024GiB")];
        for (bytes, text) in texts {
            assert_eq!(HumanBytes(bytes).to_string(), text);
        }
        assert_eq!(HumanBytes(u64::MAX).to_string(), "17179869183GiB");
    }

    #[test]
    fn an_excerpt_has_80_characters_and_the_number_of_the_others() {
        assert_eq!(excerpt("short"), "short");
        let long = "\u{e4}".repeat(100);
        assert_eq!(excerpt(&long), format!("{}... (20 more characters)", "\u{e4}".repeat(80)));
    }
}
