//! How much one connection may send: in a turn, and in a second.

use std::time::{Duration, Instant};

use callboard_core::{wire::limits, zmtp::Message};

/// Bytes that one connection may send in a turn.
pub(in crate::gate) const TURN_BYTES_MAX: usize = limits::TURN_BYTES_MAX;
/// Envelopes that one connection may send in a turn, estimated by [`envelopes_of`]: those that the driver handles in one of its turns. So
/// a peer that sends tiny messages delays the others by one turn of the driver.
pub(in crate::gate) const TURN_ENVELOPES_MAX: usize = limits::TURN_ENVELOPES_MAX;
/// The same for a connection that always has more to read. In the measured floods the calls of others took half the time (decision 0004).
const SHORT_TURN_ENVELOPES_MAX: usize = 32;
/// The full turns in a row after which a connection has short ones. A client with 512 outstanding calls has fewer.
const FULL_TURNS_MAX: u32 = 4;
/// The bytes that an envelope is assumed to have. A request or reply with a small body has about 100 bytes, and a ping 6.
const ENVELOPE_BYTES: usize = 64;

/// ZMTP commands of one connection after its handshake. libzmq sends one for each heartbeat interval, and 10 ms is short for that.
pub(in crate::gate) const COMMANDS: Rate = Rate { per_second: 100, burst: 16 };
/// Envelopes of one connection that no credit bounds, such as pings. A peer sends a few in a second. The burst is as many as the calls
/// that a client may have sent before it reconnects, all of which it sends again.
pub(in crate::gate) const UNCREDITED_ENVELOPES: Rate = Rate { per_second: 10_000, burst: limits::CREDIT_CALLS };

/// Steps of the handshakes of CURVE, of all connections together: see [`CurvePace`](super::curve_pace::CurvePace). Each handshake has
/// two. A flood of HELLO at the rate, with its new connections, took 45 % of a core in a development build. The burst is that of a
/// large pool that starts.
pub(in crate::gate) const CURVE_STEPS: Rate = Rate { per_second: 2_000, burst: 256 };

/// Returns an estimate of the envelopes of a message: exact for one whose body has a frame of its own, and for a full bundle.
pub(in crate::gate) fn envelopes_of(message: &Message) -> usize {
    match message.frames() {
        [bundle] => (bundle.len() / ENVELOPE_BYTES).clamp(1, limits::BUNDLE_ENVELOPES_MAX),
        _ => 1,
    }
}

/// What a connection has read in one turn.
#[derive(Debug)]
pub(in crate::gate) struct TurnLoad {
    pub(in crate::gate) bytes: usize,
    pub(in crate::gate) messages: u64,
    pub(in crate::gate) commands: u32,
    /// Whether the connection has nothing more to read.
    pub(in crate::gate) drained: bool,
    envelopes: usize,
    envelopes_max: usize,
}

/// How many turns of a connection were over since the last one that took all that was there.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::gate) struct FullTurns(u32);

impl FullTurns {
    /// Counts a turn.
    pub(in crate::gate) fn count(&mut self, turn: &TurnLoad) {
        if turn.is_over() {
            self.0 = (self.0 + 1).min(FULL_TURNS_MAX);
        } else if turn.drained {
            self.0 = 0;
        }
    }
}

impl TurnLoad {
    /// Begins the next turn of a connection. A connection that always has more to read is a flood or a mass of work, for which latency
    /// does not count, so its turns are short. A burst is read in few large turns, which cost less CPU.
    pub(in crate::gate) fn after(full: FullTurns) -> TurnLoad {
        let envelopes_max = if full.0 < FULL_TURNS_MAX { TURN_ENVELOPES_MAX } else { SHORT_TURN_ENVELOPES_MAX };
        TurnLoad { bytes: 0, messages: 0, commands: 0, drained: false, envelopes: 0, envelopes_max }
    }

    /// Counts a message.
    pub(in crate::gate) fn add_message(&mut self, message: &Message) {
        self.messages += 1;
        self.envelopes += envelopes_of(message);
    }

    /// Returns whether the turn is over: the connection has used its share.
    pub(in crate::gate) fn is_over(&self) -> bool {
        self.bytes >= TURN_BYTES_MAX || self.has_decoded_enough()
    }

