//! The handshake: from an accepted connection to an authenticated client or worker.
//!
//! | state | input | next state |
//! |---|---|---|
//! | `AwaitingHello` | hello that fits | `AwaitingProof`; the challenge is sent |
//! | `AwaitingHello` | hello without a nonce, where a proof is required | `Rejected` |
//! | `AwaitingProof` | valid proof, or none is required | `Client` or `Worker`; the welcome is sent |
//! | `AwaitingProof` | any other proof | `Rejected` |
//! | `Rejected` | timeout | goodbye, closed |
//! | any of these | any other message, timeout | goodbye, closed |
//!
//! Only [`Connections`] changes the table of connections.

mod authentication;
mod state;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

pub use self::authentication::AuthenticationFailure;
use self::authentication::Requirement;
pub(crate) use self::{
    authentication::{Authenticated, ProvedKey},
    state::{ConnectionState, PeerOrigin},
};
use super::{
    interface::{Action, Counters, Diagnostic, Endpoint, Identity, Settings},
    keys::{ClientKey, WorkerKey},
    timers::{Timer, Timers},
};
use crate::{
    auth::{HelloTranscript, Nonce},
    body,
    time::Time,
    wire::{
        envelope::Envelope,
        handshake::{Hello, Role, Welcome},
        ids::ConnectionId,
        limits::{self, AUTHKEY_REJECTION_DELAY},
        method,
        status::{Code, Executed, Failure},
        versions,
    },
};

/// All connections, with the progress of their handshakes.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    states: BTreeMap<ConnectionId, ConnectionState>,
}

/// A peer that has finished its handshake, and is to be admitted.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) hello: Hello,
    pub(crate) origin: PeerOrigin,
    pub(crate) authenticated: Authenticated,
}

/// The state of the broker that the handshake uses beside the table of connections.
pub(crate) struct HandshakeContext<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) identity: &'a Identity,
    pub(crate) timers: &'a mut Timers,
    pub(crate) counters: &'a mut Counters,
}

impl Connections {
    /// Adds a connection that was just accepted.
    pub(crate) fn open(
        &mut self,
        connection: ConnectionId,
        endpoint: Endpoint,
        origin: PeerOrigin,
        nonce: Nonce,
        until: Time,
        timers: &mut Timers,
    ) {
        self.states.insert(connection, ConnectionState::AwaitingHello { endpoint, origin, nonce, until });
        timers.set(until, Timer::Handshake(connection));
    }

    pub(crate) fn get(&self, connection: ConnectionId) -> Option<&ConnectionState> {
        self.states.get(&connection)
    }

