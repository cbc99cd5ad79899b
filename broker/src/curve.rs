//! Replacing the CURVE keys of a running broker.

use tokio::sync::watch;

use crate::gate::Curve;

/// Replaces the CURVE keys of a running broker. A clone is the same handle.
#[derive(Clone, Debug)]
pub(crate) struct CurveChanger(watch::Sender<Option<Curve>>);

impl CurveChanger {
    pub(crate) fn new() -> CurveChanger {
        CurveChanger(watch::Sender::new(None))
    }

    /// Replaces the keys from the broker's next turn on.
    pub(crate) fn change(&self, curve: Curve) {
        self.0.send_replace(Some(curve));
    }

    /// Returns the keys that were given before and from now on. The channel stays open as long as this handle exists.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Curve>> {
        let mut changes = self.0.subscribe();
        // Keys that were given before count as a change, too.
        changes.mark_changed();
        changes
    }
}
