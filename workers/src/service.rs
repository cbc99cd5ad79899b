//! A service: functions under names.

use std::time::Duration;

use callboard_core::{
    body,
    contract::{MethodDescription, ServiceDescription},
    wire::{
        envelope::Effect,
        handshake::{ContractOffer, MethodLimits, MethodOffer, Offer},
        limits::{DESCRIPTION_BYTES_MAX, SLOTS_ASYNC_DEFAULT, SLOTS_BLOCKING_DEFAULT, SLOTS_MAX},
        method::{self, NameError},
    },
};

use crate::handler::{Handler, Prepared};

/// A named set of functions that a worker serves.
///
/// ```
/// use callboard_workers::Service;
///
/// fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// async fn greet(name: String) -> String {
///     format!("Hello, {name}!")
/// }
///
/// let service = Service::new("calculator").read("add", ["x", "y"], add).read("greet", ["name"], greet);
/// # drop(service);
/// ```
///
/// The number of names must be the number of parameters; the compiler checks it:
///
/// ```compile_fail
/// # use callboard_workers::Service;
/// fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
/// Service::new("calculator").read("add", ["x"], add);
/// ```
#[derive(Debug)]
pub struct Service {
    name: String,
    methods: Vec<Method>,
    slots: Option<u32>,
    prefetch: u32,
    /// What is known of it beyond names and effects.
    description: Option<ServiceDescription>,
    /// Limits of methods, by their names.
    limits: Vec<(String, MethodLimits)>,
}

/// One function of a service.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) offer: MethodOffer,
    pub(crate) handler: Prepared,
}

/// A service that a broker would not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A name of the service, a method or an argument that is no name.
    #[error("service {service}: {error}")]
    Name {
        /// The service.
        service: String,
        /// What is wrong with the name.
        error: NameError,
    },
    /// Two methods of one name.
    #[error("service {service} has two methods {method}: give one another name")]
    Twice {
        /// The service.
        service: String,
        /// The method.
        method: String,
    },
    /// A limit for a method that is not there.
    #[error("service {service} has no method {method} to limit: name one that was added")]
    NoMethod {
        /// The service.
        service: String,
        /// The method.
        method: String,
    },
    /// No call of a method may run.
    #[error("service {service} lets no call of {method} run: its concurrency must be 1 at least")]
    Concurrency {
        /// The service.
        service: String,
        /// The method.
        method: String,
    },
    /// No slots, or too many.
    #[error("service {service} has {slots} slots: give it 1 to {SLOTS_MAX}")]
    Slots {
        /// The service.
        service: String,
        /// Its slots.
        slots: u32,
    },
}

impl Service {
    /// A service without methods yet. Its name may have dots: `billing.invoices`.
    pub fn new(name: impl Into<String>) -> Service {
        Service {
            name: name.into(),
            methods: Vec::new(),
            slots: None,
            prefetch: 0,
            description: None,
            limits: Vec::new(),
        }
    }

