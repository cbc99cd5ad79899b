//! Whom a connection is counted for.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use super::PeerAddress;

/// What has a limit of connections of its own. Of IPv6 it is the network of 64 bits: whoever has one address there has all
/// of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// An IPv4 address, or the first address of an IPv6 network.
    Ip(IpAddr),
    /// A user of this machine.
    User(u32),
}

impl From<PeerAddress> for Origin {
    fn from(address: PeerAddress) -> Self {
        const NETWORK: u128 = !0 << 64;
        match address {
            PeerAddress::Ipc { uid, .. } => Origin::User(uid),
            PeerAddress::Tcp(address) => Origin::Ip(match address.ip().to_canonical() {
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into(),
                ip @ IpAddr::V4(_) => ip,
            }),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Ip(ip @ IpAddr::V4(_)) => write!(f, "{ip}"),
            Origin::Ip(network @ IpAddr::V6(_)) => write!(f, "{network}/64"),
            Origin::User(uid) => write!(f, "user {uid}"),
        }
    }
}

impl PeerAddress {
    /// Whom the peer is counted for, for people: its address without the port, the network of an IPv6 address, or its user.
    pub fn origin(self) -> String {
        Origin::from(self).to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn origin(text: &str) -> Origin {
        PeerAddress::Tcp(text.parse().unwrap()).into()
    }

    #[test]
    fn ports_do_not_count_and_an_ipv6_network_is_one_origin() {
        assert_eq!(origin("192.0.2.1:1"), origin("192.0.2.1:2"));
        assert_eq!(origin("192.0.2.1:1"), origin("[::ffff:192.0.2.1]:1"));
        assert_ne!(origin("192.0.2.1:1"), origin("192.0.2.2:1"));
        assert_eq!(origin("[2001:db8::1]:1"), origin("[2001:db8::ffff:1]:1"));
        assert_ne!(origin("[2001:db8::1]:1"), origin("[2001:db8:0:1::1]:1"));
        assert_eq!(origin("192.0.2.1:1").to_string(), "192.0.2.1");
        assert_eq!(origin("[2001:db8::1]:1").to_string(), "2001:db8::/64");
    }
}
