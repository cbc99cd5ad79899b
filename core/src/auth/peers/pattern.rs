//! Patterns of the names that a rule allows.

use std::fmt;

use super::RuleError;
use crate::wire::method::{self, MethodName};

/// The names that a rule allows: one name, every name below a prefix, or every name.
///
/// Its text form is `users.get`, `billing.*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Parses a pattern of methods, such as `users.get` or `users.*`.
    ///
    /// # Errors
    /// [`RuleError::Call`] if the text is not such a pattern.
    pub fn of_methods(text: &str) -> Result<Pattern, RuleError> {
        let is_valid = is_wildcard(text) || MethodName::parse(text).is_ok();
        if is_valid { Ok(Pattern(text.to_owned())) } else { Err(RuleError::call(text)) }
    }

    /// Parses a pattern of services, such as `users` or `billing.*`.
    ///
    /// # Errors
    /// [`RuleError::Serve`] if the text is not such a pattern.
    pub fn of_services(text: &str) -> Result<Pattern, RuleError> {
        let is_valid = is_wildcard(text) || method::check_service(text).is_ok();
        if is_valid { Ok(Pattern(text.to_owned())) } else { Err(RuleError::serve(text)) }
    }

    /// Returns whether the pattern allows a name.
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
            None => name == self.0,
        }
    }

    /// Returns the text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether a text is `*`, or `PREFIX.*` with a prefix that is a valid service.
fn is_wildcard(text: &str) -> bool {
    text == "*" || text.strip_suffix(".*").is_some_and(|prefix| method::check_service(prefix).is_ok())
}
