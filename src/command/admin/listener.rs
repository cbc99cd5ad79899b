//! The address of an admin endpoint.

use std::net::TcpListener;

use anyhow::anyhow;

use crate::{
    command::{logging, output::exit::Exit},
    settings::Sourced,
};

/// Listens on the address of the endpoint, `HOST:PORT`. Logs a warning if other machines can reach it.
///
/// # Errors
/// If the address cannot be listened on: exit code 4.
pub(crate) fn listen(address: &Sourced<Option<String>>) -> anyhow::Result<Option<TcpListener>> {
    let Some(wanted) = &address.value else { return Ok(None) };
    let listener = bind(wanted).map_err(|error| {
        let text = format!("cannot listen on {wanted} ({}): {error}; choose another address", address.source);
        Exit::GaveUp.because(anyhow!(text))
    })?;
    let bound = listener.local_addr()?;
    if !bound.ip().is_loopback() {
        tracing::warn!(
            target: logging::ADMIN,
            address = %bound,
            "other machines can reach the admin endpoint, and reading it needs no key"
        );
    }
    tracing::info!(target: logging::ADMIN, address = %bound, "admin endpoint open");
    Ok(Some(listener))
}

fn bind(address: &str) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
