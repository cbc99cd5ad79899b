//! The limits of a dealer, encrypted or not.

use std::time::Duration;

/// The limit from the first packet to the end of ZeroMQ's handshake. A healthy broker answers within milliseconds. A longer wait
/// would only delay the next attempt, when the host name may resolve to another address.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The limit of messages that wait for the socket. Credit keeps a driver far below it. A driver that reaches it ignores its
/// credit, and its connection is closed before memory runs out.
pub(super) const UNSENT_MAX: usize = 131_072;