    /// Returns all connections, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &ConnectionState)> {
        self.states.iter().map(|(&connection, state)| (connection, state))
    }

    /// Records that a connection belongs to a client.
    pub(crate) fn set_client(&mut self, connection: ConnectionId, client: ClientKey) {
        self.states.insert(connection, ConnectionState::Client(client));
    }

    /// Records that a connection belongs to a worker.
    pub(crate) fn set_worker(&mut self, connection: ConnectionId, worker: WorkerKey) {
        self.states.insert(connection, ConnectionState::Worker(worker));
    }

    /// Removes a connection, and the timer of its handshake.
    pub(crate) fn remove(&mut self, connection: ConnectionId, timers: &mut Timers) -> Option<ConnectionState> {
        let state = self.states.remove(&connection)?;
        if let Some(until) = state.handshake_until() {
            timers.cancel(until, Timer::Handshake(connection));
        }
        Some(state)
    }

    /// Handles a message of a peer whose handshake is not complete. Returns the admission once it is.
    ///
    /// # Errors
    /// The failure that ends the connection.
    pub(crate) fn handle_message(
        &mut self,
        now: Time,
        connection: ConnectionId,
        envelope: Envelope,
        context: HandshakeContext<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Option<Admission>, Box<Failure>> {
        match (self.states.get(&connection), envelope) {
            (Some(ConnectionState::AwaitingHello { .. }), Envelope::Hello(body)) => {
                self.on_hello(now, connection, &body, context, out).map(|()| None)
            }
            (Some(ConnectionState::AwaitingProof { .. }), Envelope::Proof(answer)) => {
                self.on_proof(now, connection, &answer, context, out)
            }
            (Some(ConnectionState::Rejected { .. }), _) => Ok(None),
            (_, other) => {
                let message = format!("{} came before the handshake was complete", other.kind());
                Err(rejection(Code::FailedPrecondition, message))
            }
        }
    }

    fn on_hello(
        &mut self,
        now: Time,
        connection: ConnectionId,
        body: &Bytes,
        context: HandshakeContext<'_>,
        out: &mut Vec<Action>,
    ) -> Result<(), Box<Failure>> {
        let Some(&ConnectionState::AwaitingHello { endpoint, ref origin, nonce, until }) = self.states.get(&connection)
        else {
            unreachable!("the caller saw that the connection awaits a hello");
        };
        let origin = origin.clone();
        let hello: Hello =
            body::decode(body).map_err(|error| rejection(Code::InvalidArgument, format!("invalid hello: {error}")))?;
        check_hello(&hello, endpoint, context.settings)?;
        let requirement = authentication::requirement(context.settings.peers.as_ref(), origin.channel);
        let challenge = authentication::challenge(&requirement, context.identity, nonce);
        let required = matches!(requirement, Requirement::Proof);
        let binding = origin.channel.map(|channel| channel.binding);
        let transcript =
            required.then(|| Box::new(HelloTranscript::new(hello.role, body, binding).with_challenge(&challenge)));
        out.push(Action::Send(connection, Envelope::Challenge(challenge)));
        if required && hello.nonce.is_none() {
            let why = authentication::no_proof(context.settings.peers.as_ref(), origin.channel);
            self.reject(now, connection, why, context, out);
        } else {
            let hello = Box::new(hello);
            self.states.insert(connection, ConnectionState::AwaitingProof { hello, origin, transcript, until });
        }
        Ok(())
    }

    fn on_proof(
        &mut self,
        now: Time,
        connection: ConnectionId,
        answer: &Bytes,
        context: HandshakeContext<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Option<Admission>, Box<Failure>> {
        let Some(ConnectionState::AwaitingProof { hello, origin, transcript, .. }) = self.states.get(&connection)
        else {
            unreachable!("the caller saw that the connection awaits a proof");
        };
        let (hello, origin, transcript) = (Hello::clone(hello), origin.clone(), transcript.as_deref().copied());
        let directory = context.settings.peers.as_ref();
        match authentication::authenticate(directory, origin.channel, transcript, answer) {
            Ok(authenticated) => {
                check_role(connection, hello.role, &authenticated, out)?;
                Ok(Some(Admission { hello, origin, authenticated }))
            }
            Err(failure) => {
                self.reject(now, connection, failure, context, out);
                Ok(None)
            }
        }
    }

    /// Rejects a peer that could not be authenticated. The peer gets the failure after a delay, which slows down
    /// guessing, and is ignored until then.
    fn reject(
        &mut self,
        now: Time,
        connection: ConnectionId,
        failure: AuthenticationFailure,
        context: HandshakeContext<'_>,
        out: &mut Vec<Action>,
    ) {
        let Some(until) = self.states.get(&connection).and_then(ConnectionState::handshake_until) else { return };
        context.timers.cancel(until, Timer::Handshake(connection));
        let until = (now + AUTHKEY_REJECTION_DELAY).min(until);
        context.timers.set(until, Timer::Handshake(connection));
        self.states.insert(connection, ConnectionState::Rejected { failure, until });
        context.counters.unauthenticated += 1;
        out.push(Action::Log(Diagnostic::Unauthenticated { connection, why: failure }));
    }

    /// Returns the failure to send when the handshake of a connection times out, and whether the peer was rejected
    /// before.
    pub(crate) fn timeout_failure(&self, connection: ConnectionId) -> (Failure, bool) {
        match self.states.get(&connection) {
            Some(ConnectionState::Rejected { failure, .. }) => (failure.failure(), true),
            // UNAVAILABLE, so that a peer whose process or network was stopped for a while reconnects.
            _ => (Failure::new(Code::Unavailable, Executed::No, "the handshake timed out"), false),
        }
    }

    /// Asserts that each handshake has a timer.
    pub(crate) fn assert_invariants(&self, timers: &Timers) {
        for (&connection, state) in &self.states {
            let until = state.handshake_until();
            let is_set = until.is_none_or(|until| timers.is_set(until, Timer::Handshake(connection)));
            assert!(is_set, "a handshake has a timer");
        }
    }
}

/// Creates the welcome of a peer that is admitted, with the broker's proof if the peer proved a key.
pub(crate) fn welcome(settings: &Settings, identity: &Identity, key: Option<&ProvedKey>) -> Envelope {
    let welcome = Welcome {
        version: limits::VERSION_MAX,
        broker: identity.broker,
        start: identity.start,
        frontend: settings.frontend.clone(),
        heartbeat_ms: u64::try_from(settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
        credit_calls: settings.credit_calls,
        credit_bytes: settings.credit_bytes,
        message_bytes_max: settings.message_bytes_max as u64,
        capabilities: Vec::new(),
        proof: None,
    };
    Envelope::Welcome(match key {
        Some(key) => key.seal_welcome(welcome),
        None => body::encode(&welcome).expect("a welcome has a CBOR form"),
    })
}

/// Creates a failure that ends a connection.
pub(crate) fn rejection(code: Code, message: impl Into<ByteString>) -> Box<Failure> {
    Box::new(Failure::new(code, Executed::No, message))
}

fn check_hello(hello: &Hello, endpoint: Endpoint, settings: &Settings) -> Result<(), Box<Failure>> {
    let (first, last) = hello.versions;
    if first > limits::VERSION_MAX || last < limits::VERSION_MIN {
        let (ours, theirs) =
            (versions::describe(limits::VERSION_MIN, limits::VERSION_MAX), versions::describe(first, last));
        let message = format!(
            "this broker supports {ours} of the protocol, and this program {theirs}: update the older of the two"
        );
        return Err(rejection(Code::FailedPrecondition, message));
    }
    match (endpoint, hello.role) {
        (Endpoint::Frontend, Role::Worker) => {
            let message = format!("this is the frontend, for clients; workers connect to {}", settings.backend);
            return Err(rejection(Code::FailedPrecondition, message));
        }
        (Endpoint::Backend, Role::Client) => {
            let message = format!("this is the backend, for workers; clients connect to {}", settings.frontend);
            return Err(rejection(Code::FailedPrecondition, message));
        }
        _ => {}
    }
    let heartbeat = Duration::from_millis(hello.heartbeat_ms);
    if heartbeat < limits::HEARTBEAT_MIN || heartbeat > limits::HEARTBEAT_MAX {
        let (min, max) = (limits::HEARTBEAT_MIN.as_millis(), limits::HEARTBEAT_MAX.as_millis());
        return Err(rejection(Code::InvalidArgument, format!("heartbeat_ms must be {min} to {max}")));
    }
    let names = [&hello.instance, &hello.host].into_iter().chain(&hello.pool);
    if names.into_iter().any(|name| name.len() > limits::NAME_BYTES_MAX) {
        return Err(rejection(
            Code::InvalidArgument,
            format!("names must not exceed {} bytes", limits::NAME_BYTES_MAX),
        ));
    }
    if hello.pool.as_deref().is_some_and(|pool| method::check_service(pool).is_err()) {
        return Err(rejection(Code::InvalidArgument, "a pool's name must consist of letters, digits and _"));
    }
    Ok(())
}

/// Checks whether the key that a peer proved allows its role.
fn check_role(
    connection: ConnectionId,
    role: Role,
    authenticated: &Authenticated,
    out: &mut Vec<Action>,
) -> Result<(), Box<Failure>> {
    if authenticated.roles.permits(role) {
        return Ok(());
    }
    let key = authenticated.principal.name().map(ToString::to_string);
    out.push(Action::Log(Diagnostic::NotPermitted { connection, key, role }));
    let message = format!(
        "the key does not allow the role {role}: use another key, or add the role to it in the broker's key file"
    );
    Err(rejection(Code::PermissionDenied, message))
}
