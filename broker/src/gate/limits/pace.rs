//! How much one connection may send: in a turn, and in a second.

use std::time::{Duration, Instant};

use callboard_core::{wire::limits, zmtp::Message};

/// Bytes that one connection may send in a turn.
pub(in crate::gate) const TURN_BYTES_MAX: usize = limits::TURN_BYTES_MAX;
/// Envelopes that one connection may send in a turn, estimated by [`envelopes_of`]: those that the driver handles in one of its turns. So
/// a peer that sends tiny messages delays the others by one turn of the driver.
pub(in crate::gate) const TURN_ENVELOPES_MAX: usize = limits::TURN_ENVELOPES_MAX;
/// The bytes that an envelope is assumed to have. A request or reply with a small body has about 100 bytes, and a ping 6.
const ENVELOPE_BYTES: usize = 32;

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
#[derive(Debug, Default)]
pub(in crate::gate) struct TurnLoad {
    pub(in crate::gate) bytes: usize,
    pub(in crate::gate) messages: u64,
    pub(in crate::gate) commands: u32,
    envelopes: usize,
}

impl TurnLoad {
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
        self.envelopes >= TURN_ENVELOPES_MAX || self.commands >= COMMANDS.burst
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
        assert_eq!([0, 31, 64, 100, 1 << 20].map(one), [1, 1, 2, 3, limits::BUNDLE_ENVELOPES_MAX]);
        assert_eq!(envelopes_of(&Message::two(Bytes::from_static(&[0; 99]), Bytes::from(vec![0; 1 << 20]))), 1);
    }

    #[test]
    fn a_turn_ends_at_the_first_of_its_limits() {
        let tiny = Message::one(Bytes::new());
        let mut turn = TurnLoad::default();
        (1..TURN_ENVELOPES_MAX).for_each(|_| turn.add_message(&tiny));
        assert!(!turn.is_over());
        turn.add_message(&tiny);
        assert!(turn.is_over() && turn.has_decoded_enough());
        assert!(TurnLoad { commands: COMMANDS.burst, ..TurnLoad::default() }.has_decoded_enough());
        let large = TurnLoad { bytes: TURN_BYTES_MAX, ..TurnLoad::default() };
        assert!(large.is_over() && !large.has_decoded_enough());
    }
}
