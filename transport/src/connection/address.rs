//! The syntax of a broker's address.

/// Checks that peers can connect to `address`, as far as its text shows.
///
/// # Errors
/// Returns what is wrong with the address and what to write instead.
pub fn check_address(address: &str) -> Result<(), String> {
    let bad =
        |reason: &str| Err(format!("cannot connect to `{address}` ({reason}): write tcp://HOST:PORT or ipc:///PATH"));
    if let Some(path) = address.strip_prefix("ipc://") {
        return if path.is_empty() { bad("it has no path") } else { Ok(()) };
    }
    let Some(host_and_port) = address.strip_prefix("tcp://") else {
        return bad("it begins with neither tcp:// nor ipc://");
    };
    match host_and_port.rsplit_once(':') {
        None | Some(("", _)) => bad("it has no host and port"),
        Some((_, port)) => match port.parse::<u16>() {
            Ok(0) => bad("port 0 can be bound, but not connected to"),
            Ok(_) => Ok(()),
            Err(_) => bad("its port is not a number from 1 to 65535"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_address_is_an_error_that_shows_it() {
        for good in ["tcp://127.0.0.1:5559", "tcp://[::1]:5559", "tcp://broker.example.org:1", "ipc:///run/callboard"] {
            assert_eq!(check_address(good), Ok(()));
        }
        for bad in [
            "",
            "127.0.0.1:5559",
            "http://a:1",
            "tcp://",
            "tcp://a",
            "tcp://:5559",
            "tcp://a:0",
            "tcp://a:70000",
            "ipc://",
        ] {
            let text = check_address(bad).expect_err(bad);
            assert!(text.contains(&format!("`{bad}`")) && text.contains("write tcp://HOST:PORT"), "{text}");
        }
    }
}
