//! Where a broker is, as people write it.

/// Whether peers can connect to `address`, as far as that can be told from it alone; the rest shows when it is connected to.
///
/// # Errors
/// What is wrong with it and what to write.
pub fn check_address(address: &str) -> Result<(), String> {
    let bad =
        |reason: &str| Err(format!("cannot connect to `{address}` ({reason}): write tcp://HOST:PORT or ipc:///PATH"));
    if let Some(path) = address.strip_prefix("ipc://") {
        return if path.is_empty() { bad("it has no path") } else { Ok(()) };
    }
    let Some(place) = address.strip_prefix("tcp://") else {
        return bad("it begins with neither tcp:// nor ipc://");
    };
    match place.rsplit_once(':') {
        None | Some(("", _)) => bad("it has no host and port"),
        Some((_, port)) => match port.parse::<u16>() {
            Ok(0) => bad("port 0 can be bound, but not connected to"),
            Ok(_) => Ok(()),
            Err(_) => bad("its port is no number from 1 to 65535"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_told_at_once() {
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
