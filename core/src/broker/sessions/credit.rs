//! The credit of one client, in calls and bytes.

use crate::wire::envelope::Credit;

/// What a client may still send, and what it will be granted again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreditAccount {
    window: Credit,
    available: Credit,
    released: Credit,
}

impl CreditAccount {
    /// Creates an account with a full window.
    pub(crate) fn new(window: Credit) -> CreditAccount {
        CreditAccount { window, available: window, released: Credit::default() }
    }

    /// Returns what the client may still send.
    pub(crate) fn available(&self) -> Credit {
        self.available
    }

    /// Spends the credit of a call with a body of so many bytes. Returns false if there was not enough.
    #[must_use]
    pub(crate) fn spend(&mut self, bytes: u64) -> bool {
        if self.available.calls == 0 || self.available.bytes < bytes {
            return false;
        }
        self.available.calls -= 1;
        self.available.bytes -= bytes;
        true
    }

    /// Releases the credit of a call that has ended.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.released.calls += 1;
        self.released.bytes += bytes;
    }

    /// Returns the credit to grant now: nothing, or all that was released once it is half the window.
    pub(crate) fn take_grant(&mut self) -> Option<Credit> {
        let released = self.released;
        if released.calls < self.window.calls / 2 && released.bytes < self.window.bytes / 2 {
            return None;
        }
        self.released = Credit::default();
        self.available.calls += released.calls;
        self.available.bytes += released.bytes;
        Some(released)
    }
}
