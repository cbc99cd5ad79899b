//! The memory that registrations take: what the registry keeps of services, methods and offers, and the limits on it.
//!
//! The sizes of entries in maps are estimates. All names, arguments and descriptions are counted by their bytes.

use super::{Offer, OfferedMethod, Service, method::Method};
use crate::wire::{
    handshake::{self, Register},
    limits::{REGISTRATION_BYTES_MAX, REGISTRATIONS_BYTES_MAX},
};

/// The bytes of an entry of a map, besides its content.
const ENTRY_BYTES: usize = 64;

/// Returns the bytes of a service that is offered or has methods, without those of its calls.
pub(super) fn of_service(service: &Service) -> usize {
    if service.offers == 0 && service.methods().is_empty() {
        // Only callers have named it, and their calls are counted elsewhere.
        return 0;
    }
    let methods: usize = service.methods().iter().map(|method| of_method(&method.name, &method.arguments)).sum();
    of_service_name(&service.name)
        + methods
        + of_contracts(service.contracts.len(), service.contracts.description_bytes())
}

/// Returns the bytes of an offer, without those of its service.
pub(super) fn of_offer(offer: &Offer) -> usize {
    of_methods(offer.methods.len())
}

/// Returns the bytes that a registration takes if no other worker has registered any of its names.
fn of_registration(register: &Register) -> usize {
    register.offers.iter().map(of_new_offer).sum()
}

fn of_new_offer(offer: &handshake::Offer) -> usize {
    let methods: usize = offer.methods.iter().map(|method| of_method(&method.name, &method.arguments)).sum();
    let description = offer.contract.as_ref().and_then(|contract| contract.description.as_ref());
    of_service_name(&offer.service)
        + methods
        + of_contracts(offer.contract.iter().len(), description.map_or(0, |description| description.len()))
        + of_methods(offer.methods.len())
}

fn of_service_name(name: &str) -> usize {
    // The service, and its entries by name.
    size_of::<Service>() + 3 * (ENTRY_BYTES + name.len())
}

fn of_method(name: &str, arguments: &[String]) -> usize {
    let arguments: usize = arguments.iter().map(|argument| size_of::<String>() + argument.len()).sum();
    // The method, and its entry by name.
    size_of::<Method>() + ENTRY_BYTES + 2 * name.len() + arguments
}

fn of_contracts(count: usize, description_bytes: usize) -> usize {
    count * ENTRY_BYTES + description_bytes
}

fn of_methods(methods: usize) -> usize {
    // The offer, and its place among the candidates.
    size_of::<Offer>() + ENTRY_BYTES + methods * size_of::<OfferedMethod>()
}

/// Checks that a registration is within the limit of one worker.
///
/// # Errors
/// The text that names the limit.
pub(super) fn check_one(register: &Register) -> Result<(), String> {
    let (bytes, max) = (of_registration(register), REGISTRATION_BYTES_MAX);
    if bytes <= max {
        return Ok(());
    }
    Err(format!(
        "the registration takes {bytes} bytes, and one worker may take {max}: register fewer methods or shorter descriptions"
    ))
}

/// Checks that a registration fits beside the `held` bytes of the others.
///
/// # Errors
/// The text that names the limit.
pub(super) fn check_all(register: &Register, held: usize) -> Result<(), String> {
    let (bytes, max) = (of_registration(register), REGISTRATIONS_BYTES_MAX);
    if held + bytes <= max {
        return Ok(());
    }
    Err(format!(
        "the registration takes {bytes} bytes, those of all workers take {held}, and all together may take {max}: \
         run fewer workers that differ"
    ))
}
