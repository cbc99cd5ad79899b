//! What a newcomer has to prove, and how the broker proves itself.

use std::fmt;

use bytes::Bytes;

use super::{Action, Broker, Diagnostic, arrival::Arrival, timers::Timer};
use crate::{
    auth::{AuthKey, MECHANISM, Nonce, Principal, Proof, Prover, Roles, Transcript},
    body,
    peer::KEY_REQUIRED,
    time::Time,
    wire::{
        envelope::Envelope,
        handshake::{Challenge, ChallengeResponse, Hello, Role},
        ids::ConnectionId,
        limits::AUTHKEY_REFUSAL_DELAY,
        status::{Code, Executed, Failure},
    },
};

/// Why a newcomer counts as a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It has no key, or gave no proof.
    NoProof,
    /// Its proof fits none of the broker's keys.
    WrongProof,
}

/// What a newcomer has proved.
pub(super) struct Proved {
    pub(super) principal: Principal,
    roles: Roles,
    /// The broker's own proof, by the same key.
    pub(super) proof: Option<Proof>,
}

impl Broker {
    /// What is asked of a newcomer: nothing where the broker has no keys.
    pub(super) fn challenge(&self, nonce: Nonce) -> Bytes {
        match self.settings.keys {
            Some(_) => body::encode(&self.asked(nonce)).expect("a challenge has a CBOR form"),
            None => Bytes::new(),
        }
    }

    fn asked(&self, nonce: Nonce) -> Challenge {
        let (broker, start) = (self.identity.broker, self.identity.start);
        Challenge { mechanism: MECHANISM.to_owned(), nonce, broker, start }
    }

    /// Who the newcomer is, by its answer to the challenge.
    pub(super) fn proved(&self, hello: &Hello, nonce: Nonce, answer: &Bytes) -> Result<Proved, Unproven> {
        let Some(keys) = &self.settings.keys else {
            return Ok(Proved { principal: Principal::anybody(), roles: Roles::ALL, proof: None });
        };
        let transcript = Transcript::of(hello, &self.asked(nonce)).ok_or(Unproven::NoProof)?;
        if answer.is_empty() {
            return Err(Unproven::NoProof);
        }
        let ChallengeResponse { proof } = body::decode(answer).map_err(|_| Unproven::WrongProof)?;
        let known = |key: &&AuthKey| transcript.is_proved(Prover::Peer, key, &proof);
        let key = keys.iter().find(known).ok_or(Unproven::WrongProof)?;
        // Only now, and to nobody else: from a proof of ours a stranger could guess a weak key in peace.
        let proof = transcript.prove(Prover::Broker, key);
        Ok(Proved { principal: Principal::of(key), roles: key.roles(), proof: Some(proof) })
    }

    /// Whether the key that a newcomer proved lets it in as what it wants to be.
    pub(super) fn permit(
        &self,
        connection: ConnectionId,
        role: Role,
        proved: &Proved,
        out: &mut Vec<Action>,
    ) -> Result<(), Box<Failure>> {
        if proved.roles.permit(role) {
            return Ok(());
        }
        out.push(Action::Log(Diagnostic::NotPermitted { connection, key: proved.principal.key.clone(), role }));
        let message =
            format!("the key lets nobody in as a {role}: use another, or add the role to it in the broker's key file");
        Err(Box::new(Failure::new(Code::PermissionDenied, Executed::No, message)))
    }

    /// A newcomer is a stranger: it is told so after a while, and what it says until then is ignored.
    pub(super) fn distrust(&mut self, now: Time, connection: ConnectionId, why: Unproven, out: &mut Vec<Action>) {
        let Some(Arrival::Silent { until, .. } | Arrival::Challenged { until, .. }) = self.connections.get(&connection)
        else {
            return;
        };
        self.timers.remove(&(*until, Timer::Handshake(connection)));
        let until = (now + AUTHKEY_REFUSAL_DELAY).min(*until);
        self.timers.insert((until, Timer::Handshake(connection)));
        self.connections.insert(connection, Arrival::Unproven { why, until });
        self.counters.unauthenticated += 1;
        out.push(Action::Log(Diagnostic::Unauthenticated { connection, why }));
    }

    /// The time of a newcomer's handshake is over.
    pub(super) fn handshake_over(&mut self, now: Time, connection: ConnectionId, out: &mut Vec<Action>) {
        let Some(Arrival::Unproven { why, .. }) = self.connections.get(&connection) else {
            // UNAVAILABLE, so that a peer that was only stopped or cut off for a while comes back.
            let failure = Failure::new(Code::Unavailable, Executed::No, "the handshake took too long");
            return self.send_away(now, connection, failure, out);
        };
        // The operator was told when it gave its proof.
        self.counters.sent_away += 1;
        out.push(Action::Send(connection, Envelope::Goodbye(Some(Box::new(why.failure())))));
        out.push(Action::Close(connection));
        self.connections.remove(&connection);
    }
}

impl Unproven {
    fn failure(self) -> Failure {
        let message = match self {
            Unproven::NoProof => KEY_REQUIRED,
            Unproven::WrongProof => {
                "the key is none of this broker's: check --authkey-file and CALLBOARD_AUTHKEY on both sides"
            }
        };
        Failure::new(Code::Unauthenticated, Executed::No, message)
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unproven::NoProof => "it gave no proof of a key",
            Unproven::WrongProof => "its key is none of ours",
        })
    }
}
