//! How a worker stands with its broker.

/// How a worker stands with its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is not connected; it keeps trying.
    Apart,
    /// The broker has let it in, and it has registered.
    Joined {
        /// Where clients of the same broker connect: for the worker's own calls.
        frontend: String,
    },
}

/// The frontend that a broker tells of, as seen from a worker that reaches its backend: a broker that listens on all its
/// machine's addresses names none of them.
pub(crate) fn reachable(frontend: &str, backend: &str) -> String {
    let parts = |address: &str| {
        let (host, port) = address.strip_prefix("tcp://")?.rsplit_once(':')?;
        Some((host.to_owned(), port.to_owned()))
    };
    match (parts(frontend), parts(backend)) {
        (Some((host, port)), Some((reached, _))) if matches!(host.as_str(), "0.0.0.0" | "[::]") => {
            format!("tcp://{reached}:{port}")
        }
        _ => frontend.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_on_all_addresses_is_reached_where_its_backend_is() {
        assert_eq!(reachable("tcp://0.0.0.0:5559", "tcp://10.1.2.3:5560"), "tcp://10.1.2.3:5559");
        assert_eq!(reachable("tcp://[::]:5559", "tcp://[fd00::7]:5560"), "tcp://[fd00::7]:5559");
        assert_eq!(reachable("tcp://127.0.0.1:5559", "tcp://10.1.2.3:5560"), "tcp://127.0.0.1:5559");
        assert_eq!(reachable("ipc:///run/front", "tcp://10.1.2.3:5560"), "ipc:///run/front");
    }
}