    /// Returns whether nothing more may be decoded in this turn. Bytes that were read are decoded, as far as the other limits allow.
    pub(in crate::gate) fn has_decoded_enough(&self) -> bool {
        self.envelopes >= self.envelopes_max || self.commands >= COMMANDS.burst
    }
}

/// The rate of a thing that a peer may send at any time.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) struct Rate {
    per_second: u32,
    /// How many may come at once after a pause.
    burst: u32,
}

/// What one connection may still send at a [`Rate`]. A connection that has sent more is not read until it is within its rate again.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) struct Allowance {
    rate: Rate,
    /// When everything that was sent would have been sent at the rate without a burst.
    paid_until: Instant,
}

impl Allowance {
    pub(in crate::gate) fn new(rate: Rate, now: Instant) -> Allowance {
        Allowance { rate, paid_until: now }
    }

    /// Counts things that were received.
    pub(in crate::gate) fn spend(&mut self, count: u32, now: Instant) {
        self.paid_until = self.paid_until.max(now) + self.rate.span_of(count);
    }

    /// Returns when the connection is within its rate again. `None`: it is.
    pub(in crate::gate) fn resumes_at(&self, now: Instant) -> Option<Instant> {
        let ahead = self.paid_until.saturating_duration_since(now);
        let pause = ahead.checked_sub(self.rate.span_of(self.rate.burst))?;
        Some(now + pause).filter(|_| !pause.is_zero())
    }
}

impl Rate {
    #[cfg(test)]
    pub(super) const fn burst(self) -> u32 {
        self.burst
    }

    /// Returns the time that so many take at this rate.
    fn span_of(self, count: u32) -> Duration {
        Duration::from_secs(1) * count / self.per_second
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_burst_is_free_and_more_is_paid_for_with_time() {
        let start = Instant::now();
        let mut allowance = Allowance::new(COMMANDS, start);
        allowance.spend(COMMANDS.burst, start);
        assert_eq!(allowance.resumes_at(start), None);
        allowance.spend(3, start);
        let resumes = start + Duration::from_millis(30);
        assert_eq!(allowance.resumes_at(start), Some(resumes));
        assert_eq!(allowance.resumes_at(resumes), None);
        let later = start + Duration::from_secs(60);
        allowance.spend(COMMANDS.burst + 1, later);
        assert_eq!(allowance.resumes_at(later), Some(later + Duration::from_millis(10)), "a pause earns one burst");
    }

    #[test]
    fn a_message_counts_by_its_bytes_up_to_a_full_bundle() {
        let one = |bytes| envelopes_of(&Message::one(Bytes::from(vec![0; bytes])));
        assert_eq!([0, 63, 128, 200, 1 << 20].map(one), [1, 1, 2, 3, limits::BUNDLE_ENVELOPES_MAX]);
        assert_eq!(envelopes_of(&Message::two(Bytes::from_static(&[0; 99]), Bytes::from(vec![0; 1 << 20]))), 1);
    }

    #[test]
    fn a_turn_ends_at_the_first_of_its_limits() {
        let tiny = Message::one(Bytes::new());
        let first = || TurnLoad::after(FullTurns::default());
        let mut turn = first();
        (1..TURN_ENVELOPES_MAX).for_each(|_| turn.add_message(&tiny));
        assert!(!turn.is_over());
        turn.add_message(&tiny);
        assert!(turn.is_over() && turn.has_decoded_enough());
        assert!(TurnLoad { commands: COMMANDS.burst, ..first() }.has_decoded_enough());
        let large = TurnLoad { bytes: TURN_BYTES_MAX, ..first() };
        assert!(large.is_over() && !large.has_decoded_enough());
    }
    #[test]
    fn a_connection_that_always_has_more_has_short_turns() {
        let tiny = Message::one(Bytes::new());
        let mut full = FullTurns::default();
        let mut take = |count| {
            let mut turn = TurnLoad::after(full);
            let mut taken = 0;
            while taken < count && !turn.is_over() {
                turn.add_message(&tiny);
                taken += 1;
            }
            turn.drained = taken == count;
            full.count(&turn);
            taken
        };
        assert_eq!([1_000; 6].map(&mut take), [256, 256, 256, 256, 32, 32]);
        assert_eq!([31, 1_000].map(take), [31, 256], "a turn that takes everything ends the row");
    }
}
