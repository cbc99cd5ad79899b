//! The keys with which the watchdog of `callboard up` pings the broker.

use callboard::{
    CurveKeys,
    core::{
        auth::{PeerDirectory, PeerEntry},
        wire::handshake::Role,
    },
};

use crate::settings::{Credentials, Settings};

/// Why the broker rejects the watchdog, and what to do.
pub(super) const REJECTED: &str = "the broker would reject the pings of systemd's watchdog, which use the keys of [client]: set server_key \
                                   and curve_secret_file there, for one of the broker's peers";

/// Returns the credentials of `[client]`. What is missing there is taken from the broker's own settings: its public key, and the
/// first authkey that permits the client role.
///
/// # Errors
/// If a key cannot be read.
pub(super) fn of_watchdog(settings: &Settings) -> anyhow::Result<Credentials> {
    let mut credentials = settings.client.credentials.read()?;
    if credentials.curve.is_none() {
        let curve = settings.broker.curve.read()?;
        credentials.curve = curve.map(|curve| CurveKeys::new(curve.secret_key.public_key()));
    }
    if credentials.authkey.is_none()
        && let Some(peers) = settings.broker.peers()?
    {
        let is_client = |peer: &&PeerEntry| peer.public_keys().is_empty() && peer.roles().permits(Role::Client);
        credentials.authkey = peers.iter().filter(is_client).find_map(|peer| peer.authkeys().last()).cloned();
    }
    Ok(credentials)
}

/// Returns whether the peers of a broker have public keys, and that of these credentials is not one of them.
pub(super) fn are_unknown(credentials: &Credentials, peers: &PeerDirectory) -> bool {
    let own = credentials.curve.as_ref().and_then(CurveKeys::secret_key).map(|secret| *secret.public_key().as_bytes());
    let has_own = |peer: &PeerEntry| own.is_some_and(|own| peer.public_keys().contains(&own));
    let is_own = |peer: &PeerEntry| has_own(peer) && peer.roles().permits(Role::Client);
    peers.iter().all(|peer| !peer.public_keys().is_empty()) && !peers.iter().any(is_own)
}