    /// A method that changes nothing: it may be run again if its worker is lost.
    pub fn read<M, const N: usize>(
        self,
        name: &str,
        arguments: [&'static str; N],
        handler: impl Handler<M, N>,
    ) -> Service {
        self.method(Effect::Read, name, arguments, handler)
    }

    /// A method that may be run again because the world is the same afterwards, such as `put(key, value)`.
    pub fn idempotent<M, const N: usize>(
        self,
        name: &str,
        arguments: [&'static str; N],
        handler: impl Handler<M, N>,
    ) -> Service {
        self.method(Effect::Idempotent, name, arguments, handler)
    }

    /// A method that is never run twice for one call: if its worker is lost, the caller is told that it may have run.
    pub fn once<M, const N: usize>(
        self,
        name: &str,
        arguments: [&'static str; N],
        handler: impl Handler<M, N>,
    ) -> Service {
        self.method(Effect::Once, name, arguments, handler)
    }

    /// How many calls this worker runs at once. Default: 64 for async functions; blocking ones run one at a time, each slot more
    /// is a thread more.
    pub fn slots(self, slots: u32) -> Service {
        Service { slots: Some(slots), ..self }
    }

    /// How many calls the worker holds ready beyond its slots. Default: 0. More hides the way to the broker and back, and
    /// makes a call wait behind a slow one while another worker is idle.
    pub fn prefetch(self, prefetch: u32) -> Service {
        Service { prefetch, ..self }
    }

    /// What its methods are in full: a trait that is a service says so by itself. Methods that are not in it are added by their names.
    pub fn described(self, description: ServiceDescription) -> Service {
        Service { description: Some(description), ..self }
    }

    /// What it is: as it was described, else the names, effects and streams of its methods.
    pub fn description(&self) -> ServiceDescription {
        let described = self.description.clone();
        let mut description = described.unwrap_or_else(|| ServiceDescription::new(&self.name, ""));
        for Method { offer, .. } in &self.methods {
            if description.method(&offer.name).is_none() {
                let method = MethodDescription::untyped(&offer.name, offer.effect, &offer.arguments);
                description.methods.push(method.streaming(offer.style));
            }
        }
        description
    }

    /// How long a call of a method may run before the broker's log says that it takes long.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use callboard_workers::Service;
    /// # fn render(page: u32) -> u32 { page }
    /// let service = Service::new("pages")
    ///     .read("render", ["page"], render)
    ///     .soft_limit("render", Duration::from_secs(2))
    ///     .hard_limit("render", Duration::from_secs(20));
    /// # drop(service);
    /// ```
    pub fn soft_limit(self, method: &str, limit: Duration) -> Service {
        self.limited(method, MethodLimits { soft_ms: Some(millis(limit)), ..MethodLimits::default() })
    }

    /// How long a call of a method may run at most. Then its caller is told DEADLINE_EXCEEDED and the handler is stopped: an async
    /// one at its next await, a blocking one if it looks at its [`Context`](crate::Context). One that does neither has its whole
    /// process replaced by its pool. Time-outs are the callers' patience; this is what the author holds for possible.
    pub fn hard_limit(self, method: &str, limit: Duration) -> Service {
        self.limited(method, MethodLimits { hard_ms: Some(millis(limit)), ..MethodLimits::default() })
    }

    /// How many calls of a method run at once at most, over all workers of the service: for what bears less than the workers have slots,
    /// such as a database or a licence. The broker lets the others wait, and gives their slots to other methods meanwhile. Workers
    /// that disagree: the latest word counts. A call whose worker was lost counts no more, though it may still run there.
    ///
    /// ```
    /// # use callboard_workers::Service;
    /// # async fn report(year: u32) -> u32 { year }
    /// let service = Service::new("books").read("report", ["year"], report).concurrency("report", 2);
    /// # drop(service);
    /// ```
    pub fn concurrency(self, method: &str, calls: u32) -> Service {
        self.limited(method, MethodLimits { concurrency: Some(calls), ..MethodLimits::default() })
    }

    fn limited(mut self, method: &str, limits: MethodLimits) -> Service {
        self.limits.push((method.to_owned(), limits));
        self
    }

    fn method<M, const N: usize>(
        mut self,
        effect: Effect,
        name: &str,
        arguments: [&'static str; N],
        handler: impl Handler<M, N>,
    ) -> Service {
        let arguments_offered = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let offer = MethodOffer {
            name: name.to_owned(),
            effect,
            arguments: arguments_offered,
            style: handler.style(),
            limits: MethodLimits::default(),
        };
        self.methods.push(Method { offer, handler: handler.prepare(arguments) });
        self
    }

    /// What the worker offers of it: its async and its blocking functions apart, for they have slots of their own.
    pub(crate) fn into_offers(self) -> Result<Vec<(Offer, Vec<Prepared>)>, ServiceError> {
        self.check()?;
        let mut contract = contract(&self.description());
        let Service { name, mut methods, slots, prefetch, description: _, limits } = self;
        for (method, MethodLimits { soft_ms, hard_ms, concurrency }) in limits {
            let limited = methods.iter_mut().find(|other| other.offer.name == method);
            let known = &mut limited.expect("checked above: the method is there").offer.limits;
            *known = MethodLimits {
                soft_ms: soft_ms.or(known.soft_ms),
                hard_ms: hard_ms.or(known.hard_ms),
                concurrency: concurrency.or(known.concurrency),
            };
        }
        let is_async = |method: &Method| matches!(method.handler, Prepared::Async(_));
        let (of_async, of_blocking): (Vec<_>, Vec<_>) = methods.into_iter().partition(is_async);
        let halves = [(of_async, SLOTS_ASYNC_DEFAULT), (of_blocking, SLOTS_BLOCKING_DEFAULT)];
        let offered = halves.into_iter().filter(|(methods, _)| !methods.is_empty()).map(|(methods, default)| {
            let slots = slots.unwrap_or(default);
            let (methods, handlers) = methods.into_iter().map(|method| (method.offer, method.handler)).unzip();
            // The description travels once.
            let hash_alone = ContractOffer { hash: contract.hash, description: None };
            let contract = Some(std::mem::replace(&mut contract, hash_alone));
            (
                Offer { service: name.clone(), slots, free: slots, prefetch, keys: Vec::new(), methods, contract },
                handlers,
            )
        });
        Ok(offered.collect())
    }

    fn check(&self) -> Result<(), ServiceError> {
        let service = || self.name.clone();
        let named = |error| ServiceError::Name { service: service(), error };
        method::check_service(&self.name).map_err(named)?;
        if let Some(slots) = self.slots.filter(|slots| !(1..=SLOTS_MAX).contains(slots)) {
            return Err(ServiceError::Slots { service: service(), slots });
        }
        for (limited, limits) in &self.limits {
            if !self.methods.iter().any(|method| method.offer.name == *limited) {
                return Err(ServiceError::NoMethod { service: service(), method: limited.clone() });
            }
            if limits.concurrency == Some(0) {
                return Err(ServiceError::Concurrency { service: service(), method: limited.clone() });
            }
        }
        for (at, Method { offer, .. }) in self.methods.iter().enumerate() {
            let names = offer.arguments.iter().chain([&offer.name]);
            names.into_iter().try_for_each(|name| method::check_identifier(name)).map_err(named)?;
            if self.methods[..at].iter().any(|other| other.offer.name == offer.name) {
                return Err(ServiceError::Twice { service: service(), method: offer.name.clone() });
            }
        }
        Ok(())
    }
}

/// What is registered of a description.
fn contract(description: &ServiceDescription) -> ContractOffer {
    let encoded = body::encode(description).ok().filter(|encoded| encoded.len() <= DESCRIPTION_BYTES_MAX);
    if encoded.is_none() {
        let max = DESCRIPTION_BYTES_MAX;
        tracing::warn!(
            service = description.name,
            "the description has more than {max} bytes: `callboard describe` will not show it"
        );
    }
    ContractOffer { hash: description.hash(), description: encoded }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::context::Context;

    fn blocking(x: i64) -> i64 {
        x
    }

    async fn fallible(_context: Context, x: i64) -> Result<i64, String> {
        Ok(x)
    }

    #[test]
    fn async_and_blocking_functions_have_slots_of_their_own() {
        let service = Service::new("both").read("one", ["x"], blocking).once("two", ["x"], fallible);
        let offers = service.into_offers().unwrap();
        let shape: Vec<_> = offers.iter().map(|(offer, _)| (offer.methods[0].name.as_str(), offer.slots)).collect();
        assert_eq!(shape, [("two", SLOTS_ASYNC_DEFAULT), ("one", SLOTS_BLOCKING_DEFAULT)]);
        assert_eq!(offers[0].0.methods[0].effect, Effect::Once);
    }

    #[test]
    fn a_description_is_registered_once_and_without_one_it_is_made_of_names_and_effects() {
        let service = Service::new("both").read("one", ["x"], blocking).once("two", ["y"], fallible);
        let offers = service.into_offers().unwrap();
        let [first, second] = [0, 1].map(|at| offers[at].0.contract.clone().unwrap());
        assert_eq!((first.hash, second.description), (second.hash, None));
        let description: ServiceDescription = body::decode(&first.description.unwrap()).unwrap();
        let [one, two] = &description.methods[..] else { panic!("two methods: {description:?}") };
        assert_eq!((one.to_string(), two.effect), ("one(x)".to_owned(), Effect::Once));
    }

    #[test]
    fn a_description_that_is_too_large_is_left_out() {
        let description = ServiceDescription::new("s", "x".repeat(DESCRIPTION_BYTES_MAX));
        let offers = Service::new("s").read("one", ["x"], blocking).described(description).into_offers().unwrap();
        assert_eq!(offers[0].0.contract.as_ref().unwrap().description, None);
    }

    #[test]
    fn a_service_that_no_broker_would_take_is_refused_here() {
        let twice = Service::new("s").read("one", ["x"], blocking).read("one", ["x"], blocking);
        assert!(matches!(twice.into_offers(), Err(ServiceError::Twice { .. })));
        assert!(matches!(Service::new("no name").into_offers(), Err(ServiceError::Name { .. })));
        let limited = Service::new("s").read("one", ["x"], blocking).hard_limit("two", Duration::from_secs(1));
        assert!(matches!(limited.into_offers(), Err(ServiceError::NoMethod { .. })));
        let stopped = Service::new("s").read("one", ["x"], blocking).concurrency("one", 0);
        assert!(matches!(stopped.into_offers(), Err(ServiceError::Concurrency { .. })));
        let slotless = Service::new("s").slots(0).read("one", ["x"], blocking);
        assert!(matches!(slotless.into_offers(), Err(ServiceError::Slots { .. })));
    }

    #[test]
    fn closures_of_every_shape_are_handlers() {
        let service = Service::new("shapes")
            .read("none", [], || 5)
            .read("sync_closure", ["x"], |x: u8| x + 1)
            .read("async_closure", ["x", "y"], |x: u8, y: u8| async move { x + y })
            .read("context", ["x"], |context: Context, x: u8| (context.attempt(), x))
            .idempotent("unit", ["x"], |_: String| {});
        assert_eq!(service.into_offers().unwrap().len(), 2);
    }
}
