//! Many connections.

use callboard::core::wire::{Envelope, envelope::Ping, status::Code};

use crate::{
    attack::{Held, Target},
    handshakes::parts,
    wire::{Wire, session},
};

/// Many connections at once that send nothing.
pub(crate) fn silent(target: &Target) -> Held {
    let silent: Vec<_> = (0..target.many(200, 5_000)).map(|_| Wire::connect(&target.frontend)).collect();
    Box::new(silent)
}

/// Connections that are abandoned at every stage of the handshake.
pub(crate) fn churn(target: &Target) -> Held {
    let handshake = parts(target.mode()).concat();
    for at in 0..target.many(300, 20_000) {
        // All connections use the same session, so the broker may reject it.
        Wire::connect(&target.frontend).send_raw(&handshake[..at % handshake.len()]).ok();
    }
    Box::new(())
}

/// Peers that propose the same identity, by which a ROUTER would address them. No peer receives the answers of another.
pub(crate) fn one_identity(target: &Target) -> Held {
    let mut peers = Vec::new();
    for number in 0..20 {
        let mut peer = Wire::open_as(&target.frontend, b"same identity");
        peer.authenticate("client");
        peer.send_envelope(&Envelope::Ping(Ping { number, done_below: None }));
        peers.push(peer);
    }
    for (number, peer) in (0..).zip(&mut peers) {
        while !matches!(peer.read_envelope(), Envelope::Pong(pong) if pong == number) {}
    }
    Box::new(peers)
}

/// Peers with the same session and connection number: the first one keeps the session.
pub(crate) fn one_session(target: &Target) -> Held {
    let session = session();
    let mut first = Wire::open(&target.frontend);
    assert!(matches!(first.authenticate_as("client", session), Envelope::Welcome(_)));
    for _ in 1..20 {
        let mut thief = Wire::open(&target.frontend);
        let Envelope::Goodbye(Some(failure)) = thief.authenticate_as("client", session) else { panic!("no goodbye") };
        assert_eq!(failure.code, Code::FailedPrecondition);
    }
    first.send_envelope(&Envelope::Ping(Ping { number: 77, done_below: None }));
    assert!(matches!(first.read_envelope(), Envelope::Pong(77)));
    Box::new(first)
}
