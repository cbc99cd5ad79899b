//! The limits of a gate on the resources that peers may use.
//!
//! | file | contents |
//! |---|---|
//! | `admission` | which new connections are admitted |
//! | `rate_limit_key` | what connections are counted by |
//! | `memory` | the bytes that the gate holds for its connections |
//! | `pace` | how much one connection may send, in a turn and in a second |
//! | `curve_pace` | how much time the handshakes of CURVE may take |

pub(in crate::gate) mod admission;
pub(in crate::gate) mod curve_pace;
pub(in crate::gate) mod memory;
pub(in crate::gate) mod pace;
pub(in crate::gate) mod rate_limit_key;

use std::time::Duration;

use callboard_core::wire::limits;

use super::GateError;

/// The limits of one gate, for both listeners together. [`Default`] holds the broker's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Open connections, including those in the handshake. Default 10,000: ten times those of a busy broker. Too low: new peers wait
    /// until others leave. Too high: the process runs out of files first, and then no peer can connect.
    pub connections_max: usize,
    /// Open connections from one address: an IPv4 address, an IPv6 /64 network or, over ipc, a user. Default 4,096: less than half of
    /// all, so that not even two addresses shut out the rest. This host's own address counts like any other. Too low: a large host, or
    /// many hosts behind one router, are rejected. A connection above the limit is rejected at once, unless it can displace one of the
    /// same address that has not finished its handshake.
    pub connections_per_address_max: usize,
    /// Open connections that are not authenticated. Default 1,024. At the limit, a new connection displaces the oldest one that had
    /// 500 ms, from the address that has most of them; if none had 500 ms, accepting waits. So a flood of silent connections cannot
    /// keep legitimate peers out, since each has that time to authenticate, and costs no more than this. Too low: peers that all
    /// reconnect at once displace each other.
    pub handshakes_max: usize,
    /// The time from accepting a connection to its authentication: ZMTP's handshake and ours together. Default
    /// [`limits::HANDSHAKE_TIMEOUT`]: a silent connection must not count forever. Too low: distant peers, or peers on a busy host, never
    /// connect.
    pub handshake_max: Duration,
    /// Bytes of one message, all frames together, before [`super::Gate::set_authenticated`]. Default [`limits::HANDSHAKE_BYTES_MAX`]:
    /// an unauthenticated peer must cost little. Too low: a hello does not fit.
    pub handshake_bytes_max: usize,
    /// Bytes of one message afterwards. Default [`limits::MESSAGE_BYTES_MAX`]. Too low: large calls end their
    /// connections. Too high: a few peers can fill the memory.
    pub message_bytes_max: usize,
    /// Bytes that wait to be written to one peer. Default 64 MiB, four of the largest messages. Above it the gate assumes that the peer
    /// does not read, and closes it. Too low: a short stall, or one large message, costs a legitimate peer its connection.
    pub unsent_bytes_max: usize,
    /// Bytes that the gate holds for all peers together: what waits for the driver, what is unsent, and incomplete
    /// messages. Default 1 GiB. Above it the connection that holds most is closed, as often as needed: only that frees
    /// memory, since a peer that does not read does not read sooner, and half a message has no use. Too low: a few
    /// peers with large messages at the same time cost each other their connections. Too high: the system kills the
    /// broker before the limit stops an attack.
    pub held_bytes_max: usize,
    /// How long a connection that is being closed may take to read what was sent to it before. Default 2 s, a few round trips of the
    /// worst network. The gate does not wait longer for a peer that does not read.
    pub close_max: Duration,
    /// Envelopes that wait for the driver, estimated by the size of their messages; other events count as one. Above it connections are
    /// not read. Default: those of one turn of the driver. The excess is at most the share of one connection. Too low: the driver and
    /// the sockets wait for each other. Too high: a message waits behind all that others have sent.
    pub queue_envelopes_max: usize,
    /// Bytes of messages that wait for the driver. Above it connections are not read. Default 16 MiB. The excess is at most one turn of
    /// one connection, or its one large message.
    pub queue_bytes_max: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        GateLimits {
            connections_max: 10_000,
            connections_per_address_max: 4_096,
            handshakes_max: 1_024,
            handshake_max: limits::HANDSHAKE_TIMEOUT,
            handshake_bytes_max: limits::HANDSHAKE_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            unsent_bytes_max: 64 * 1024 * 1024,
            held_bytes_max: 1024 * 1024 * 1024,
            close_max: Duration::from_secs(2),
            queue_envelopes_max: limits::TURN_ENVELOPES_MAX,
            queue_bytes_max: 16 * 1024 * 1024,
        }
    }
}

