//! The names of services that are reserved for the broker and for pools.

use crate::wire::method::MethodName;

/// The name of the broker's own service.
pub(crate) const SERVICE: &str = "callboard";
/// The prefix of the name of a pool's service.
pub(crate) const POOL_PREFIX: &str = "callboard.pool.";
/// The method of a pool's service that any client may call. The others change the pool and are for operators.
const POOL_METHOD_FOR_ALL: &str = "status";

/// Returns whether a service's name is the broker's or a pool's.
pub(crate) fn is_reserved(service: &str) -> bool {
    service == SERVICE || service.starts_with("callboard.")
}

/// Returns whether only an operator may call a method of a pool. The broker checks it, because a pool is not informed
/// who its callers are.
pub(crate) fn is_for_operators(method: &MethodName) -> bool {
    method.service().starts_with(POOL_PREFIX) && method.method() != POOL_METHOD_FOR_ALL
}
