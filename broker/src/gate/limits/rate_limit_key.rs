//! The key by which connections are counted.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use super::super::PeerAddress;

/// The key of a limit of connections. For IPv6 it is the /64 network, because a peer with one address of it usually has
/// all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gate) enum RateLimitKey {
    /// An IPv4 address, or the first address of an IPv6 network.
    Ip(IpAddr),
    /// A user of this machine.
    User(u32),
}

impl From<PeerAddress> for RateLimitKey {
    fn from(address: PeerAddress) -> Self {
        const NETWORK: u128 = !0 << 64;
        match address {
            PeerAddress::Ipc { uid, .. } => RateLimitKey::User(uid),
            PeerAddress::Tcp(address) => RateLimitKey::Ip(match address.ip().to_canonical() {
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into(),
                ip @ IpAddr::V4(_) => ip,
            }),
        }
    }
}

impl fmt::Display for RateLimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RateLimitKey::Ip(ip @ IpAddr::V4(_)) => write!(f, "{ip}"),
            RateLimitKey::Ip(network @ IpAddr::V6(_)) => write!(f, "{network}/64"),
            RateLimitKey::User(uid) => write!(f, "user {uid}"),
        }
    }
}

impl PeerAddress {
    /// Returns the key of the peer as text: its address without the port, the network of an IPv6 address, or its user.
    pub fn rate_limit_key(self) -> String {
        RateLimitKey::from(self).to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(text: &str) -> RateLimitKey {
        PeerAddress::Tcp(text.parse().unwrap()).into()
    }

    #[test]
    fn ports_do_not_count_and_an_ipv6_network_has_one_key() {
        assert_eq!(key("192.0.2.1:1"), key("192.0.2.1:2"));
        assert_eq!(key("192.0.2.1:1"), key("[::ffff:192.0.2.1]:1"));
        assert_ne!(key("192.0.2.1:1"), key("192.0.2.2:1"));
        assert_eq!(key("[2001:db8::1]:1"), key("[2001:db8::ffff:1]:1"));
        assert_ne!(key("[2001:db8::1]:1"), key("[2001:db8:0:1::1]:1"));
        assert_eq!(key("192.0.2.1:1").to_string(), "192.0.2.1");
        assert_eq!(key("[2001:db8::1]:1").to_string(), "2001:db8::/64");
    }
}
