//! The actions of the broker machine: its outputs.

use super::diagnostic::Diagnostic;
use crate::wire::{envelope::Envelope, ids::ConnectionId};

/// An output of the machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send an envelope on a connection.
    Send(ConnectionId, Envelope),
    /// The peer was authenticated: accept messages of full size from this connection.
    Authenticated(ConnectionId),
    /// Close a connection once everything sent on it has been written. The machine has already removed it.
    Close(ConnectionId),
    /// Log a diagnostic for the operator.
    Log(Diagnostic),
    /// The shutdown is complete: write what is unsent, and end.
    Stopped,
}
