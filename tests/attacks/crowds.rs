//! Many connections.

use bytes::Bytes;
use callboard::core::{
    wire::{Envelope, envelope::Ping, status::Code},
    zmtp::greeting,
};

use crate::{
    attack::{Spoils, Target},
    wire::{Wire, encoded, hello, ready, session},
};

/// Connections that say nothing, all at once.
pub(crate) fn silent(target: &Target) -> Spoils {
    let silent: Vec<_> = (0..target.many(200, 5_000)).map(|_| Wire::connect(&target.frontend)).collect();
    Box::new(silent)
}

/// Connections that are given up at every stage of the handshake.
pub(crate) fn churn(target: &Target) -> Spoils {
    let handshake =
        [&greeting()[..], &ready(b""), &encoded(&hello("client", session())), &encoded(&Envelope::Proof(Bytes::new()))]
            .concat();
    for at in 0..target.many(300, 20_000) {
        // The broker may refuse the session, which all have in common.
        Wire::connect(&target.frontend).say(&handshake[..at % handshake.len()]).ok();
    }
    Box::new(())
}

/// Peers that propose the same identity, which a ROUTER would know them by: none gets another's answers.
pub(crate) fn one_identity(target: &Target) -> Spoils {
    let mut peers = Vec::new();
    for number in 0..20 {
        let mut peer = Wire::connect(&target.frontend);
        peer.say(&[&greeting()[..], &ready(b"the one and only")].concat()).unwrap();
        peer.say_envelope(&hello("client", session()));
        peer.say_envelope(&Envelope::Proof(Bytes::new()));
        peer.say_envelope(&Envelope::Ping(Ping { number, done_below: None }));
        peers.push(peer);
    }
    for (number, peer) in (0..).zip(&mut peers) {
        let mut greeted = [0; 64];
        std::io::Read::read_exact(&mut peer.stream, &mut greeted).unwrap();
        assert!(peer.hear_frame().unwrap().starts_with(b"\x05READY"));
        while !matches!(peer.hear_envelope(), Envelope::Pong(pong) if pong == number) {}
    }
    Box::new(peers)
}

/// Peers with the same session and connection number: the first one keeps it.
pub(crate) fn one_session(target: &Target) -> Spoils {
    let session = session();
    let mut first = Wire::open(&target.frontend);
    first.say_envelope(&hello("client", session));
    first.say_envelope(&Envelope::Proof(Bytes::new()));
    assert!(matches!(first.hear_envelope(), Envelope::Challenge(_)));
    assert!(matches!(first.hear_envelope(), Envelope::Welcome(_)));
    for _ in 1..20 {
        let mut thief = Wire::open(&target.frontend);
        thief.say_envelope(&hello("client", session));
        thief.say_envelope(&Envelope::Proof(Bytes::new()));
        assert!(matches!(thief.hear_envelope(), Envelope::Challenge(_)));
        let Envelope::Goodbye(Some(failure)) = thief.hear_envelope() else { panic!("no goodbye") };
        assert_eq!(failure.code, Code::FailedPrecondition);
    }
    first.say_envelope(&Envelope::Ping(Ping { number: 77, done_below: None }));
    assert!(matches!(first.hear_envelope(), Envelope::Pong(77)));
    Box::new(first)
}
