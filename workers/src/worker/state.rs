//! The state of a worker's connection.

/// The state of a worker's connection to its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerState {
    /// The worker is not registered. It keeps trying to connect.
    Disconnected,
    /// The worker is registered at the broker.
    Registered {
        /// The address of the broker's frontend, for calls that the worker itself makes.
        frontend: String,
    },
}

/// Returns the address at which this worker reaches the broker's frontend. A broker that listens on all addresses of its machine
/// reports an unspecified host; then the host is that of the backend.
pub(super) fn reachable_frontend(frontend: &str, backend: &str) -> String {
    let parts = |address: &str| {
        let (host, port) = address.strip_prefix("tcp://")?.rsplit_once(':')?;
        Some((host.to_owned(), port.to_owned()))
    };
    match (parts(frontend), parts(backend)) {
        (Some((host, port)), Some((backend_host, _))) if matches!(host.as_str(), "0.0.0.0" | "[::]") => {
            format!("tcp://{backend_host}:{port}")
        }
        _ => frontend.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frontend_on_all_addresses_has_the_host_of_the_backend() {
        assert_eq!(reachable_frontend("tcp://0.0.0.0:5559", "tcp://10.1.2.3:5560"), "tcp://10.1.2.3:5559");
        assert_eq!(reachable_frontend("tcp://[::]:5559", "tcp://[fd00::7]:5560"), "tcp://[fd00::7]:5559");
        assert_eq!(reachable_frontend("tcp://127.0.0.1:5559", "tcp://10.1.2.3:5560"), "tcp://127.0.0.1:5559");
        assert_eq!(reachable_frontend("ipc:///run/front", "tcp://10.1.2.3:5560"), "ipc:///run/front");
    }
}
