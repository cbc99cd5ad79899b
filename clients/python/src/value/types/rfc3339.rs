//! The texts of dates and times in RFC 3339. `fromisoformat` of Python 3.10 reads neither `Z` nor most fractions.

/// Year, month and day. Their ranges are not checked.
pub(crate) type Date = (u32, u32, u32);

/// A date with time, and an offset from UTC unless it is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp {
    pub(crate) date: Date,
    /// Hours, minutes and seconds. Their ranges are not checked.
    pub(crate) time: (u32, u32, u32),
    /// The fraction of the second. Digits after the sixth are dropped.
    pub(crate) microsecond: u32,
    pub(crate) offset_minutes: Option<i32>,
}

/// Reads `2026-11-29`.
pub(crate) fn date(text: &str) -> Option<Date> {
    let (date, rest) = split_date(text.as_bytes())?;
    rest.is_empty().then_some(date)
}

/// Reads `2026-11-29T12:30:00.25+01:00`.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    let (date, rest) = split_date(text.as_bytes())?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(after(rest, b':')?, 2)?;
    let (second, rest) = number(after(rest, b':')?, 2)?;
    let (microsecond, rest) = fraction(rest)?;
    let offset_minutes = offset(rest)?;
    Some(Timestamp { date, time: (hour, minute, second), microsecond, offset_minutes })
}

fn split_date(text: &[u8]) -> Option<(Date, &[u8])> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(after(rest, b'-')?, 2)?;
    let (day, rest) = number(after(rest, b'-')?, 2)?;
    Some(((year, month, day), rest))
}

fn after(text: &[u8], separator: u8) -> Option<&[u8]> {
    text.split_first().and_then(|(first, rest)| (*first == separator).then_some(rest))
}

/// Reads a number of exactly so many digits.
fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let value = number
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))?;
    Some((value, rest))
}

/// Reads the microseconds of `.25`, or 0 if no fraction is next.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some(digits) = after(text, b'.') else { return Some((0, text)) };
    let length = digits.iter().take_while(|digit| digit.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(length);
    let six = (0..6).map(|index| digits.get(index).map_or(0, |digit| u32::from(digit - b'0')));
    (length > 0).then(|| (six.fold(0, |value, digit| value * 10 + digit), rest))
}

/// Reads `Z`, `+01:00` or nothing.
fn offset(text: &[u8]) -> Option<Option<i32>> {
    let (sign, rest) = match text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = number(rest, 2)?;
    let (minutes, rest) = number(after(rest, b':')?, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60).then(|| Some(sign * (hours * 60 + minutes) as i32))
}
