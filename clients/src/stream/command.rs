//! The commands of a call with streams to the I/O thread.

use callboard_core::{client::Ticket, wire::streams::ItemCredit};

/// A command of a call with streams to the I/O thread.
#[derive(Debug)]
pub(crate) enum StreamCommand {
    /// Send the items that the call's buffer has collected.
    Items(Ticket),
    /// Send the end of the caller's items.
    End(Ticket),
    /// Account for items that the caller has read.
    Read(Ticket, ItemCredit),
}
