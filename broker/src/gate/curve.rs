//! The encryption of a gate: its CURVE keys, and which peers may connect without encryption.

use callboard_core::zmtp::{
    Decoder,
    curve::{CurveServer, Entropy, SecretKey},
};

use super::PeerAddress;

/// The CURVE keys of a broker. Its Debug output does not show the secret.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The secret key. Peers must know the public key that belongs to it.
    pub secret_key: SecretKey,
    /// The key that `secret_key` replaces. Peers may still connect with its public key.
    pub previous_key: Option<SecretKey>,
    /// Which peers may connect without encryption.
    pub plain: PlainConnections,
}

impl Curve {
    /// Creates the encryption with this key. Peers on this host may connect without encryption.
    pub fn new(secret_key: SecretKey) -> Curve {
        Curve { secret_key, previous_key: None, plain: PlainConnections::default() }
    }

    /// Creates the decoder of a connection from this address.
    pub(super) fn decoder(&self, address: PeerAddress, message_bytes_max: usize) -> Decoder {
        let server = CurveServer::new(self.secret_key.clone(), Entropy::new(rand::random()));
        let server = server.with_previous(self.previous_key.clone());
        Decoder::curve_server(server.allow_plain(self.plain.allows(address)), message_bytes_max)
    }
}

/// Which peers may connect to a broker with a CURVE key without encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainConnections {
    /// Those on the broker's host, over loopback addresses and Unix sockets: what they send leaves no machine.
    #[default]
    Loopback,
    /// All.
    Always,
    /// None.
    Never,
}

impl PlainConnections {
    fn allows(self, address: PeerAddress) -> bool {
        match self {
            PlainConnections::Loopback => address.is_loopback(),
            PlainConnections::Always => true,
            PlainConnections::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_connections_are_allowed_by_address() {
        let tcp = |text: &str| PeerAddress::Tcp(text.parse().unwrap());
        let ipc = PeerAddress::Ipc { uid: 1, pid: None };
        let local = [tcp("127.0.0.1:1"), tcp("127.8.8.8:1"), tcp("[::1]:1"), tcp("[::ffff:127.0.0.1]:1"), ipc];
        let distant = [tcp("192.168.1.7:1"), tcp("[2001:db8::1]:1"), tcp("[::ffff:10.0.0.1]:1")];
        for (addresses, is_local) in [(&local[..], true), (&distant, false)] {
            for address in addresses {
                assert_eq!(PlainConnections::Loopback.allows(*address), is_local, "{address}");
                assert!(PlainConnections::Always.allows(*address), "{address}");
                assert!(!PlainConnections::Never.allows(*address), "{address}");
            }
        }
    }
}
