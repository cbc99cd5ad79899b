//! The offers of a service: what the worker registers at the broker, with the handlers in the same order.

use callboard_core::{
    body,
    contract::ServiceDescription,
    wire::{
        envelope::Effect,
        handshake::{ContractOffer, MethodLimits, MethodOffer, Offer},
        limits::{
            DESCRIPTION_BYTES_MAX, PREFETCH_BLOCKING_DEFAULT, SLOTS_ASYNC_DEFAULT, SLOTS_BLOCKING_DEFAULT, SLOTS_MAX,
        },
        method,
    },
};

use super::{Method, Service, ServiceError};
use crate::handler::ErasedHandler;

/// Converts a service to offers: one for its async and one for its blocking functions, because they have separate slots.
///
/// # Errors
/// [`ServiceError`] if the service is invalid.
pub(crate) fn into_offers(service: Service) -> Result<Vec<(Offer, Vec<ErasedHandler>)>, ServiceError> {
    check(&service)?;
    let mut contract = contract_offer(&service.description());
    let Service { name, mut methods, slots, prefetch, description: _, limits } = service;
    apply_limits(&mut methods, limits);
    let is_async = |method: &Method| matches!(method.handler, ErasedHandler::Async(_));
    let (asynchronous, blocking): (Vec<_>, Vec<_>) = methods.into_iter().partition(is_async);
    let prefetch_blocking = prefetch_default(&blocking);
    let halves = [(asynchronous, SLOTS_ASYNC_DEFAULT, 0), (blocking, SLOTS_BLOCKING_DEFAULT, prefetch_blocking)];
    let offers = halves.into_iter().filter(|(methods, ..)| !methods.is_empty()).map(|(methods, default, ready)| {
        let (slots, prefetch) = (slots.unwrap_or(default), prefetch.unwrap_or(ready));
        let (methods, handlers) = methods.into_iter().map(|method| (method.offer, method.handler)).unzip();
        // Only the first offer contains the description.
        let hash_only = ContractOffer { hash: contract.hash, description: None };
        let contract = Some(std::mem::replace(&mut contract, hash_only));
        let service = name.clone();
        (Offer { service, slots, free: slots, prefetch, keys: Vec::new(), methods, contract }, handlers)
    });
    Ok(offers.collect())
}

/// Returns the default prefetch of blocking functions. A process that is killed loses the calls that it has queued, and `once` methods
/// are not called again.
fn prefetch_default(blocking: &[Method]) -> u32 {
    let is_once = |method: &Method| method.offer.effect == Effect::Once;
    if blocking.iter().any(is_once) { 0 } else { PREFETCH_BLOCKING_DEFAULT }
}

/// Adds the limits to their methods. A later limit replaces an earlier one of the same kind.
fn apply_limits(methods: &mut [Method], limits: Vec<(String, MethodLimits)>) {
    for (method, MethodLimits { soft_ms, hard_ms, concurrency }) in limits {
        let limited = methods.iter_mut().find(|other| other.offer.name == method);
        let current = &mut limited.expect("`check` has found the method").offer.limits;
        *current = MethodLimits {
            soft_ms: soft_ms.or(current.soft_ms),
            hard_ms: hard_ms.or(current.hard_ms),
            concurrency: concurrency.or(current.concurrency),
        };
    }
}

fn check(service: &Service) -> Result<(), ServiceError> {
    let name = || service.name.clone();
    method::check_service(&service.name).map_err(|error| ServiceError::InvalidName { service: name(), error })?;
    if let Some(slots) = service.slots.filter(|slots| !(1..=SLOTS_MAX).contains(slots)) {
        return Err(ServiceError::InvalidSlots { service: name(), slots });
    }
    for (method, limits) in &service.limits {
        check_limits(service, method, limits)?;
    }
    for (index, Method { offer, .. }) in service.methods.iter().enumerate() {
        check_method(service, &service.methods[..index], offer)?;
    }
    Ok(())
}

fn check_limits(service: &Service, method: &str, limits: &MethodLimits) -> Result<(), ServiceError> {
    let (service_name, method_name) = (|| service.name.clone(), || method.to_owned());
    if !service.methods.iter().any(|other| other.offer.name == method) {
        return Err(ServiceError::UnknownMethod { service: service_name(), method: method_name() });
    }
    if limits.concurrency == Some(0) {
        return Err(ServiceError::InvalidConcurrency { service: service_name(), method: method_name() });
    }
    Ok(())
}

fn check_method(service: &Service, earlier: &[Method], offer: &MethodOffer) -> Result<(), ServiceError> {
    let name = || service.name.clone();
    for identifier in offer.arguments.iter().chain([&offer.name]) {
        method::check_identifier(identifier).map_err(|error| ServiceError::InvalidName { service: name(), error })?;
    }
    if earlier.iter().any(|other| other.offer.name == offer.name) {
        return Err(ServiceError::DuplicateMethod { service: name(), method: offer.name.clone() });
    }
    Ok(())
}

/// Returns the part of a description that is registered: its hash, and the description itself unless it is too large.
fn contract_offer(description: &ServiceDescription) -> ContractOffer {
    let encoded = body::encode(description).ok().filter(|encoded| encoded.len() <= DESCRIPTION_BYTES_MAX);
    if encoded.is_none() {
        let max = DESCRIPTION_BYTES_MAX;
        tracing::warn!(target: crate::log::WORKER,
            service = description.name,
            "the description is larger than {max} bytes: `callboard describe` will not show it"
        );
    }
    ContractOffer { hash: description.hash(), description: encoded }
}
