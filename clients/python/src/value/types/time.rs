//! Dates and times: `datetime`, `date` and `timedelta`.

use callboard_core::body::Head;
use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyInt},
};

use super::{
    imported::Imported,
    number,
    rfc3339::{self, Timestamp},
};
use crate::value::problem::Problem;

/// The tag of a text that is a date with time and offset, as in RFC 3339.
pub(crate) const TAG_DATETIME: u64 = 0;
/// The tag of a number of seconds since 1970 (UTC).
pub(crate) const TAG_EPOCH: u64 = 1;
/// The tag of a number of days since 1970-01-01 (RFC 8943).
pub(crate) const TAG_DAYS: u64 = 100;
/// The tag of a map that is a duration (RFC 9581).
pub(crate) const TAG_DURATION: u64 = 1002;
/// The tag of a text that is a date, as in RFC 3339 (RFC 8943).
pub(crate) const TAG_DATE: u64 = 1004;

/// The keys of a duration.
const SECONDS: i64 = 1;
const MICROSECONDS: i64 = -6;
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

pub(crate) static DATETIME: Imported = Imported::new("datetime", "datetime");
pub(crate) static DATE: Imported = Imported::new("datetime", "date");
pub(crate) static TIME: Imported = Imported::new("datetime", "time");
pub(crate) static TIMEDELTA: Imported = Imported::new("datetime", "timedelta");
static TIMEZONE: Imported = Imported::new("datetime", "timezone");

/// Encodes a `datetime` with a time zone. The offset is kept, the name of the zone is not.
pub(crate) fn encode_datetime(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let text = rfc3339_text(value)?;
    match rfc3339::timestamp(&text).map(|timestamp| timestamp.offset_minutes) {
        Some(Some(0)) => write_text(out, TAG_DATETIME, &[text.strip_suffix("+00:00").unwrap_or(&text), "Z"]),
        Some(Some(_)) => write_text(out, TAG_DATETIME, &[&text]),
        Some(None) => {
            let hint = "use datetime.now(timezone.utc) or value.astimezone()";
            return Err(Problem::unsupported(format!("cannot send a datetime without time zone; {hint}")));
        }
        None => {
            return Err(Problem::unsupported(format!("cannot send a datetime that RFC 3339 cannot represent: {text}")));
        }
    }
    Ok(())
}

/// Returns the text of a `datetime`. If its offset has seconds, as local mean times before 1900 have, it is converted to UTC:
/// RFC 3339 has no such offsets.
fn rfc3339_text(value: &Bound<'_, PyAny>) -> Result<String, Problem> {
    let py = value.py();
    let text = isoformat(value)?;
    if rfc3339::timestamp(&text).is_some() || !value.call_method0(intern!(py, "utcoffset"))?.is_truthy()? {
        return Ok(text);
    }
    let in_utc = value.call_method1(intern!(py, "astimezone"), (utc(py)?,));
    Ok(isoformat(&in_utc.map_err(|error| Problem::rejected(py, "datetime", error))?)?)
}

/// Encodes a `date` that is no `datetime`.
pub(crate) fn encode_date(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
    write_text(out, TAG_DATE, &[&isoformat(value)?]);
    Ok(())
}

/// Encodes a `timedelta` as seconds and, if there are any, microseconds.
pub(crate) fn encode_timedelta(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let py = value.py();
    let days: i64 = value.getattr(intern!(py, "days"))?.extract()?;
    let seconds: i64 = value.getattr(intern!(py, "seconds"))?.extract()?;
    let microseconds: i64 = value.getattr(intern!(py, "microseconds"))?.extract()?;
    Head::Tag(TAG_DURATION).write(out);
    Head::Map(Some(1 + u64::from(microseconds != 0))).write(out);
    number::encode_i64(out, SECONDS);
    number::encode_i64(out, days * SECONDS_PER_DAY + seconds);
    if microseconds != 0 {
        number::encode_i64(out, MICROSECONDS);
        number::encode_i64(out, microseconds);
    }
    Ok(())
}

