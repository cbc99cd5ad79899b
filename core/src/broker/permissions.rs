//! The rights that calls and registrations need.
//!
//! | action | right of a peer with rules |
//! |---|---|
//! | a call, stream, cast or broadcast | a call rule for the method |
//! | `callboard.ping`, `callboard.describe` | none |
//! | any other method of the broker or of a pool | a call rule for the method, or `operate` |
//! | a method for operators | `operate` |
//! | a registration | a serve rule for each service |
//!
//! The roles of a peer without rules decide: an operator may call the methods for operators, and every client all others.

use super::reserved;
use crate::{auth::Principal, wire::method::MethodName};

/// The methods of the broker that need no right: they show that the broker runs, and how its services are called.
const FREE: [&str; 2] = ["callboard.ping", "callboard.describe"];

/// Checks whether a peer may call a method. The broker's own methods for operators are checked where they run.
///
/// # Errors
/// A sentence that names the peer and the missing right.
pub(super) fn check_call(peer: &Principal, method: &MethodName) -> Result<(), String> {
    if reserved::is_for_operators(method) {
        return if peer.is_operator() { Ok(()) } else { Err(not_an_operator(peer, method.as_str())) };
    }
    let Some(rights) = peer.rights() else { return Ok(()) };
    let by_operating = rights.may_operate() && reserved::is_reserved(method.service());
    if rights.may_call(method) || by_operating || FREE.contains(&method.as_str()) {
        return Ok(());
    }
    Err(format!("peer {} may not call {method}: add \"{method}\" to its call rules", name_of(peer)))
}

/// Checks whether a peer may serve a service.
///
/// # Errors
/// A sentence that names the peer and the missing right.
pub(super) fn check_serve(peer: &Principal, service: &str) -> Result<(), String> {
    if peer.rights().is_none_or(|rights| rights.may_serve(service)) {
        return Ok(());
    }
    Err(format!("peer {} may not serve {service}: add \"{service}\" to its serve rules", name_of(peer)))
}

/// Returns the sentence for a call to a method for operators by a peer that is none.
pub(super) fn not_an_operator(peer: &Principal, method: &str) -> String {
    match peer.rights() {
        Some(_) => format!("{method} is for operators: set operate = true for peer {}", name_of(peer)),
        None => format!("{method} is for operators: your key must have that role"),
    }
}

fn name_of(peer: &Principal) -> &str {
    peer.name().map_or("-", AsRef::as_ref)
}
