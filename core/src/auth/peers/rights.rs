//! The rights of one peer.

use super::{Pattern, RuleError};
use crate::wire::{limits::PEER_RULES_MAX, method::MethodName};

/// The rights of one peer. What they do not allow is denied.
///
/// ```
/// use callboard_core::{auth::Rights, wire::method::MethodName};
///
/// let rights = Rights::new(&["calculator.*", "users.get"], &[], false)?;
/// assert!(rights.may_call(&MethodName::parse("calculator.add").expect("a name")));
/// assert!(!rights.may_call(&MethodName::parse("users.delete").expect("a name")));
/// # Ok::<(), callboard_core::auth::RuleError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    call: Vec<Pattern>,
    serve: Vec<Pattern>,
    operate: bool,
}

impl Rights {
    /// Creates the rights of a peer: the methods that it may call, the services that it may serve, and whether it may operate the
    /// broker and its pools.
    ///
    /// # Errors
    /// [`RuleError`] if a rule is not a pattern, or there are too many.
    pub fn new(call: &[&str], serve: &[&str], operate: bool) -> Result<Rights, RuleError> {
        if call.len().max(serve.len()) > PEER_RULES_MAX {
            return Err(RuleError::TooMany);
        }
        let call = call.iter().map(|rule| Pattern::of_methods(rule)).collect::<Result<_, _>>()?;
        let serve = serve.iter().map(|rule| Pattern::of_services(rule)).collect::<Result<_, _>>()?;
        Ok(Rights { call, serve, operate })
    }

    /// Returns whether the peer may call a method.
    pub fn may_call(&self, method: &MethodName) -> bool {
        self.call.iter().any(|pattern| pattern.matches(method.as_str()))
    }

    /// Returns whether the peer may serve a service.
    pub fn may_serve(&self, service: &str) -> bool {
        self.serve.iter().any(|pattern| pattern.matches(service))
    }

    /// Returns whether the peer may operate the broker and its pools.
    pub fn may_operate(&self) -> bool {
        self.operate
    }

    /// Returns the methods that the peer may call.
    pub fn call_rules(&self) -> &[Pattern] {
        &self.call
    }

    /// Returns the services that the peer may serve.
    pub fn serve_rules(&self) -> &[Pattern] {
        &self.serve
    }
}
