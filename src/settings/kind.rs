//! The kinds of values: the syntax and the parser of each.

use std::{net::SocketAddr, time::Duration};

use callboard::broker::gate::PlainConnections;
use callboard_core::{broker::AllowedServices, wire::method};
use serde_json::Value as Json;

/// A kind of value.
pub(crate) trait Kind {
    /// The parsed value.
    type Value;
    /// The kind with its article, for the message "is not ...".
    const NOUN: &'static str;
    /// What to write instead, with an example.
    const WRITE: &'static str;
    /// Whether TOML needs quotes around such a value.
    const QUOTED: bool;

    /// Parses `text`; `None` if it is not of this kind.
    fn parse(text: &str) -> Option<Self::Value>;

    /// Returns the number to compare with a setting's range, if the kind has one.
    fn magnitude(_value: &Self::Value) -> Option<u128> {
        None
    }

    /// Returns the value for JSON output; `text` is how it was written.
    fn json(_value: &Self::Value, text: &str) -> Json {
        Json::from(text)
    }
}

/// An address to listen on or to connect to. Whether it is usable is known only after binding or connecting.
pub(crate) struct Address;

impl Kind for Address {
    type Value = String;
    const NOUN: &'static str = "an address";
    const WRITE: &'static str = "write tcp://HOST:PORT or ipc://PATH, such as tcp://127.0.0.1:5559";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<String> {
        let usable = match text.split_once("://")? {
            ("tcp", rest) => {
                let (host, port) = rest.rsplit_once(':')?;
                !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
            }
            ("ipc", path) => !path.is_empty(),
            _ => false,
        };
        usable.then(|| text.to_owned())
    }
}

/// The address of an admin endpoint, or `none` for no endpoint. Whether it is usable is known only after binding.
pub(crate) struct AdminAddress;

impl Kind for AdminAddress {
    type Value = Option<String>;
    const NOUN: &'static str = "the address of an admin endpoint";
    const WRITE: &'static str = "write HOST:PORT, such as 127.0.0.1:5561, or none";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<Option<String>> {
        if text == "none" { Some(None) } else { is_host_and_port(text).then(|| Some(text.to_owned())) }
    }
}

/// A pool's name: it becomes part of the name of the service that the pool serves.
pub(crate) struct PoolName;

impl Kind for PoolName {
    type Value = String;
    const NOUN: &'static str = "a pool's name";
    const WRITE: &'static str = "write letters, digits and _, with no digit first, such as calculator";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<String> {
        method::check_identifier(text).ok()?;
        method::check_service(&format!("callboard.pool.{text}")).ok()?;
        Some(text.to_owned())
    }
}

/// A path of a file. Whether the file exists is known only after reading it.
pub(crate) struct FilePath;

impl Kind for FilePath {
    type Value = String;
    const NOUN: &'static str = "a file";
    const WRITE: &'static str = "write its path, such as /etc/callboard/authkey";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// A public key, or the path of its file. Whether it is one is known only after looking for the file.
pub(crate) struct ServerKey;

impl Kind for ServerKey {
    type Value = String;
    const NOUN: &'static str = "a server key";
    const WRITE: &'static str =
        "write the broker's public key, or the path of its file, such as /etc/callboard/broker.public";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Which peers may connect without encryption.
pub(crate) struct PlainConnectionsKind;

impl Kind for PlainConnectionsKind {
    type Value = PlainConnections;
    const NOUN: &'static str = "loopback, always or never";
    const WRITE: &'static str = "write loopback, always or never";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<PlainConnections> {
        match text {
            "loopback" => Some(PlainConnections::Loopback),
            "always" => Some(PlainConnections::Always),
            "never" => Some(PlainConnections::Never),
            _ => None,
        }
    }
}

/// Names of services, or prefixes of names.
pub(crate) struct ServiceNames;

impl Kind for ServiceNames {
    type Value = AllowedServices;
    const NOUN: &'static str = "a list of services";
    const WRITE: &'static str = "write names separated by commas, such as calculator, billing.*";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<AllowedServices> {
        text.parse().ok()
    }
}

