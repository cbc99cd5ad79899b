//! Replacing the keys of a running broker.

use callboard_core::auth::AuthKeys;
use tokio::sync::watch;

/// Replaces the keys of a running broker. A clone is the same handle.
#[derive(Clone, Debug)]
pub struct KeyChanger(watch::Sender<Option<AuthKeys>>);

impl KeyChanger {
    pub(crate) fn new() -> KeyChanger {
        KeyChanger(watch::Sender::new(None))
    }

    /// Replaces the keys from the broker's next turn on. Only new connections must authenticate with them; existing ones remain.
    pub fn change(&self, keys: AuthKeys) {
        self.0.send_replace(Some(keys));
    }

    /// Returns the keys that were given before and from now on. The channel stays open as long as this handle exists.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<AuthKeys>> {
        let mut changes = self.0.subscribe();
        // Keys that were given before count as a change, too.
        changes.mark_changed();
        changes
    }
}
