//! The handshake of the server: HELLO in, WELCOME out, INITIATE in, READY out.

use bytes::Bytes;

use super::{
    CurvePeer, CurveViolation, Entropy, Established, Opener, PublicKey, Sealer, SecretKey,
    command::{COOKIE_BYTES, HELLO, HELLO_BYTES, INITIATE, INITIATE_BYTES_MIN, READY, WELCOME, WELCOME_BYTES, part},
    nonce::{self, ReceivedCounter, SendCounter},
    peer::ConnectionKeys,
    secret_box::SharedKey,
};

/// The box of 64 zeros in a HELLO.
const SIGNATURE_BYTES: usize = 80;
/// The version that a HELLO names.
const VERSION: [u8; 2] = [1, 0];

/// What a server needs for CURVE on one connection.
#[derive(Clone, Debug)]
pub struct CurveServer {
    /// The key of the server. After a HELLO for the previous key, that one.
    secret: SecretKey,
    previous: Option<Box<SecretKey>>,
    entropy: Entropy,
    plain_allowed: bool,
}

impl CurveServer {
    /// Creates the server side of one connection. Peers must use CURVE.
    pub fn new(secret: SecretKey, entropy: Entropy) -> CurveServer {
        CurveServer { secret, previous: None, entropy, plain_allowed: false }
    }

    /// Sets the previous key of the server. Clients that know its public key can still connect, until all know the new one.
    #[must_use]
    pub fn with_previous(self, previous: Option<SecretKey>) -> CurveServer {
        CurveServer { previous: previous.map(Box::new), ..self }
    }

    /// Sets whether a peer may connect without encryption instead, with the mechanism NULL.
    #[must_use]
    pub fn allow_plain(self, plain_allowed: bool) -> CurveServer {
        CurveServer { plain_allowed, ..self }
    }

    pub(in crate::zmtp) fn is_plain_allowed(&self) -> bool {
        self.plain_allowed
    }
}

/// The handshake of a server.
#[derive(Debug)]
pub(in crate::zmtp) struct ServerHandshake {
    config: CurveServer,
    received: ReceivedCounter,
    /// What is known of the client after its HELLO.
    hello: Option<HelloReceived>,
}

/// The state between WELCOME and INITIATE.
#[derive(Debug)]
struct HelloReceived {
    client_transient: PublicKey,
    transient: SecretKey,
    cookie: [u8; COOKIE_BYTES],
}

/// What the server does after a command.
#[derive(Debug)]
pub(in crate::zmtp) enum ServerStep {
    /// It sends the WELCOME, as the content of a command.
    Welcome(Vec<u8>),
    /// It sends the READY, as the content of a command, and the handshake is complete. `metadata` is that of the client.
    Ready { ready: Vec<u8>, metadata: Bytes, established: Box<Established> },
}

impl ServerHandshake {
    pub(in crate::zmtp) fn new(config: CurveServer) -> ServerHandshake {
        ServerHandshake { config, received: ReceivedCounter::default(), hello: None }
    }

    /// Handles the content of a command. `metadata` goes into the READY.
    pub(in crate::zmtp) fn handle(&mut self, content: &[u8], metadata: &[u8]) -> Result<ServerStep, CurveViolation> {
        match self.hello.take() {
            None => self.welcome(content).map(ServerStep::Welcome),
            Some(hello) => self.ready(&hello, content, metadata),
        }
    }

    /// Returns whether `content` is the command that comes next.
    pub(in crate::zmtp) fn expects(&self, content: &[u8]) -> bool {
        content.starts_with(if self.hello.is_none() { HELLO } else { INITIATE })
    }

    /// Checks the HELLO, and returns the WELCOME.
    fn welcome(&mut self, hello: &[u8]) -> Result<Vec<u8>, CurveViolation> {
        let hello: &[u8; HELLO_BYTES] = hello.try_into().map_err(|_| CurveViolation::Malformed)?;
        let [major, minor] = part(hello, 6);
        if [major, minor] != VERSION {
            return Err(CurveViolation::Version { major, minor });
        }
        if hello[8..80] != [0; 72] {
            return Err(CurveViolation::Malformed);
        }
        let client_transient = PublicKey::from_bytes(part(hello, 80));
        let counter = part(hello, 112);
        let key = self.hello_key(&client_transient, counter, &part(hello, 120)).ok_or(CurveViolation::ServerKey)?;
        self.received.accept(counter)?;
        let state = HelloReceived {
            client_transient,
            transient: self.config.entropy.transient(),
            cookie: cookie(self.config.entropy.cookie()),
        };
        let welcome = self.welcome_command(&key, &state);
        self.hello = Some(state);
        Ok(welcome)
    }

