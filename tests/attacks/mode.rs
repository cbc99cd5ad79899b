//! How the attacked broker protects its connections.

use std::{
    fmt,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use callboard::{
    Client, CurveKeys,
    core::{
        auth::AuthKey,
        zmtp::{
            Decoder,
            curve::{CurveClient, CurveServer, Entropy, SecretKey},
        },
    },
};

use crate::harness::write_private;

/// The key of a broker with an authkey.
const AUTHKEY: &str = "the key of an attacked broker";
/// The file of peers of a broker with CURVE.
const PEERS_FILE: &str = "peers.toml";
/// The limit of a message that the attacker receives.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How the attacked broker protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Not at all.
    Null,
    /// Peers must prove that they know an authkey.
    Authkey,
    /// Connections must be encrypted, and the broker knows the public keys of its peers.
    Curve,
}

impl Mode {
    pub(crate) const ALL: [Mode; 3] = [Mode::Null, Mode::Authkey, Mode::Curve];

    fn name(self) -> &'static str {
        match self {
            Mode::Null => "null",
            Mode::Authkey => "authkey",
            Mode::Curve => "curve",
        }
    }

    /// Returns the mode with this name.
    pub(crate) fn parse(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Writes the keys that the broker has and knows into `folder`, and returns the flags for them.
    pub(crate) fn flags(self, folder: &Path) -> Vec<String> {
        let file = |name: &str, text: &str| {
            write_private(&folder.join(name), text);
            folder.join(name).to_str().unwrap().to_owned()
        };
        let flag = |name: &str, value: String| [name.to_owned(), value];
        match self {
            Mode::Null => Vec::new(),
            Mode::Authkey => flag("--authkey-file", file("key", AUTHKEY)).into(),
            Mode::Curve => {
                let secret = file("key", &broker_key().to_z85());
                let peers = file(
                    PEERS_FILE,
                    &[peer("legitimate", &legitimate_key()), peer("attacker", &attacker_key())].concat(),
                );
                [
                    flag("--plain-connections", "never".to_owned()),
                    flag("--curve-secret-file", secret),
                    flag("--peers-file", peers),
                ]
                .concat()
            }
        }
    }

    /// Sets the variables with the keys of a legitimate client or worker.
    pub(crate) fn set_variables(self, command: &mut Command) {
        match self {
            Mode::Null => command,
            Mode::Authkey => command.env("CALLBOARD_AUTHKEY", AUTHKEY),
            Mode::Curve => command
                .env("CALLBOARD_SERVER_KEY", broker_key().public_key().to_string())
                .env("CALLBOARD_CURVE_SECRET", legitimate_key().to_z85().as_str()),
        };
    }

    /// Connects a legitimate client.
    pub(crate) async fn client(self, frontend: &str) -> Client {
        let builder = Client::builder(frontend);
        let builder = match self {
            Mode::Null => builder,
            Mode::Authkey => builder.authkey(self.authkey().unwrap()),
            Mode::Curve => builder.curve(CurveKeys::new(broker_key().public_key()).with_secret_key(legitimate_key())),
        };
        builder.connect().await.unwrap()
    }

    /// Returns the key that a peer has to prove.
    pub(crate) fn authkey(self) -> Option<AuthKey> {
        (self == Mode::Authkey).then(|| AuthKey::new(AUTHKEY).unwrap())
    }

    /// Returns the attacker's side of one connection.
    pub(crate) fn decoder(self) -> Decoder {
        let curve = || CurveClient::new(broker_key().public_key(), attacker_key(), entropy());
        Decoder::client((self == Mode::Curve).then(curve), MESSAGE_BYTES_MAX)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the broker's side of a connection, to record a handshake without the broker.
pub(crate) fn recording_server() -> Decoder {
    Decoder::curve_server(CurveServer::new(broker_key(), entropy()), MESSAGE_BYTES_MAX)
}

/// Returns the CURVE key of the broker. The attacker uses only its public key.
fn broker_key() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

/// Returns the CURVE key of the legitimate peers. The attacker uses only its public key.
fn legitimate_key() -> SecretKey {
    SecretKey::from_bytes([8; 32])
}

/// Returns the CURVE key of the attacker, which the broker knows.
fn attacker_key() -> SecretKey {
    SecretKey::from_bytes([9; 32])
}

/// Returns the public key of the broker.
pub(crate) fn broker_public_key() -> [u8; 32] {
    *broker_key().public_key().as_bytes()
}

/// Returns the public key of the legitimate peers.
pub(crate) fn legitimate_public_key() -> [u8; 32] {
    *legitimate_key().public_key().as_bytes()
}

/// Returns the lines of a peer in the file of peers.
fn peer(name: &str, key: &SecretKey) -> String {
    format!("[[peer]]\nname = \"{name}\"\npublic_key = \"{}\"\n", key.public_key())
}

/// Returns bytes that differ for each connection. Each run sends the same bytes.
fn entropy() -> Entropy {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0xa7; Entropy::BYTES];
    let number = LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    for part in [0, 32, 48] {
        bytes[part..part + 8].copy_from_slice(&number);
    }
    Entropy::new(bytes)
}