impl GateLimits {
    /// Rejects limits that contradict each other.
    pub(crate) fn check(&self) -> Result<(), GateError> {
        let problem = if self.connections_max == 0 || self.connections_per_address_max == 0 || self.handshakes_max == 0
        {
            "connections_max, connections_per_address_max or handshakes_max is 0: no peer could connect"
        } else if self.queue_envelopes_max == 0 || self.queue_bytes_max == 0 {
            "queue_envelopes_max or queue_bytes_max is 0: nothing would ever be read"
        } else if self.message_bytes_max < self.handshake_bytes_max {
            "message_bytes_max is below handshake_bytes_max: an authenticated peer could send less than before"
        } else if self.unsent_bytes_max < self.message_bytes_max.saturating_mul(2) {
            "unsent_bytes_max is below twice message_bytes_max: a single large message would end its connection"
        } else if self.held_bytes_max < self.queue_bytes_max.saturating_add(self.unsent_bytes_max) {
            "held_bytes_max is below unsent_bytes_max plus 16 MiB: a single slow reader would exceed it"
        } else {
            return Ok(());
        };
        Err(GateError::Limits { problem })
    }
}

/// How long a connection may take to finish its handshake before another may displace it. Three round trips of the worst network. With
/// [`GateLimits::handshakes_max`] it bounds how many unauthenticated peers are served: some 2,000 a second, which costs a few per cent
/// of a processor.
pub(in crate::gate) const HANDSHAKE_GRACE: Duration = Duration::from_millis(500);
/// The number of connections that may be in rejection with a message at a time, because a message takes resources for a
/// moment. Further ones are rejected without one.
pub(in crate::gate) const REJECTIONS_MAX: usize = 64;
/// The size of one read: that of the largest bundle, so that a full one takes one or two reads.
pub(in crate::gate) const READ_BYTES_MAX: usize = limits::BUNDLE_BYTES_MAX;
/// The allocation that all connections read into, one after another.
pub(in crate::gate) const READ_BLOCK_BYTES: usize = 4 * READ_BYTES_MAX;
/// The minimum interval between two reports of activity without a complete message. It is well below any sensible
/// heartbeat.
pub(in crate::gate) const ACTIVITY_INTERVAL: Duration = Duration::from_millis(100);
/// The pause after a failure to accept, for example because the process is out of file descriptors: an immediate retry
/// would only use the processor until one is closed.
pub(in crate::gate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The unsent bytes above which a peer gets no PONG: a peer that sends only PINGs and does not read must not fill the
/// memory with answers.
pub(in crate::gate) const PONG_UNSENT_BYTES_MAX: usize = 64 * 1024;
/// How long a disconnected peer must have sent nothing before the gate closes the socket, if the peer has not closed
/// it: bytes that arrive at that moment would turn the close into a reset.
pub(in crate::gate) const CLOSE_QUIET: Duration = Duration::from_millis(100);
/// The pause before each read of at most [`READ_BYTES_MAX`] whose bytes are discarded, while a connection closes. So a peer that keeps
/// sending takes a few per cent of a processor until [`GateLimits::close_max`].
pub(in crate::gate) const DISCARD_PAUSE: Duration = Duration::from_millis(1);
/// Connections that the kernel queues until they are accepted.
pub(in crate::gate) const BACKLOG: u32 = 1_024;

const _: () = assert!(
    HANDSHAKE_GRACE.as_millis() < limits::HANDSHAKE_TIMEOUT.as_millis(),
    "the grace is shorter than the handshake timeout"
);
const _: () = assert!(
    READ_BLOCK_BYTES >= READ_BYTES_MAX + limits::BODY_INLINE_BYTES_MAX + 9,
    "a read fits behind the small frame that an earlier one left unfinished"
);
