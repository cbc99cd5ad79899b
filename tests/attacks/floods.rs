//! Too much of what is allowed.

use callboard::core::{
    body,
    wire::{
        Envelope,
        envelope::{Effect, Ping},
        handshake::{MethodOffer, Offer, Register, TimeLimits},
        status::Code,
        streams::Style,
    },
};

use crate::{
    attack::{Spoils, Target},
    wire::{Wire, command, encoded},
};

/// ZMTP's pings and the protocol's, from peers that do not read the answers.
pub(crate) fn pings(target: &Target) -> Spoils {
    let (mut below, mut above) = (target.client(), target.client());
    let zmtp = command("PING", &[7; 18]).repeat(1_000);
    let ours = encoded(&Envelope::Ping(Ping { number: 1, done_below: None })).repeat(1_000);
    for _ in 0..target.many(100, 5_000) {
        // The broker may have had enough of it.
        below.say(&zmtp).ok();
        above.say(&ours).ok();
    }
    Box::new((below, above))
}

/// A worker that registers again and again.
pub(crate) fn registrations(target: &Target) -> Spoils {
    let offer = |number: u32| Offer {
        service: format!("flood_{number}"),
        slots: 1,
        free: 1,
        prefetch: 0,
        methods: vec![MethodOffer {
            name: "run".to_owned(),
            effect: Effect::Once,
            arguments: Vec::new(),
            style: Style::Unary,
            limits: TimeLimits::default(),
        }],
        keys: Vec::new(),
        contract: None,
    };
    for round in 0..target.many(2, 50) {
        let mut worker = Wire::join(&target.backend, "worker");
        for number in 0..10_000 {
            let register = Register { offers: vec![offer(number % 2 + round as u32)], exclusive: false };
            if worker.say(&encoded(&Envelope::Register(body::encode(&register).unwrap()))).is_err() {
                break;
            }
        }
        let Envelope::Goodbye(Some(failure)) = worker.hear_envelope() else { panic!("no goodbye") };
        assert_eq!(failure.code, Code::ResourceExhausted);
    }
    Box::new(())
}
