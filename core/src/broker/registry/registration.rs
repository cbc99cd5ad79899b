//! The checks of a worker's registration.

use super::{
    super::{keys::WorkerKey, permissions, reserved},
    Registry,
    allowed::AllowedServices,
    footprint,
};
use crate::{
    auth::Principal,
    wire::{
        handshake::{self, Register},
        limits, method,
        status::{Code, Executed, Failure},
    },
};

impl Registry {
    /// Checks whether a worker may register these offers.
    pub(crate) fn check_registration(
        &self,
        key: WorkerKey,
        register: &Register,
        allowed: &AllowedServices,
    ) -> Result<(), Box<Failure>> {
        if register.offers.len() > limits::OFFERS_MAX {
            return reject(
                Code::InvalidArgument,
                format!("a worker must not offer more than {} services", limits::OFFERS_MAX),
            );
        }
        check_shared_slots(register).or_else(|message| reject(Code::InvalidArgument, message))?;
        let worker = self.worker(key);
        if !worker.offers.is_empty() && !worker.running.is_empty() {
            return reject(Code::FailedPrecondition, "a worker must not register while it runs calls".to_owned());
        }
        if register.offers.iter().map(|offer| offer.keys.len()).sum::<usize>() > limits::KEYS_IN_USE_MAX {
            return reject(Code::InvalidArgument, format!("more than {} keys are in use", limits::KEYS_IN_USE_MAX));
        }
        footprint::check_one(register).or_else(|message| reject(Code::InvalidArgument, message))?;
        let held = self.bytes() - worker.offers.iter().map(footprint::of_offer).sum::<usize>();
        footprint::check_all(register, held).or_else(|message| reject(Code::ResourceExhausted, message))?;
        for offer in &register.offers {
            check_offer(offer).or_else(|message| reject(Code::InvalidArgument, message))?;
            self.check_name(key, &offer.service, register.exclusive, allowed)?;
        }
        Ok(())
    }

    /// Checks whether a worker with this identity may serve the services that it serves.
    pub(crate) fn check_services(&self, key: WorkerKey, principal: &Principal) -> Result<(), Box<Failure>> {
        let mut services = self.worker(key).offers.iter().map(|offer| &*self.service(offer.service).name);
        let checked = services.try_for_each(|service| permissions::check_serve(principal, service));
        checked.or_else(|message| reject(Code::PermissionDenied, message))
    }

    /// Checks whether a worker may serve a service of that name, for itself alone if `exclusive`.
    fn check_name(
        &self,
        key: WorkerKey,
        name: &str,
        exclusive: bool,
        allowed: &AllowedServices,
    ) -> Result<(), Box<Failure>> {
        let pool = exclusive && name.starts_with(reserved::POOL_PREFIX);
        if reserved::is_reserved(name) && !pool {
            return reject(Code::PermissionDenied, format!("the name {name} belongs to the broker"));
        }
        let permitted = permissions::check_serve(&self.worker(key).principal, name);
        permitted.or_else(|message| reject(Code::PermissionDenied, message))?;
        if !allowed.allows(name) {
            let message = format!("{name} is not allowed at this broker, whose setting services is {allowed}");
            return reject(Code::PermissionDenied, message);
        }
        let Some(service) = self.find(name).map(|key| self.service(key)) else { return Ok(()) };
        let taken = service.exclusive.is_some_and(|owner| owner != key);
        let shared = exclusive && service.exclusive != Some(key) && service.offers > 0;
        if taken || shared {
            let name = name.strip_prefix(reserved::POOL_PREFIX).unwrap_or(name);
            let message = format!("the name {name} is in use at this broker; choose another");
            return reject(Code::FailedPrecondition, message);
        }
        Ok(())
    }
}

fn reject(code: Code, message: String) -> Result<(), Box<Failure>> {
    Err(Box::new(Failure::new(code, Executed::No, message)))
}

fn check_shared_slots(register: &Register) -> Result<(), String> {
    let max = limits::SLOTS_MAX;
    match register.slots {
        Some(slots) if slots == 0 || slots > max => {
            Err(format!("a worker with {slots} slots for all its services: use 1 to {max}"))
        }
        _ if register.prefetch > max => {
            Err(format!("a worker with a prefetch of {} for all its services: use 0 to {max}", register.prefetch))
        }
        _ => Ok(()),
    }
}

fn check_offer(offer: &handshake::Offer) -> Result<(), String> {
    method::check_service(&offer.service).map_err(|error| error.to_string())?;
    if offer.slots == 0 || offer.slots > limits::SLOTS_MAX || offer.prefetch > limits::SLOTS_MAX {
        return Err(format!("{} must have 1 to {} slots", offer.service, limits::SLOTS_MAX));
    }
    if offer.methods.len() > limits::METHODS_MAX {
        return Err(format!("{} has more than {} methods", offer.service, limits::METHODS_MAX));
    }
    if offer.keys.len() > (offer.slots - offer.free.min(offer.slots)) as usize {
        return Err(format!("{}: more keys are in use than slots", offer.service));
    }
    let longest = offer.methods.iter().map(|method| method.name.len()).max().unwrap_or(0);
    if offer.service.len() + 1 + longest > limits::NAME_BYTES_MAX {
        let max = limits::NAME_BYTES_MAX;
        return Err(format!("{}: SERVICE.METHOD must not exceed {max} bytes", offer.service));
    }
    let description = offer.contract.as_ref().and_then(|contract| contract.description.as_ref());
    if description.is_some_and(|description| description.len() > limits::DESCRIPTION_BYTES_MAX) {
        let max = limits::DESCRIPTION_BYTES_MAX;
        return Err(format!("{}: the description exceeds {max} bytes", offer.service));
    }
    if let Some(method) = offer.methods.iter().find(|method| method.limits.concurrency == Some(0)) {
        return Err(format!("{}.{}: the limit of concurrent calls must be at least 1", offer.service, method.name));
    }
    let names = offer.methods.iter().flat_map(|method| method.arguments.iter().chain([&method.name]));
    names.into_iter().try_for_each(|name| method::check_identifier(name)).map_err(|error| error.to_string())
}
