//! The handshake of the client: HELLO out, WELCOME in, INITIATE out, READY in.

use bytes::Bytes;

use super::{
    CurvePeer, CurveViolation, Entropy, Established, Opener, PublicKey, Sealer, SecretKey,
    command::{COOKIE_BYTES, HELLO, HELLO_BYTES, INITIATE, READY, READY_BYTES_MIN, WELCOME, WELCOME_BYTES, part},
    nonce::{self, ReceivedCounter, SendCounter},
    peer::ConnectionKeys,
    secret_box::SharedKey,
};

/// What a client needs for CURVE on one connection.
#[derive(Clone, Debug)]
pub struct CurveClient {
    server: PublicKey,
    secret: SecretKey,
    entropy: Entropy,
}

impl CurveClient {
    /// Creates the client side of one connection. The server must have the secret key of `server`. `secret` is the permanent key
    /// of this client: a client without an identity makes a key of random bytes.
    pub fn new(server: PublicKey, secret: SecretKey, entropy: Entropy) -> CurveClient {
        CurveClient { server, secret, entropy }
    }
}

/// The handshake of a client.
#[derive(Debug)]
pub(in crate::zmtp) struct ClientHandshake {
    config: CurveClient,
    transient: SecretKey,
    sent: SendCounter,
    /// The key of the HELLO and the WELCOME, once the HELLO is made.
    hello_key: Option<SharedKey>,
    /// What is known of the server after its WELCOME.
    welcome: Option<WelcomeReceived>,
}

/// The state between INITIATE and READY.
#[derive(Debug)]
struct WelcomeReceived {
    server_transient: PublicKey,
    /// The key of the two transient pairs.
    key: SharedKey,
}

/// What the client does after a command.
#[derive(Debug)]
pub(in crate::zmtp) enum ClientStep {
    /// It sends the INITIATE, as the content of a command.
    Initiate(Vec<u8>),
    /// The handshake is complete. `metadata` is that of the server.
    Ready { metadata: Bytes, established: Box<Established> },
}

impl ClientHandshake {
    pub(in crate::zmtp) fn new(config: CurveClient) -> ClientHandshake {
        let transient = config.entropy.transient();
        ClientHandshake { config, transient, sent: SendCounter::default(), hello_key: None, welcome: None }
    }

    /// Returns the HELLO, as the content of a command.
    pub(in crate::zmtp) fn hello(&mut self) -> Result<Vec<u8>, CurveViolation> {
        let counter = self.sent.next()?;
        let key = self.transient.shared_with(&self.config.server).ok_or(CurveViolation::Welcome)?;
        let signature = key.seal_box(&nonce::short(nonce::HELLO_PREFIX, counter), &[0; 64]);
        let transient = self.transient.public_key();
        let hello = [HELLO, &[1, 0], &[0; 72], transient.as_bytes(), &counter, &signature].concat();
        debug_assert_eq!(hello.len(), HELLO_BYTES);
        self.hello_key = Some(key);
        Ok(hello)
    }

    /// Returns whether `content` is the command that comes next.
    pub(in crate::zmtp) fn expects(&self, content: &[u8]) -> bool {
        content.starts_with(if self.welcome.is_none() { WELCOME } else { READY })
    }

    /// Handles the content of a command. `metadata` goes into the INITIATE.
    pub(in crate::zmtp) fn handle(&mut self, content: &[u8], metadata: &[u8]) -> Result<ClientStep, CurveViolation> {
        match self.welcome.take() {
            None => self.initiate(content, metadata).map(ClientStep::Initiate),
            Some(welcome) => self.establish(welcome, content),
        }
    }

    /// Checks the WELCOME, and returns the INITIATE.
    fn initiate(&mut self, welcome: &[u8], metadata: &[u8]) -> Result<Vec<u8>, CurveViolation> {
        if welcome.len() != WELCOME_BYTES {
            return Err(CurveViolation::Malformed);
        }
        let key = self.hello_key.as_ref().ok_or(CurveViolation::Welcome)?;
        let plaintext = key.open_box(&nonce::long(nonce::WELCOME_PREFIX, &part(welcome, 8)), &welcome[24..]);
        let plaintext = plaintext.ok_or(CurveViolation::Welcome)?;
        let server_transient = PublicKey::from_bytes(part(&plaintext, 0));
        let cookie: [u8; COOKIE_BYTES] = part(&plaintext, 32);
        let vouch = self.vouch(&server_transient).ok_or(CurveViolation::Welcome)?;
        let key = self.transient.shared_with(&server_transient).ok_or(CurveViolation::Welcome)?;
        let counter = self.sent.next()?;
        let plaintext = [&self.config.secret.public_key().as_bytes()[..], &vouch, metadata].concat();
        let sealed = key.seal_box(&nonce::short(nonce::INITIATE_PREFIX, counter), &plaintext);
        self.welcome = Some(WelcomeReceived { server_transient, key });
        Ok([INITIATE, &cookie, &counter, &sealed].concat())
    }

    /// Returns the proof that this client has its permanent secret key: the random part of the nonce, then the box.
    fn vouch(&self, server_transient: &PublicKey) -> Option<Vec<u8>> {
        let random = self.config.entropy.nonce();
        let plaintext = [&self.transient.public_key().as_bytes()[..], self.config.server.as_bytes()].concat();
        let key = self.config.secret.shared_with(server_transient)?;
        let sealed = key.seal_box(&nonce::long(nonce::VOUCH_PREFIX, &random), &plaintext);
        Some([&random[..], &sealed].concat())
    }

    /// Checks the READY, and returns the keys of the connection.
    fn establish(&mut self, welcome: WelcomeReceived, ready: &[u8]) -> Result<ClientStep, CurveViolation> {
        if ready.len() < READY_BYTES_MIN {
            return Err(CurveViolation::Malformed);
        }
        let WelcomeReceived { server_transient, key } = welcome;
        let counter = part(ready, 6);
        let metadata = key.open_box(&nonce::short(nonce::READY_PREFIX, counter), &ready[14..]);
        let metadata = Bytes::copy_from_slice(&metadata.ok_or(CurveViolation::Ready)?);
        let mut received = ReceivedCounter::default();
        received.accept(counter)?;
        let keys = ConnectionKeys {
            client: self.config.secret.public_key(),
            server: self.config.server,
            client_transient: self.transient.public_key(),
            server_transient,
        };
        let established = Established {
            sealer: Sealer::new(key.clone(), nonce::CLIENT_MESSAGE_PREFIX, std::mem::take(&mut self.sent)),
            opener: Opener::new(key, nonce::SERVER_MESSAGE_PREFIX, received),
            peer: CurvePeer { public_key: keys.server, binding: keys.binding(), server_key: keys.server },
        };
        Ok(ClientStep::Ready { metadata, established: Box::new(established) })
    }
}
