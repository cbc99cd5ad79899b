//! The names of services and methods.

use std::fmt;

use smol_str::SmolStr;

use super::limits::NAME_BYTES_MAX;

/// The full name of a method, `SERVICE.METHOD`, which is split at its last dot. A clone is cheap, and keeps no buffer alive.
///
/// Each hop of each call has one. So names of up to 23 bytes need no allocation and no reference count. Where the dot is is not stored: it
/// takes a few instructions to find, and eight bytes of each waiting call to store.
#[derive(Clone, PartialEq, Eq)]
pub struct MethodName(SmolStr);

/// Why a name is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name exceeds its limit.
    #[error("names must not exceed {NAME_BYTES_MAX} bytes, and this one has {0}")]
    TooLong(usize),
    /// The name has no dot between a service and a method.
    #[error("{0:?} is not the name of a method: write SERVICE.METHOD, for example calculator.add")]
    MissingDot(String),
    /// A part of the name is not `[A-Za-z_][A-Za-z0-9_]*`.
    #[error(
        "{0:?} is not a valid name: each part must start with a letter or _ and continue with letters, digits or _"
    )]
    InvalidPart(String),
}

impl MethodName {
    /// Parses `SERVICE.METHOD`.
    ///
    /// # Errors
    /// [`NameError`] if the name is too long, has no dot, or has a part that is not an identifier.
    pub fn parse(full: impl AsRef<str>) -> Result<MethodName, NameError> {
        let full = full.as_ref();
        if full.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(full.len()));
        }
        if is_method(full) { Ok(MethodName(full.into())) } else { Err(name_error(full)) }
    }

    /// Returns the name of the service: everything before the last dot.
    pub fn service(&self) -> &str {
        self.parts().0
    }

    /// Returns the name of the method within its service.
    pub fn method(&self) -> &str {
        self.parts().1
    }

    /// Returns the full name, `SERVICE.METHOD`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        let dot = self.0.bytes().rposition(|byte| byte == b'.').expect("a name has a dot, checked when it was parsed");
        (&self.0[..dot], &self.0[dot + 1..])
    }
}

/// Checks that `name` is a valid name of a service: identifiers, joined by dots.
///
/// # Errors
/// [`NameError`] with the reason.
pub fn check_service(name: &str) -> Result<(), NameError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(name.len()));
    }
    check_parts(name)
}

/// Checks that `name` is a valid name of a method or an argument: one identifier.
///
/// # Errors
/// [`NameError`] with the reason.
pub fn check_identifier(name: &str) -> Result<(), NameError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(name.len()));
    }
    if is_identifier(name) { Ok(()) } else { Err(NameError::InvalidPart(name.to_owned())) }
}

/// Returns whether a name consists of two or more identifiers that are joined by dots. It is one pass, because it runs for each call.
fn is_method(name: &str) -> bool {
    let (mut has_dot, mut starts) = (false, true);
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => starts = false,
            b'0'..=b'9' if !starts => {}
            b'.' if !starts => (has_dot, starts) = (true, true),
            _ => return false,
        }
    }
    has_dot && !starts
}

/// Returns the error of an invalid name of a method.
#[cold]
fn name_error(full: &str) -> NameError {
    match check_parts(full) {
        Err(error) if full.contains('.') => error,
        _ => NameError::MissingDot(full.to_owned()),
    }
}

fn check_parts(name: &str) -> Result<(), NameError> {
    match name.split('.').find(|part| !is_identifier(part)) {
        Some(part) => Err(NameError::InvalidPart(part.to_owned())),
        None => Ok(()),
    }
}

/// Returns whether `text` is `[A-Za-z_][A-Za-z0-9_]*`.
pub fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_last_dot() {
        let name = MethodName::parse("callboard.pool.echo.status").unwrap();
        assert_eq!((name.service(), name.method()), ("callboard.pool.echo", "status"));
    }

    #[test]
    fn long_and_short_names_behave_alike() {
        for len in [1, 20, 21, 22, NAME_BYTES_MAX - 2] {
            let method = "m".repeat(len);
            let name = MethodName::parse(format!("s.{method}")).unwrap();
            assert_eq!((name.service(), name.method(), name.as_str().len()), ("s", &*method, len + 2));
            assert_eq!(name, name.clone());
            assert_ne!(name, MethodName::parse(format!("t.{method}")).unwrap());
        }
    }

    #[test]
    fn an_invalid_name_is_an_error_with_the_reason() {
        assert_eq!(MethodName::parse("add"), Err(NameError::MissingDot("add".into())));
        assert_eq!(MethodName::parse("calc."), Err(NameError::InvalidPart(String::new())));
        assert_eq!(MethodName::parse("calc.1st"), Err(NameError::InvalidPart("1st".into())));
        assert_eq!(MethodName::parse("é.add"), Err(NameError::InvalidPart("é".into())));
        let long = format!("a.{}", "b".repeat(NAME_BYTES_MAX));
        assert_eq!(MethodName::parse(long), Err(NameError::TooLong(NAME_BYTES_MAX + 2)));
    }
}
