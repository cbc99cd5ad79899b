//! The handshake of one connection: which mechanism both sides use, and its commands.

use bytes::Bytes;

use super::{
    Violation,
    command::{self, Command, SocketType},
    curve::{ClientHandshake, ClientStep, CurveClient, CurveServer, Established, ServerHandshake, ServerStep},
    greeting::{self, Mechanism},
};

/// What one side offers and requires, before it knows the greeting of the other side.
#[derive(Debug)]
pub(super) enum Security {
    /// A server without encryption.
    PlainServer,
    /// A server with a key. It follows the peer's mechanism, if it allows that.
    CurveServer(CurveServer),
    /// A client without encryption.
    PlainClient,
    /// A client with the key of its server. It never connects without encryption.
    CurveClient(CurveClient),
}

impl Security {
    /// Returns the bytes to send before the peer's greeting is known.
    pub(super) fn first_bytes(&self) -> Bytes {
        match self {
            Security::PlainServer | Security::PlainClient => Bytes::copy_from_slice(&greeting::greeting()),
            Security::CurveServer(_) => Bytes::copy_from_slice(&greeting::before_mechanism()),
            Security::CurveClient(_) => Bytes::copy_from_slice(&greeting::with_mechanism(Mechanism::Curve, false)),
        }
    }

    /// Chooses the mechanism for a peer that uses this one. Returns the bytes to send, and the handshake.
    pub(super) fn agree(self, peer: Mechanism) -> Result<(Bytes, Handshake), Violation> {
        match (self, peer) {
            (_, Mechanism::Other) => Err(Violation::Mechanism),
            (Security::PlainServer, Mechanism::Null) => Ok(plain(SocketType::Router)),
            (Security::PlainClient, Mechanism::Null) => Ok(plain(SocketType::Dealer)),
            (Security::PlainServer | Security::PlainClient, Mechanism::Curve) => Err(Violation::CurveUnavailable),
            (Security::CurveServer(server), Mechanism::Null) if server.is_plain_allowed() => {
                let (ready, handshake) = plain(SocketType::Router);
                Ok(([&greeting::from_mechanism(Mechanism::Null, false)[..], &ready].concat().into(), handshake))
            }
            (Security::CurveServer(_) | Security::CurveClient(_), Mechanism::Null) => Err(Violation::PlainRefused),
            (Security::CurveServer(server), Mechanism::Curve) => {
                let rest = Bytes::copy_from_slice(&greeting::from_mechanism(Mechanism::Curve, true));
                Ok((rest, Handshake::CurveServer(ServerHandshake::new(server))))
            }
            (Security::CurveClient(client), Mechanism::Curve) => {
                let mut handshake = ClientHandshake::new(client);
                Ok((command::framed(&handshake.hello()?), Handshake::CurveClient(handshake)))
            }
        }
    }
}

fn plain(own: SocketType) -> (Bytes, Handshake) {
    (command::ready_of(own), Handshake::Plain(own))
}

/// The handshake after the greetings.
#[derive(Debug)]
pub(super) enum Handshake {
    /// One READY in each direction.
    Plain(SocketType),
    /// The server side of CURVE.
    CurveServer(ServerHandshake),
    /// The client side of CURVE.
    CurveClient(ClientHandshake),
}

/// What follows from a command of the handshake.
#[derive(Debug)]
pub(super) enum Step {
    /// Bytes to send. The handshake goes on.
    Transmit(Bytes),
    /// The handshake is complete, after these bytes. `None` for the keys: without encryption.
    Done { transmit: Option<Bytes>, established: Option<Box<Established>> },
}

impl Handshake {
    /// Handles the content of a command.
    pub(super) fn handle(&mut self, content: &[u8]) -> Result<Step, Violation> {
        match self {
            Handshake::Plain(own) => match Command::read(content)? {
                Command::Ready { metadata } => {
                    own.check_peer(metadata)?;
                    Ok(Step::Done { transmit: None, established: None })
                }
                _ => Err(Violation::UnexpectedCommand),
            },
            Handshake::CurveServer(server) => {
                expected(content, server.expects(content))?;
                server_step(server.handle(content, &SocketType::Router.metadata())?)
            }
            Handshake::CurveClient(client) => {
                expected(content, client.expects(content))?;
                client_step(client.handle(content, &SocketType::Dealer.metadata())?)
            }
        }
    }
}

/// Rejects a command that is not the next one.
fn expected(content: &[u8], is_expected: bool) -> Result<(), Violation> {
    Command::read(content)?;
    if is_expected { Ok(()) } else { Err(Violation::UnexpectedCommand) }
}

fn server_step(step: ServerStep) -> Result<Step, Violation> {
    match step {
        ServerStep::Welcome(welcome) => Ok(Step::Transmit(command::framed(&welcome))),
        ServerStep::Ready { ready, metadata, established } => {
            SocketType::Router.check_peer(&metadata)?;
            Ok(Step::Done { transmit: Some(command::framed(&ready)), established: Some(established) })
        }
    }
}

fn client_step(step: ClientStep) -> Result<Step, Violation> {
    match step {
        ClientStep::Initiate(initiate) => Ok(Step::Transmit(command::framed(&initiate))),
        ClientStep::Ready { metadata, established } => {
            SocketType::Dealer.check_peer(&metadata)?;
            Ok(Step::Done { transmit: None, established: Some(established) })
        }
    }
}
