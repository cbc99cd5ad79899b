//! The catalogue: the methods of the simulated world, and the workers that serve them.

use bytes::Bytes;
use callboard_core::wire::{
    envelope::Effect,
    handshake::{ContractOffer, MethodLimits, MethodOffer, Offer, Register},
    streams::Style,
};

use super::{config::Config, rng::Rng};

/// A method of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    /// The declared effect. For `mix`, strict workers declare `once`, and others `read`.
    pub(crate) effect: Effect,
    /// Whether some worker serves it.
    pub(crate) served: bool,
    /// The style of its streams.
    pub(crate) style: Style,
}

const fn method(service: &'static str, name: &'static str, effect: Effect, served: bool) -> Method {
    Method { service, name, effect, served, style: Style::Unary }
}

const fn stream(service: &'static str, name: &'static str, effect: Effect, style: Style) -> Method {
    Method { service, name, effect, served: true, style }
}

/// The method whose effect differs between workers.
pub(crate) const MIX: Method = method("beta.two", "mix", Effect::Read, true);

/// All methods that are called: served by workers, served by the broker, and unserved.
pub(crate) const METHODS: [Method; 9] = [
    method("alpha", "fetch", Effect::Read, true),
    method("alpha", "put", Effect::Idempotent, true),
    method("alpha", "pay", Effect::Once, true),
    method("beta.two", "look", Effect::Read, true),
    method("beta.two", "ship", Effect::Once, true),
    MIX,
    method("callboard", "ping", Effect::Read, false),
    method("alpha", "nothing", Effect::Once, false),
    method("unserved", "method", Effect::Once, false),
];

/// The served methods with streams.
pub(crate) const STREAMS: [Method; 5] = [
    stream("alpha", "watch", Effect::Read, Style::Server),
    stream("alpha", "load", Effect::Once, Style::Client),
    stream("beta.two", "chat", Effect::Idempotent, Style::Bidi),
    stream("beta.two", "gather", Effect::Read, Style::Client),
    stream("beta.two", "tail", Effect::Once, Style::Server),
];

/// The names of the services that workers serve.
pub(crate) const SERVICES: [&str; 2] = ["alpha", "beta.two"];

impl Method {
    /// Returns the full name of the method.
    pub(crate) fn full(&self) -> String {
        format!("{}.{}", self.service, self.name)
    }

    /// Returns whether it has a hard time limit in worlds with one.
    pub(crate) fn is_limited(&self) -> bool {
        self.service == "alpha"
    }

    /// Returns whether the broker itself serves it.
    pub(crate) fn is_admin(&self) -> bool {
        self.service == "callboard"
    }
}

/// Returns all methods that workers serve.
pub(crate) fn served() -> impl Iterator<Item = Method> {
    METHODS.into_iter().chain(STREAMS).filter(|method| method.served)
}

/// Returns the methods of a service in the order in which workers offer them.
pub(crate) fn methods_of(service: &str) -> Vec<Method> {
    served().filter(|method| method.service == service).collect()
}

/// Draws the registration of the worker with that index. The first worker serves everything, so that every method is served at
/// last; other workers may lack a service or a method.
pub(crate) fn registration(index: usize, strict: bool, config: &Config, rng: &mut Rng) -> Register {
    let first = rng.index(SERVICES.len());
    let all = index == 0 || rng.percent(50);
    let shared = rng.percent(config.shared_slots_percent).then(|| small(1 + rng.below(config.slots_max)));
    let shared_prefetch = small(rng.below(config.prefetch_max + 1));
    let offered = SERVICES.iter().enumerate().filter(|&(at, _)| all || at == first);
    let offers = offered.map(|(_, service)| {
        let slots = small(1 + rng.below(config.slots_max));
        let prefetch = small(rng.below(config.prefetch_max + 1));
        let mut methods = method_offers(service, strict, config);
        if index > 0 && rng.percent(30) {
            methods.remove(rng.index(methods.len()));
        }
        Offer {
            service: (*service).to_owned(),
            slots,
            free: slots,
            prefetch,
            keys: Vec::new(),
            contract: Some(contract(methods.len())),
            methods,
        }
    });
    Register { offers: offers.collect(), slots: shared, prefetch: shared_prefetch, ..Register::default() }
}

fn method_offers(service: &str, strict: bool, config: &Config) -> Vec<MethodOffer> {
    let offer = |method: Method| MethodOffer {
        name: method.name.to_owned(),
        effect: if method == MIX && strict { Effect::Once } else { method.effect },
        arguments: Vec::new(),
        style: method.style,
        limits: MethodLimits {
            soft_ms: config.hard_ms.map(|hard| hard / 2),
            hard_ms: config.hard_ms.filter(|_| method.is_limited()),
            concurrency: config.concurrency.filter(|_| method.effect == Effect::Read),
        },
    };
    methods_of(service).into_iter().map(offer).collect()
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("parameters are small")
}

/// Returns the contract of a service with this number of methods: workers that lack a method have a different contract.
fn contract(methods: usize) -> ContractOffer {
    let hash = format!("{methods:016x}").parse().unwrap();
    ContractOffer { hash, description: methods.is_multiple_of(2).then(|| Bytes::from_static(b"description")) }
}
