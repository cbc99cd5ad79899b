//! Other keys for a broker that runs.

use callboard_core::auth::AuthKeys;
use tokio::sync::watch;

/// Gives a running broker other keys. A copy is the same handle.
#[derive(Clone, Debug)]
pub struct KeyChanger(watch::Sender<Option<AuthKeys>>);

impl KeyChanger {
    pub(crate) fn new() -> KeyChanger {
        KeyChanger(watch::Sender::new(None))
    }

    /// From the broker's next turn on these keys count instead of those it had, for who joins. Who has joined stays.
    pub fn change(&self, keys: AuthKeys) {
        self.0.send_replace(Some(keys));
    }

    /// What was given so far and from now on. Does not end while this handle lives.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<AuthKeys>> {
        let mut changes = self.0.subscribe();
        // What was given before is new, too.
        changes.mark_changed();
        changes
    }
}
