//! The commands of a call with streams to the I/O thread.

use bytes::Bytes;
use callboard_core::{client::Ticket, wire::streams::ItemCredit};

/// A command of a call with streams to the I/O thread.
#[derive(Debug)]
pub(crate) enum StreamCommand {
    /// Send an item, for which the caller has credit.
    Item(Ticket, Bytes),
    /// Send the end of the caller's items.
    End(Ticket),
    /// Account for items that the caller has read.
    Read(Ticket, ItemCredit),
}