    /// Returns the key that opens the signature of a HELLO, that of the server's present or previous key. From then on the connection
    /// uses that one.
    fn hello_key(
        &mut self,
        client_transient: &PublicKey,
        counter: [u8; 8],
        signature: &[u8; SIGNATURE_BYTES],
    ) -> Option<SharedKey> {
        let nonce = nonce::short(nonce::HELLO_PREFIX, counter);
        for secret in [Some(self.config.secret.clone()), self.config.previous.take().map(|previous| *previous)]
            .into_iter()
            .flatten()
        {
            let key = secret.shared_with(client_transient)?;
            // The 64 zeros are not compared: that the box can be opened is the proof.
            if key.open_box(&nonce, signature).is_some() {
                self.config.secret = secret;
                return Some(key);
            }
        }
        None
    }

    fn welcome_command(&self, key: &SharedKey, state: &HelloReceived) -> Vec<u8> {
        let random = self.config.entropy.nonce();
        let plaintext = [&state.transient.public_key().as_bytes()[..], &state.cookie].concat();
        let sealed = key.seal_box(&nonce::long(nonce::WELCOME_PREFIX, &random), &plaintext);
        let welcome = [WELCOME, &random, &sealed].concat();
        debug_assert_eq!(welcome.len(), WELCOME_BYTES);
        welcome
    }

    /// Checks the INITIATE, and returns the READY and the keys of the connection.
    fn ready(&mut self, hello: &HelloReceived, initiate: &[u8], metadata: &[u8]) -> Result<ServerStep, CurveViolation> {
        if initiate.len() < INITIATE_BYTES_MIN {
            return Err(CurveViolation::Malformed);
        }
        // The client got the cookie in an encrypted box, and returns it in plain text: there is nothing to learn from the time.
        if initiate[9..105] != hello.cookie {
            return Err(CurveViolation::Cookie);
        }
        let counter = part(initiate, 105);
        let key = hello.transient.shared_with(&hello.client_transient).ok_or(CurveViolation::Initiate)?;
        let plaintext = key.open_box(&nonce::short(nonce::INITIATE_PREFIX, counter), &initiate[113..]);
        let plaintext = plaintext.ok_or(CurveViolation::Initiate)?;
        self.received.accept(counter)?;
        let client = PublicKey::from_bytes(part(&plaintext, 0));
        self.check_vouch(hello, &client, &plaintext[32..128])?;
        let mut sent = SendCounter::default();
        let ready_counter = sent.next()?;
        let sealed = key.seal_box(&nonce::short(nonce::READY_PREFIX, ready_counter), metadata);
        let established = self.establish(hello, client, key, sent);
        Ok(ServerStep::Ready {
            ready: [READY, &ready_counter, &sealed].concat(),
            metadata: Bytes::copy_from_slice(&plaintext[128..]),
            established: Box::new(established),
        })
    }

    /// Checks that the client has the secret key of its permanent public key, and meant this server: only it could have made the vouch.
    fn check_vouch(&self, hello: &HelloReceived, client: &PublicKey, vouch: &[u8]) -> Result<(), CurveViolation> {
        let key = hello.transient.shared_with(client).ok_or(CurveViolation::Vouch)?;
        let vouched = key.open_box(&nonce::long(nonce::VOUCH_PREFIX, &part(vouch, 0)), &vouch[16..]);
        let vouched = vouched.ok_or(CurveViolation::Vouch)?;
        let expected = [&hello.client_transient.as_bytes()[..], self.config.secret.public_key().as_bytes()].concat();
        if *vouched == expected { Ok(()) } else { Err(CurveViolation::Vouch) }
    }

    /// `key` is the one of the two transient pairs.
    fn establish(
        &mut self,
        hello: &HelloReceived,
        client: PublicKey,
        key: SharedKey,
        sent: SendCounter,
    ) -> Established {
        let keys = ConnectionKeys {
            client,
            server: self.config.secret.public_key(),
            client_transient: hello.client_transient,
            server_transient: hello.transient.public_key(),
        };
        let received = std::mem::take(&mut self.received);
        Established {
            sealer: Sealer::new(key.clone(), nonce::SERVER_MESSAGE_PREFIX, sent),
            opener: Opener::new(key, nonce::CLIENT_MESSAGE_PREFIX, received),
            peer: CurvePeer { public_key: client, binding: keys.binding(), server_key: keys.server },
        }
    }
}

/// Returns the cookie of a connection. The server keeps the state of the handshake, so the cookie need not contain it encrypted.
fn cookie(random: [u8; 32]) -> [u8; COOKIE_BYTES] {
    let mut cookie = [0; COOKIE_BYTES];
    cookie[..32].copy_from_slice(&random);
    cookie
}
