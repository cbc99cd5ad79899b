//! A connection's way from its first byte to being a client or a worker.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Action, Broker, Diagnostic, Endpoint, Owner,
    client::{Account, Client, ClientKey},
    party::PartyName,
    presence::Presence,
    proving::Unproven,
    timers::Timer,
    worker::{Worker, WorkerKey},
};
use crate::{
    auth::{Nonce, Principal, Proof},
    body,
    time::Time,
    wire::{
        envelope::{Credit, Envelope},
        handshake::{Hello, Role, Welcome},
        ids::ConnectionId,
        limits, method,
        status::{Code, Executed, Failure},
    },
};

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub(super) struct Whence {
    /// For people.
    pub(super) address: ByteString,
    /// Whom it is counted for where a key does not say it.
    pub(super) origin: ByteString,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Nothing was said yet.
    Silent { endpoint: Endpoint, from: Whence, nonce: Nonce, until: Time },
    /// It said hello and was challenged.
    Challenged { hello: Box<Hello>, from: Whence, nonce: Nonce, until: Time },
    /// It did not prove that it knows a key, and is told so then.
    Unproven { why: Unproven, until: Time },
    /// It is a client.
    Client(ClientKey),
    /// It is a worker.
    Worker(WorkerKey),
}

impl Broker {
    pub(super) fn opened(
        &mut self,
        connection: ConnectionId,
        endpoint: Endpoint,
        from: Whence,
        nonce: Nonce,
        until: Time,
    ) {
        self.connections.insert(connection, Arrival::Silent { endpoint, from, nonce, until });
        self.timers.insert((until, Timer::Handshake(connection)));
    }

    pub(super) fn newcomer_says(
        &mut self,
        now: Time,
        connection: ConnectionId,
        envelope: Envelope,
        out: &mut Vec<Action>,
    ) {
        let heard = match (self.connections.get(&connection), envelope) {
            (Some(Arrival::Silent { .. }), Envelope::Hello(body)) => self.hello(now, connection, &body, out),
            (Some(Arrival::Challenged { .. }), Envelope::Proof(answer)) => self.proof(now, connection, &answer, out),
            (Some(Arrival::Unproven { .. }), _) => return,
            (_, other) => {
                let message = format!("say hello first, then prove who you are: {} comes too early", other.kind());
                refuse(Code::FailedPrecondition, message)
            }
        };
        if let Err(failure) = heard {
            self.send_away(now, connection, *failure, out);
        }
    }

    fn hello(
        &mut self,
        now: Time,
        connection: ConnectionId,
        body: &Bytes,
        out: &mut Vec<Action>,
    ) -> Result<(), Box<Failure>> {
        let Some(&Arrival::Silent { endpoint, ref from, nonce, until }) = self.connections.get(&connection) else {
            unreachable!("the caller saw that the connection had said nothing");
        };
        let from = from.clone();
        let hello: Hello = body::decode(body).map_err(|error| {
            Failure::new(Code::InvalidArgument, Executed::No, format!("a hello of wrong form: {error}"))
        })?;
        self.check_hello(&hello, endpoint)?;
        out.push(Action::Send(connection, Envelope::Challenge(self.challenge(nonce))));
        if self.settings.keys.is_some() && hello.nonce.is_none() {
            self.distrust(now, connection, Unproven::NoProof, out);
        } else {
            self.connections.insert(connection, Arrival::Challenged { hello: Box::new(hello), from, nonce, until });
        }
        Ok(())
    }

    fn check_hello(&self, hello: &Hello, endpoint: Endpoint) -> Result<(), Box<Failure>> {
        let (first, last) = hello.versions;
        if first > limits::VERSION_MAX || last < limits::VERSION_MIN {
            let (min, max) = (limits::VERSION_MIN, limits::VERSION_MAX);
            let message = format!("this broker speaks versions {min} to {max} of the protocol, you {first} to {last}");
            return refuse(Code::FailedPrecondition, message);
        }
        match (endpoint, hello.role) {
            (Endpoint::Frontend, Role::Worker) => {
                let message =
                    format!("this is the frontend, for clients; workers connect to {}", self.settings.backend);
                return refuse(Code::FailedPrecondition, message);
            }
            (Endpoint::Backend, Role::Client) => {
                let message =
                    format!("this is the backend, for workers; clients connect to {}", self.settings.frontend);
                return refuse(Code::FailedPrecondition, message);
            }
            _ => {}
        }
        let heartbeat = Duration::from_millis(hello.heartbeat_ms);
        if heartbeat < limits::HEARTBEAT_MIN || heartbeat > limits::HEARTBEAT_MAX {
            let (min, max) = (limits::HEARTBEAT_MIN.as_millis(), limits::HEARTBEAT_MAX.as_millis());
            return refuse(Code::InvalidArgument, format!("heartbeat_ms must be {min} to {max}"));
        }
        let names = [&hello.instance, &hello.host].into_iter().chain(&hello.pool);
        if names.into_iter().any(|name| name.len() > limits::NAME_BYTES_MAX) {
            return refuse(Code::InvalidArgument, format!("a name has at most {} bytes", limits::NAME_BYTES_MAX));
        }
        if hello.pool.as_deref().is_some_and(|pool| method::check_service(pool).is_err()) {
            return refuse(Code::InvalidArgument, "a pool's name is made of letters, digits and _".to_owned());
        }
        Ok(())
    }