/// A count.
pub(crate) struct Count;

impl Kind for Count {
    type Value = usize;
    const NOUN: &'static str = "a number";
    const WRITE: &'static str = "write a whole number, such as 4";
    const QUOTED: bool = false;

    fn parse(text: &str) -> Option<usize> {
        digits(text)?.parse().ok()
    }

    fn magnitude(value: &usize) -> Option<u128> {
        u128::try_from(*value).ok()
    }

    fn json(value: &usize, _text: &str) -> Json {
        Json::from(*value)
    }
}

/// A size in bytes.
pub(crate) struct Size;

impl Kind for Size {
    type Value = usize;
    const NOUN: &'static str = "a size";
    const WRITE: &'static str = "write bytes, or a whole number and KiB, MiB or GiB, such as 16MiB";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<usize> {
        let (number, unit) = number_and_unit(text)?;
        let bytes: usize = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        usize::try_from(number).ok()?.checked_mul(bytes)
    }

    fn magnitude(value: &usize) -> Option<u128> {
        u128::try_from(*value).ok()
    }

    fn json(value: &usize, _text: &str) -> Json {
        Json::from(*value)
    }
}

/// A duration.
pub(crate) struct Span;

impl Kind for Span {
    type Value = Duration;
    const NOUN: &'static str = "a duration";
    const WRITE: &'static str = "write a whole number and us, ms, s, m or h, such as 250ms or 5s";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<Duration> {
        let (number, unit) = number_and_unit(text)?;
        let micros = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return None,
        };
        number.checked_mul(micros).map(Duration::from_micros)
    }

    fn magnitude(value: &Duration) -> Option<u128> {
        Some(value.as_micros())
    }
}

/// A duration, or `none` for no limit.
pub(crate) struct SpanOrNone;

impl Kind for SpanOrNone {
    type Value = Option<Duration>;
    const NOUN: &'static str = "a duration";
    const WRITE: &'static str = "write a whole number and us, ms, s, m or h, such as 5s, or none";
    const QUOTED: bool = true;

    fn parse(text: &str) -> Option<Option<Duration>> {
        if text == "none" { Some(None) } else { Span::parse(text).map(Some) }
    }

    fn magnitude(value: &Option<Duration>) -> Option<u128> {
        value.as_ref().and_then(Span::magnitude)
    }
}

/// A boolean.
pub(crate) struct Switch;

impl Kind for Switch {
    type Value = bool;
    const NOUN: &'static str = "true or false";
    const WRITE: &'static str = "write true or false";
    const QUOTED: bool = false;

    fn parse(text: &str) -> Option<bool> {
        text.parse().ok()
    }

    fn json(value: &bool, _text: &str) -> Json {
        Json::from(*value)
    }
}

/// Returns whether `text` is an IP address or a name, and a port.
fn is_host_and_port(text: &str) -> bool {
    if text.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    };
    text.rsplit_once(':').is_some_and(|(host, port)| is_name(host) && port.parse::<u16>().is_ok())
}

/// Returns `text` if it has only decimal digits: `parse` would accept a sign as well.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// Splits a value such as `16MiB` after its digits.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_an_admin_endpoint_is_a_host_and_a_port() {
        for address in ["127.0.0.1:5561", "[::1]:5561", "0.0.0.0:0", "localhost:5561", "admin-1.example.org:80"] {
            assert_eq!(AdminAddress::parse(address), Some(Some(address.to_owned())));
        }
        let wrong =
            ["5561", ":5561", "::1:5561", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:65536", "tcp://h:1", "a b:1", ""];
        for address in wrong {
            assert_eq!(AdminAddress::parse(address), None, "{address}");
        }
        assert_eq!(AdminAddress::parse("none"), Some(None));
    }
}
