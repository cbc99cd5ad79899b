//! Replacing the peers that a running broker knows.

use callboard_core::auth::PeerDirectory;
use tokio::sync::watch;

/// Replaces the peers that a running broker knows. A clone is the same handle.
#[derive(Clone, Debug)]
pub struct PeerChanger(watch::Sender<Option<PeerDirectory>>);

impl PeerChanger {
    pub(crate) fn new() -> PeerChanger {
        PeerChanger(watch::Sender::new(None))
    }

    /// Replaces the peers from the broker's next turn on. Connections of peers that are no longer known end, except if a key was removed
    /// from a key file. Changed rights apply from the next call on.
    pub fn change(&self, peers: PeerDirectory) {
        self.0.send_replace(Some(peers));
    }

    /// Returns the peers that were given before and from now on. The channel stays open as long as this handle exists.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<PeerDirectory>> {
        let mut changes = self.0.subscribe();
        // Peers that were given before count as a change, too.
        changes.mark_changed();
        changes
    }
}