    fn proof(
        &mut self,
        now: Time,
        connection: ConnectionId,
        answer: &Bytes,
        out: &mut Vec<Action>,
    ) -> Result<(), Box<Failure>> {
        let Some(Arrival::Challenged { hello, from, nonce, until }) = self.connections.get(&connection) else {
            unreachable!("the caller saw that the connection was challenged");
        };
        let (hello, from, nonce, until) = (Hello::clone(hello), from.clone(), *nonce, *until);
        let proved = match self.proved(&hello, nonce, answer) {
            Ok(proved) => proved,
            Err(why) => {
                self.distrust(now, connection, why, out);
                return Ok(());
            }
        };
        self.permit(connection, hello.role, &proved, out)?;
        self.check_session(&hello)?;
        if self.leaving.is_some() {
            return refuse(Code::Unavailable, "the broker is shutting down");
        }
        self.timers.remove(&(until, Timer::Handshake(connection)));
        out.push(Action::Authenticated(connection));
        out.push(Action::Send(connection, self.welcome(proved.proof)));
        match hello.role {
            Role::Client => self.admit_client(now, connection, from, hello, proved.principal, out),
            Role::Worker => self.admit_worker(now, connection, from.address, hello, proved.principal, out),
        }
        Ok(())
    }

    /// A session belongs to the highest connection number in its role.
    fn check_session(&self, hello: &Hello) -> Result<(), Box<Failure>> {
        let held = match self.sessions.get(&hello.session) {
            None => return Ok(()),
            Some(Owner::Client(key)) if hello.role == Role::Client => self.clients[key].connection_number,
            Some(Owner::Worker(key)) if hello.role == Role::Worker => self.workers[key].connection_number,
            Some(_) => {
                return refuse(Code::FailedPrecondition, "the session has another role");
            }
        };
        if hello.connection > held {
            return Ok(());
        }
        refuse(Code::FailedPrecondition, "a later connection of the session is known")
    }

    fn welcome(&self, proof: Option<Proof>) -> Envelope {
        let welcome = Welcome {
            version: limits::VERSION_MAX,
            broker: self.identity.broker,
            start: self.identity.start,
            frontend: self.settings.frontend.clone(),
            heartbeat_ms: u64::try_from(self.settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
            credit_calls: self.settings.credit_calls,
            credit_bytes: self.settings.credit_bytes,
            message_bytes_max: self.settings.message_bytes_max as u64,
            capabilities: Vec::new(),
            proof,
        };
        Envelope::Welcome(body::encode(&welcome).expect("a welcome has a CBOR form"))
    }

    fn admit_client(
        &mut self,
        now: Time,
        connection: ConnectionId,
        from: Whence,
        hello: Hello,
        principal: Principal,
        out: &mut Vec<Action>,
    ) {
        let interval = Duration::from_millis(hello.heartbeat_ms);
        let known = match self.sessions.get(&hello.session) {
            Some(&Owner::Client(key)) => Some(key),
            _ => None,
        };
        let account =
            Account::new(Credit { calls: self.settings.credit_calls, bytes: self.settings.credit_bytes, offer: 0 });
        let key = known.unwrap_or_else(|| ClientKey(self.fresh_key()));
        if let Some(old) = self.clients.get_mut(&key).and_then(|client| client.presence.take()) {
            self.drop_connection(&old, Timer::Client(key), out);
            self.end_streams_of(now, key, out);
        }
        let again = known.is_some();
        let name = hello.instance.clone();
        out.push(Action::Log(Diagnostic::ClientJoined { connection, name, again, key: principal.key.clone() }));
        self.sessions.insert(hello.session, Owner::Client(key));
        let party = principal.key.clone().map_or(PartyName::Origin(from.origin), PartyName::Key);
        let party = self.parties.join(party);
        self.come_back(key);
        if let Some(client) = self.clients.get(&key) {
            self.parties.leave(client.party);
        }
        let client = self.clients.entry(key).or_insert_with(|| Client::new(&hello, party, interval, account));
        self.timers.remove(&(client.gone_at, Timer::ClientGone(key)));
        client.connection_number = hello.connection;
        client.interval = interval;
        client.principal = principal;
        client.party = party;
        client.credit = account;
        client.presence = Some(Presence::new(connection, from.address, &hello, now));
        self.connections.insert(connection, Arrival::Client(key));
        self.watch_client(key);
    }

    fn admit_worker(
        &mut self,
        now: Time,
        connection: ConnectionId,
        address: ByteString,
        hello: Hello,
        principal: Principal,
        out: &mut Vec<Action>,
    ) {
        if let Some(&Owner::Worker(old)) = self.sessions.get(&hello.session) {
            let connection = self.workers[&old].presence.connection;
            self.lose_worker(now, old, "it came back on another connection", out);
            self.connections.remove(&connection);
            out.push(Action::Close(connection));
        }
        let key = WorkerKey(self.fresh_key());
        let presence = Presence::new(connection, address, &hello, now);
        self.sessions.insert(hello.session, Owner::Worker(key));
        self.connections.insert(connection, Arrival::Worker(key));
        self.workers.insert(key, Worker::new(hello, principal, presence));
        self.watch_worker(key);
    }
}

fn refuse(code: Code, message: impl Into<ByteString>) -> Result<(), Box<Failure>> {
    Err(Box::new(Failure::new(code, Executed::No, message)))
}