fn isoformat(value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.call_method0(intern!(value.py(), "isoformat"))?.extract()
}

fn write_text(out: &mut Vec<u8>, tag: u64, parts: &[&str]) {
    Head::Tag(tag).write(out);
    Head::Text(Some(parts.iter().map(|part| part.len() as u64).sum())).write(out);
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

/// Returns the `datetime` of tag 0.
pub(crate) fn decode_datetime<'py>(py: Python<'py>, text: &str) -> Result<Bound<'py, PyAny>, Problem> {
    let timestamp = rfc3339::timestamp(text).and_then(|timestamp| Some((timestamp.offset_minutes?, timestamp)));
    let Some((offset_minutes, Timestamp { date, time, microsecond, .. })) = timestamp else {
        return Err(Problem::invalid(format!("tag 0: not a date and time of RFC 3339: {}", excerpt(text))));
    };
    let zone = match offset_minutes {
        0 => utc(py)?,
        minutes => TIMEZONE.get(py)?.call1((TIMEDELTA.get(py)?.call1((0, i64::from(minutes) * 60))?,))?,
    };
    let arguments = (date.0, date.1, date.2, time.0, time.1, time.2, microsecond, zone);
    DATETIME.get(py)?.call1(arguments).map_err(|error| Problem::rejected(py, "datetime", error))
}

/// Returns the `date` of tag 1004.
pub(crate) fn decode_date<'py>(py: Python<'py>, text: &str) -> Result<Bound<'py, PyAny>, Problem> {
    let date = rfc3339::date(text)
        .ok_or_else(|| Problem::invalid(format!("tag 1004: not a date of RFC 3339: {}", excerpt(text))))?;
    DATE.get(py)?.call1(date).map_err(|error| Problem::rejected(py, "date", error))
}

/// Returns the `datetime` of tag 1, an integer or a float of seconds.
pub(crate) fn decode_epoch<'py>(seconds: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Problem> {
    let py = seconds.py();
    let from_epoch = || {
        let epoch = DATETIME.get(py)?.call1((1970, 1, 1, 0, 0, 0, 0, utc(py)?))?;
        epoch.add(TIMEDELTA.get(py)?.call1((0, seconds))?)
    };
    from_epoch().map_err(|error| Problem::rejected(py, "datetime", error))
}

/// Returns the `date` of tag 100, an integer of days.
pub(crate) fn decode_days<'py>(days: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Problem> {
    let py = days.py();
    let from_epoch = || DATE.get(py)?.call1((1970, 1, 1))?.add(TIMEDELTA.get(py)?.call1((days,))?);
    from_epoch().map_err(|error| Problem::rejected(py, "date", error))
}

/// Returns the `timedelta` of a duration, or `None` if it has parts that a `timedelta` cannot hold.
pub(crate) fn decode_duration<'py>(parts: &Bound<'py, PyDict>) -> Result<Option<Bound<'py, PyAny>>, Problem> {
    let py = parts.py();
    let (seconds, microseconds) = (parts.get_item(SECONDS)?, parts.get_item(MICROSECONDS)?);
    let is_integer =
        |part: &Option<Bound<'py, PyAny>>| part.as_ref().is_none_or(|part| part.is_exact_instance_of::<PyInt>());
    let known = usize::from(seconds.is_some()) + usize::from(microseconds.is_some());
    if seconds.is_none() || known != parts.len() || !is_integer(&seconds) || !is_integer(&microseconds) {
        return Ok(None);
    }
    let duration = match microseconds {
        Some(microseconds) => TIMEDELTA.get(py)?.call1((0, seconds, microseconds)),
        None => TIMEDELTA.get(py)?.call1((0, seconds)),
    };
    duration.map(Some).map_err(|error| Problem::rejected(py, "timedelta", error))
}

fn utc(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    TIMEZONE.get(py)?.getattr(intern!(py, "utc"))
}

fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}
