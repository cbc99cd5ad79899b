//! What a stranger may cost.

use std::time::Duration;

use callboard_core::wire::limits;

use super::GateError;

/// The limits of one gate, both sides together. [`Default`] is what a broker starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Connections at a time, those in the handshake included. Default 10,000: ten times a busy broker's. Too low: peers
    /// wait to be accepted until others leave. Too high: the process runs out of files first, which the gate survives
    /// but nobody can connect.
    pub connections_max: usize,
    /// Connections at a time from one address: a whole IPv4 address or IPv6 /64 network, over ipc a user. Default 4,096,
    /// below half of all, so that not even two addresses shut out the rest; this machine's own counts as any other. Too
    /// low: a large host, or many behind one router, is refused. A connection above it is refused at once, unless one of
    /// the same address has not finished its handshake and makes way.
    pub connections_per_address_max: usize,
    /// Connections at a time that were not let in yet. Default 1,024. When there are so many, a newcomer displaces the
    /// oldest of them that had 500 ms, from the address that has most; if none had it, accepting waits.
    /// So a flood of silent connections can neither keep good peers out, for each of them has that long to say who it is,
    /// nor be dearer than this. Too low: peers that all come back at once displace each other.
    pub handshakes_max: usize,
    /// From accepting a connection to its being let in: ZMTP's handshake and ours together. Default
    /// [`limits::HANDSHAKE_MAX`]: who connects and is silent must not hold a place for ever. Too low: peers far away or
    /// on a busy machine never get in.
    pub handshake_max: Duration,
    /// Bytes of one message, all frames together, until [`super::Gate::admit`]. Default [`limits::HANDSHAKE_BYTES_MAX`]:
    /// who has not been let in yet costs little. Too low: a hello does not fit.
    pub handshake_bytes_max: usize,
    /// Bytes of one message afterwards. Default [`limits::MESSAGE_BYTES_MAX`]. Too low: large calls end their
    /// connections. Too high: a few peers can fill the memory.
    pub message_bytes_max: usize,
    /// Bytes that wait to be written to one peer. Default 64 MiB, four of the largest messages; above it the peer does
    /// not read and is closed. Too low: a short stall of a good peer, or one large message, costs it its connection.
    pub unsent_bytes_max: usize,
    /// Bytes that all peers together may make the gate hold: what waits for the driver, what is unsent, and messages that
    /// have not come whole. Default 1 GiB. Above it the connection that holds most is closed, as often as needed: only
    /// that gives memory back, for who does not read does not read sooner, and half a message is of use to nobody. Too
    /// low: a few peers with large messages in a bad moment cost each other their connections. Too high: the system ends
    /// the broker before the broker ends the attack.
    pub held_bytes_max: usize,
    /// How long a connection that is being closed may take to take what was sent to it before. Default 2 s, a few round
    /// trips of the worst network; a peer that does not read is not waited for longer.
    pub close_max: Duration,
    /// Events that wait for the driver; above it connections are not read. Default 8,192, some turns of the driver. Too
    /// low: the driver waits for the sockets and the sockets for it.
    pub queue_events_max: usize,
    /// Bytes of messages that wait for the driver; above it connections are not read. Default 16 MiB. The excess is at
    /// most one turn of one connection, or its one large message.
    pub queue_bytes_max: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        GateLimits {
            connections_max: 10_000,
            connections_per_address_max: 4_096,
            handshakes_max: 1_024,
            handshake_max: limits::HANDSHAKE_MAX,
            handshake_bytes_max: limits::HANDSHAKE_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            unsent_bytes_max: 64 * 1024 * 1024,
            held_bytes_max: 1024 * 1024 * 1024,
            close_max: Duration::from_secs(2),
            queue_events_max: 8_192,
            queue_bytes_max: 16 * 1024 * 1024,
        }
    }
}

impl GateLimits {
    /// Refuses limits with which nothing could ever pass.
    pub(crate) fn check(&self) -> Result<(), GateError> {
        let problem = if self.connections_max == 0 || self.connections_per_address_max == 0 || self.handshakes_max == 0
        {
            "connections_max, connections_per_address_max or handshakes_max is 0: nobody could connect"
        } else if self.queue_events_max == 0 || self.queue_bytes_max == 0 {
            "queue_events_max or queue_bytes_max is 0: nothing would ever be read"
        } else if self.message_bytes_max < self.handshake_bytes_max {
            "message_bytes_max is below handshake_bytes_max: a peer that is let in could send less than before"
        } else if self.unsent_bytes_max < self.message_bytes_max.saturating_mul(2) {
            "unsent_bytes_max is below twice message_bytes_max: a single large message would end its connection"
        } else if self.held_bytes_max < self.queue_bytes_max.saturating_add(self.unsent_bytes_max) {
            "held_bytes_max is below unsent_bytes_max and 16 MiB more: a single slow reader would be too much for it"
        } else {
            return Ok(());
        };
        Err(GateError::Limits { problem })
    }
}

/// How long a connection has at least, from its being accepted, to finish its handshake, however many others want its
/// place. Three round trips of the worst network. With [`GateLimits::handshakes_max`] it bounds how many strangers a second
/// can be served: some 2,000, which costs a few per cent of a processor.
pub(super) const HANDSHAKE_GRACE: Duration = Duration::from_millis(500);
/// Connections at a time that are refused with a word. The word takes a place for a moment; who comes in such numbers that
/// this many are in it together is refused without.
pub(super) const FAREWELLS_MAX: usize = 64;
/// Connections that end alike are told of in the log one by one up to so many a second; then they are counted.
pub(super) const LOG_LINES_MAX: u32 = 5;
/// One read. What a bundle has at most, so that a full one takes one or two reads.
pub(super) const READ_BYTES_MAX: usize = limits::BUNDLE_BYTES_MAX;
/// One allocation that reads are made into, one after another, by all connections.
pub(super) const READ_BLOCK_BYTES: usize = 4 * READ_BYTES_MAX;
/// What one connection may bring in before the next one's turn.
pub(super) const TURN_BYTES_MAX: usize = limits::TURN_BYTES_MAX;
/// A peer that is slow to finish a message is reported alive this often at most. Well below any sensible heartbeat.
pub(super) const HEARD_INTERVAL: Duration = Duration::from_millis(100);
/// How long accepting rests after it failed, as it does when the process is out of files: trying again at once would only
/// burn the processor until somebody closes one.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer with this much unread gets no PONG on top: it has signs of life enough waiting, and one that only ever sends
/// PINGs must not fill our memory with the answers.
pub(super) const PONG_UNSENT_BYTES_MAX: usize = 64 * 1024;
/// A peer that was told to go, and neither closes its endpoint nor says anything for so long, is closed from ours: its bytes
/// cannot cross the close any more and turn it into a reset.
pub(super) const CLOSE_QUIET: Duration = Duration::from_millis(100);
/// Connections that the kernel keeps for us until we accept them.
pub(super) const BACKLOG: u32 = 1_024;

const _: () = assert!(HANDSHAKE_GRACE.as_millis() < limits::HANDSHAKE_MAX.as_millis(), "the grace is the lesser time");
const _: () = assert!(
    READ_BLOCK_BYTES >= READ_BYTES_MAX + limits::BODY_COPIED_BYTES_MAX + 9,
    "a read fits behind the small frame that an earlier one left unfinished"
);
