//! A service: functions that a worker serves under names.

mod error;
mod offers;

use std::time::Duration;

use callboard_core::{
    contract::{MethodDescription, ServiceDescription},
    wire::{
        envelope::Effect,
        handshake::{MethodLimits, MethodOffer},
    },
};

pub use self::error::ServiceError;
pub(crate) use self::offers::into_offers;
use crate::handler::{DynamicMethod, ErasedHandler, Handler};

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
/// The number of argument names must equal the number of parameters. The compiler checks this:
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
    prefetch: Option<u32>,
    /// The full description, if the program set one.
    description: Option<ServiceDescription>,
    /// The limits of methods, by name.
    limits: Vec<(String, MethodLimits)>,
}

/// One method of a service.
#[derive(Debug)]
struct Method {
    offer: MethodOffer,
    handler: ErasedHandler,
}

impl Service {
    /// Creates a service without methods. The name can have several parts: `billing.invoices`.
    pub fn new(name: impl Into<String>) -> Service {
        Service {
            name: name.into(),
            methods: Vec::new(),
            slots: None,
            prefetch: None,
            description: None,
            limits: Vec::new(),
        }
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds a method that changes nothing. The broker can run a call again if its worker is lost.
    pub fn read<M, const N: usize>(
        self,
        name: &str,
        arguments: [&'static str; N],
        handler: impl Handler<M, N>,
    ) -> Service {
        self.method(Effect::Read, name, arguments, handler)
    }

    /// Adds an idempotent method, such as `put(key, value)`. The broker can run a call again if its worker is lost.
    pub fn idempotent<M, const N: usize>(
        self,
        name: &str,
        arguments: [&'static str; N],
        handler: impl Handler<M, N>,
    ) -> Service {
        self.method(Effect::Idempotent, name, arguments, handler)
    }

    /// Adds a method that must not run twice for one call. If the worker is lost, the caller gets an error with the note that the call
    /// may have run.
    pub fn once<M, const N: usize>(
        self,
        name: &str,
        arguments: [&'static str; N],
        handler: impl Handler<M, N>,
    ) -> Service {
        self.method(Effect::Once, name, arguments, handler)
    }

    /// Adds a method that is known only at run time. Its slots are those of blocking functions: 1 by default.
    pub fn dynamic(mut self, method: DynamicMethod) -> Service {
        let DynamicMethod { name, effect, arguments, style, function } = method;
        let offer = MethodOffer { name, effect, arguments, style, limits: MethodLimits::default() };
        self.methods.push(Method { offer, handler: ErasedHandler::Dynamic(function) });
        self
    }

    /// Sets the number of slots: how many calls of the service this worker runs at once. Default: 64 for async functions and 1 for
    /// blocking functions. Each slot of a blocking function uses a thread. [`Worker::slots`](crate::Worker::slots) limits all services
    /// together.
    pub fn slots(self, slots: u32) -> Service {
        Service { slots: Some(slots), ..self }
    }

    /// Sets how many further calls the worker queues, of async functions and of blocking functions. A higher number hides the round trip
    /// to the broker. Default: 8 for blocking functions, unless one of them is a `once` method, because a process that is killed loses the
    /// calls that it has queued; 0 for async functions, which have slots enough. A queued call may wait for short calls while another
    /// worker is idle. Behind a call that takes longer than 20 ms it goes back to the broker.
    pub fn prefetch(self, prefetch: u32) -> Service {
        Service { prefetch: Some(prefetch), ..self }
    }

    /// Sets the full description of the methods. A trait with `#[callboard::service]` sets it itself. Methods that are missing in it are
    /// added by their names.
    pub fn with_description(self, description: ServiceDescription) -> Service {
        Service { description: Some(description), ..self }
    }

    /// Returns the description: the one that was set, plus the names, effects and streams of the other methods.
    pub fn description(&self) -> ServiceDescription {
        let mut description = self.description.clone().unwrap_or_else(|| ServiceDescription::new(&self.name, ""));
        for Method { offer, .. } in &self.methods {
            if description.method(&offer.name).is_none() {
                let method = MethodDescription::untyped(&offer.name, offer.effect, &offer.arguments);
                description.methods.push(method.streaming(offer.style));
            }
        }
        description
    }

    /// Sets the soft limit of a method: how long a call can run before the broker logs a warning.
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
        self.with_limits(method, MethodLimits { soft_ms: Some(millis(limit)), ..MethodLimits::default() })
    }

    /// Sets the hard limit of a method: how long a call can run at most. After that the caller gets DEADLINE_EXCEEDED, and the handler is
    /// cancelled: an async handler at its next `await`, a blocking one if it checks its [`Context`](crate::Context). If the handler
    /// does not stop, the pool replaces the whole process. The caller's timeout limits how long the caller waits; this limit is the
    /// longest run that the service's author considers possible.
    pub fn hard_limit(self, method: &str, limit: Duration) -> Service {
        self.with_limits(method, MethodLimits { hard_ms: Some(millis(limit)), ..MethodLimits::default() })
    }

    /// Sets the concurrency of a method: how many of its calls run at once over all workers of the service. It protects a resource with
    /// less capacity than the workers have slots, such as a database. The broker queues further calls, and uses the slots for other
    /// methods meanwhile. If workers set different values, the latest registration counts. A call whose worker was lost does not count,
    /// although its handler can still run.
    ///
    /// ```
    /// # use callboard_workers::Service;
    /// # async fn report(year: u32) -> u32 { year }
    /// let service = Service::new("books").read("report", ["year"], report).concurrency("report", 2);
    /// # drop(service);
    /// ```
    pub fn concurrency(self, method: &str, calls: u32) -> Service {
        self.with_limits(method, MethodLimits { concurrency: Some(calls), ..MethodLimits::default() })
    }

    fn with_limits(mut self, method: &str, limits: MethodLimits) -> Service {
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
        self.methods.push(Method { offer, handler: handler.erase(arguments) });
        self
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use callboard_core::{
        body,
        wire::limits::{DESCRIPTION_BYTES_MAX, SLOTS_ASYNC_DEFAULT, SLOTS_BLOCKING_DEFAULT},
    };

    use super::*;
    use crate::handler::Context;

    fn blocking(x: i64) -> i64 {
        x
    }

    async fn fallible(_context: Context, x: i64) -> Result<i64, String> {
        Ok(x)
    }

    #[test]
    fn blocking_functions_are_prefetched_by_default_unless_one_runs_once() {
        let prefetch = |service: Service| into_offers(service).unwrap().into_iter().map(|(offer, _)| offer.prefetch);
        let reading = || Service::new("s").read("one", ["x"], blocking);
        assert!(prefetch(reading()).eq([8]));
        assert!(prefetch(reading().once("two", ["x"], blocking)).eq([0]));
        assert!(prefetch(reading().read("two", [], async || {})).eq([0, 8]), "async functions have slots enough");
        assert!(prefetch(reading().once("two", ["x"], blocking).prefetch(3)).eq([3]));
    }

    #[test]
    fn async_and_blocking_functions_have_separate_slots() {
        let service = Service::new("both").read("one", ["x"], blocking).once("two", ["x"], fallible);
        let offers = into_offers(service).unwrap();
        let offered: Vec<_> = offers.iter().map(|(offer, _)| (offer.methods[0].name.as_str(), offer.slots)).collect();
        assert_eq!(offered, [("two", SLOTS_ASYNC_DEFAULT), ("one", SLOTS_BLOCKING_DEFAULT)]);
        assert_eq!(offers[0].0.methods[0].effect, Effect::Once);
    }

    #[test]
    fn a_default_description_has_names_and_effects_and_is_registered_once() {
        let service = Service::new("both").read("one", ["x"], blocking).once("two", ["y"], fallible);
        let offers = into_offers(service).unwrap();
        let [first, second] = [0, 1].map(|at| offers[at].0.contract.clone().unwrap());
        assert_eq!((first.hash, second.description), (second.hash, None));
        let description: ServiceDescription = body::decode(&first.description.unwrap()).unwrap();
        let [one, two] = &description.methods[..] else { panic!("two methods: {description:?}") };
        assert_eq!((one.to_string(), two.effect), ("one(x)".to_owned(), Effect::Once));
    }

    #[test]
    fn a_description_that_is_too_large_is_not_registered() {
        let description = ServiceDescription::new("s", "x".repeat(DESCRIPTION_BYTES_MAX));
        let offers = into_offers(Service::new("s").read("one", ["x"], blocking).with_description(description)).unwrap();
        assert_eq!(offers[0].0.contract.as_ref().unwrap().description, None);
    }

    #[test]
    fn an_invalid_service_is_an_error() {
        let twice = Service::new("s").read("one", ["x"], blocking).read("one", ["x"], blocking);
        assert!(matches!(into_offers(twice), Err(ServiceError::DuplicateMethod { .. })));
        assert!(matches!(into_offers(Service::new("no name")), Err(ServiceError::InvalidName { .. })));
        let limited = Service::new("s").read("one", ["x"], blocking).hard_limit("two", Duration::from_secs(1));
        assert!(matches!(into_offers(limited), Err(ServiceError::UnknownMethod { .. })));
        let stopped = Service::new("s").read("one", ["x"], blocking).concurrency("one", 0);
        assert!(matches!(into_offers(stopped), Err(ServiceError::InvalidConcurrency { .. })));
        let slotless = Service::new("s").slots(0).read("one", ["x"], blocking);
        assert!(matches!(into_offers(slotless), Err(ServiceError::InvalidSlots { .. })));
    }

    #[test]
    fn closures_of_every_form_are_handlers() {
        let service = Service::new("forms")
            .read("none", [], || 5)
            .read("sync_closure", ["x"], |x: u8| x + 1)
            .read("async_closure", ["x", "y"], |x: u8, y: u8| async move { x + y })
            .read("context", ["x"], |context: Context, x: u8| (context.attempt(), x))
            .idempotent("unit", ["x"], |_: String| {});
        assert_eq!(into_offers(service).unwrap().len(), 2);
    }
}
