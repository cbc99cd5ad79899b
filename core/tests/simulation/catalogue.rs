//! What is served in the simulated world, and by whom.

use bytes::Bytes;
use callboard_core::wire::{
    envelope::Effect,
    handshake::{ContractOffer, MethodLimits, MethodOffer, Offer, Register},
    streams::Style,
};

use super::{chance::Chance, knobs::Knobs};

/// A method of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    /// What a worker declares. Of `mix` strict workers declare `once`, others `read`.
    pub(crate) effect: Effect,
    /// Whether some worker serves it.
    pub(crate) served: bool,
    /// Which streams it has.
    pub(crate) style: Style,
}

const fn method(service: &'static str, name: &'static str, effect: Effect, served: bool) -> Method {
    Method { service, name, effect, served, style: Style::Unary }
}

const fn stream(service: &'static str, name: &'static str, effect: Effect, style: Style) -> Method {
    Method { service, name, effect, served: true, style }
}

/// Where workers disagree about the effect.
pub(crate) const MIX: Method = method("beta.two", "mix", Effect::Read, true);

/// All that is called: what workers serve, what the broker serves, and what nobody does.
pub(crate) const METHODS: [Method; 9] = [
    method("alpha", "fetch", Effect::Read, true),
    method("alpha", "put", Effect::Idempotent, true),
    method("alpha", "pay", Effect::Once, true),
    method("beta.two", "look", Effect::Read, true),
    method("beta.two", "ship", Effect::Once, true),
    MIX,
    method("callboard", "ping", Effect::Read, false),
    method("alpha", "nothing", Effect::Once, false),
    method("nobody", "home", Effect::Once, false),
];

/// What is served and has streams.
pub(crate) const STREAMS: [Method; 5] = [
    stream("alpha", "watch", Effect::Read, Style::Server),
    stream("alpha", "load", Effect::Once, Style::Client),
    stream("beta.two", "chat", Effect::Idempotent, Style::Both),
    stream("beta.two", "gather", Effect::Read, Style::Client),
    stream("beta.two", "tail", Effect::Once, Style::Server),
];

/// The names of the services that workers serve.
pub(crate) const SERVICES: [&str; 2] = ["alpha", "beta.two"];

impl Method {
    /// The method as calls name it.
    pub(crate) fn full(&self) -> String {
        format!("{}.{}", self.service, self.name)
    }

    /// Whether it has a hard time limit, in worlds with one.
    pub(crate) fn is_limited(&self) -> bool {
        self.service == "alpha"
    }

    /// Whether the broker itself answers.
    pub(crate) fn is_brokers(&self) -> bool {
        self.service == "callboard"
    }
}

/// All that workers serve.
pub(crate) fn served() -> impl Iterator<Item = Method> {
    METHODS.into_iter().chain(STREAMS).filter(|method| method.served)
}

/// The methods of a service, in the order in which workers offer them.
pub(crate) fn methods_of(service: &str) -> Vec<Method> {
    served().filter(|method| method.service == service).collect()
}

/// What the worker in that seat serves. The first one serves everything, so that nothing is unserved for ever; others may lack a
/// service, or a method of one.
pub(crate) fn registration(seat: usize, strict: bool, knobs: &Knobs, chance: &mut Chance) -> Register {
    let first = chance.place(SERVICES.len());
    let all = seat == 0 || chance.percent(50);
    let offered = SERVICES.iter().enumerate().filter(|&(at, _)| all || at == first);
    let offers = offered.map(|(_, service)| {
        let slots = small(1 + chance.below(knobs.slots_max));
        let prefetch = small(chance.below(knobs.prefetch_max + 1));
        let mut methods = method_offers(service, strict, knobs);
        if seat > 0 && chance.percent(30) {
            methods.remove(chance.place(methods.len()));
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
    Register { offers: offers.collect(), exclusive: false }
}

fn method_offers(service: &str, strict: bool, knobs: &Knobs) -> Vec<MethodOffer> {
    let offer = |method: Method| MethodOffer {
        name: method.name.to_owned(),
        effect: if method == MIX && strict { Effect::Once } else { method.effect },
        arguments: Vec::new(),
        style: method.style,
        limits: MethodLimits {
            soft_ms: knobs.hard_ms.map(|hard| hard / 2),
            hard_ms: knobs.hard_ms.filter(|_| method.is_limited()),
            concurrency: knobs.concurrency.filter(|_| method.effect == Effect::Read),
        },
    };
    methods_of(service).into_iter().map(offer).collect()
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("knobs are small")
}

/// What a worker says that a service with so many methods is: those that lack one do not agree with the others.
fn contract(methods: usize) -> ContractOffer {
    let hash = format!("{methods:016x}").parse().unwrap();
    ContractOffer { hash, description: methods.is_multiple_of(2).then(|| Bytes::from_static(b"what it is")) }
}
