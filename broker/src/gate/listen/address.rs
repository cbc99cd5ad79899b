//! The addresses of a gate: `tcp://HOST:PORT` or `ipc://PATH`.

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
};

/// An address to listen on, or one that is listened on. Its text form is ZeroMQ's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `tcp://HOST:PORT`. With port 0 the system chooses a free one.
    Tcp {
        /// The host.
        host: Host,
        /// The port.
        port: u16,
    },
    /// `ipc://PATH`: a Unix socket, for processes of the same user only.
    Ipc {
        /// The socket's path, relative to the working folder if it does not start with a slash.
        path: PathBuf,
    },
}

/// The host part of a TCP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address; 0.0.0.0 or :: for all of the machine's.
    Ip(IpAddr),
    /// A name, such as `localhost`, looked up when it is used.
    Name(String),
}

impl Address {
    /// Returns whether only this machine can reach the address: every IP address that a host name stands for is a loopback
    /// address. An ipc address is always of this machine. A host name is looked up, which may block.
    ///
    /// # Errors
    /// The host name is not known.
    pub fn is_loopback(&self) -> io::Result<bool> {
        match self {
            Address::Ipc { .. } => Ok(true),
            Address::Tcp { host, port } => {
                Ok(host.resolve(*port)?.iter().all(|address| address.ip().to_canonical().is_loopback()))
            }
        }
    }
}

impl Host {
    /// Returns the addresses to bind, IPv4 before IPv6: the broker must resolve `localhost` as libzmq does, which uses only IPv4 by
    /// default.
    pub(in crate::gate) fn resolve(&self, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
            Host::Name(name) => {
                let mut addresses: Vec<SocketAddr> = (name.as_str(), port).to_socket_addrs()?.collect();
                addresses.sort_by_key(SocketAddr::is_ipv6);
                if addresses.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "the host name has no address"));
                }
                Ok(addresses)
            }
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Tcp { host: Host::Ip(address.ip()), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host: Host::Ip(ip), port } => write!(f, "tcp://{}", SocketAddr::new(*ip, *port)),
            Address::Tcp { host: Host::Name(name), port } => write!(f, "tcp://{name}:{port}"),
            Address::Ipc { path } => write!(f, "ipc://{}", path.display()),
        }
    }
}

/// The text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address `{text}` {problem}")]
pub struct AddressError {
    text: String,
    problem: &'static str,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.split_once("://") {
            Some(("tcp", rest)) => tcp(rest),
            Some(("ipc", rest)) => ipc(rest),
            _ => Err(
                "has no transport: write tcp://HOST:PORT, such as tcp://127.0.0.1:5559, or ipc://PATH, such as ipc:///tmp/callboard.ipc",
            ),
        };
        parsed.map_err(|problem| AddressError { text: text.to_owned(), problem })
    }
}

fn tcp(rest: &str) -> Result<Address, &'static str> {
    let (host, port) =
        rest.rsplit_once(':').ok_or("has no port: write tcp://HOST:PORT, such as tcp://127.0.0.1:5559")?;
    if port == "*" {
        return Err("has `*` for a port: write port 0 for a free one");
    }
    // `u16::from_str` would take a sign.
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has a port that is not a number: write tcp://HOST:PORT with a port from 0 to 65535");
    }
    let port =
        port.parse().map_err(|_| "has no port from 0 to 65535: write tcp://HOST:PORT, such as tcp://127.0.0.1:5559")?;
    Ok(Address::Tcp { host: host_from(host)?, port })
}

fn host_from(text: &str) -> Result<Host, &'static str> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip: Ipv6Addr =
            inner.parse().map_err(|_| "has no IPv6 address in its brackets: write it as in tcp://[::1]:5559")?;
        return Ok(Host::Ip(ip.into()));
    }
    if let Ok(ip) = text.parse() {
        return match ip {
            IpAddr::V4(_) => Ok(Host::Ip(ip)),
            IpAddr::V6(_) => Err("has an IPv6 address without brackets: write it as in tcp://[::1]:5559"),
        };
    }
    match text {
        "" => Err("has no host: write tcp://HOST:PORT, such as tcp://127.0.0.1:5559"),
        "*" => Err("has `*` for a host: write 0.0.0.0 to listen on all networks of this machine"),
        name if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) => {
            Ok(Host::Name(name.to_owned()))
        }
        _ => Err(
            "has a host that is neither a name nor an IP address: write tcp://HOST:PORT, such as tcp://127.0.0.1:5559",
        ),
    }
}

fn ipc(path: &str) -> Result<Address, &'static str> {
    match path {
        "" => Err("has no path: write ipc://PATH, such as ipc:///tmp/callboard.ipc"),
        "*" => Err("has `*` for a path: write ipc://PATH, such as ipc:///tmp/callboard.ipc"),
        path if path.starts_with('@') => {
            Err("is in Linux's abstract namespace, which has no owner: write a path, such as ipc:///tmp/callboard.ipc")
        }
        path if path.contains('\0') => Err("has a zero byte in its path: write ipc://PATH without it"),
        path => Ok(Address::Ipc { path: PathBuf::from(path) }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_reads_back_as_it_is_shown() {
        for text in
            ["tcp://127.0.0.1:5559", "tcp://[::1]:0", "tcp://localhost:65535", "ipc:///tmp/a b.ipc", "ipc://here"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_error_of_a_wrong_address_names_the_syntax() {
        let cases = [
            ("127.0.0.1:5559", "write tcp://HOST:PORT"),
            ("http://127.0.0.1:5559", "write tcp://HOST:PORT"),
            ("tcp://127.0.0.1", "has no port"),
            ("tcp://127.0.0.1:", "has no port"),
            ("tcp://127.0.0.1:65536", "from 0 to 65535"),
            ("tcp://127.0.0.1:+1", "not a number"),
            ("tcp://127.0.0.1:*", "port 0"),
            ("tcp://:5559", "has no host"),
            ("tcp://*:5559", "write 0.0.0.0"),
            ("tcp://::1:5559", "brackets"),
            ("tcp://[::g]:5559", "brackets"),
            ("tcp://a/b:5559", "neither a name nor an IP address"),
            ("ipc://", "has no path"),
            ("ipc://*", "write ipc://PATH"),
            ("ipc://@callboard", "write a path"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn loopback_is_what_only_this_machine_reaches() {
        let is_loopback = |text: &str| text.parse::<Address>().unwrap().is_loopback().unwrap();
        assert!(is_loopback("tcp://127.0.0.1:1"));
        assert!(is_loopback("tcp://127.9.9.9:1"));
        assert!(is_loopback("tcp://[::1]:1"));
        assert!(is_loopback("tcp://[::ffff:127.0.0.1]:1"));
        assert!(is_loopback("tcp://localhost:1"));
        assert!(is_loopback("ipc:///tmp/any"));
        assert!(!is_loopback("tcp://0.0.0.0:1"));
        assert!(!is_loopback("tcp://[::]:1"));
        assert!(!is_loopback("tcp://192.0.2.1:1"));
    }
}
