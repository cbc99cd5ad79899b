//! How much of the broker's time the handshakes of CURVE take.

use std::{cell::Cell, time::Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::pace::{Allowance, CURVE_STEPS};

/// The order and the rate of the handshakes of CURVE of all connections.
///
/// A step of a handshake (a HELLO, or an INITIATE) makes the broker compute, while a peer that repeats a recorded HELLO computes
/// nothing. So the connections that make a handshake read one at a time, in the order in which they asked: other connections wait for
/// one step at most. All steps together have a rate, because new connections make the limits of one connection meaningless.
#[derive(Debug)]
pub(in crate::gate) struct CurvePace {
    /// A semaphore whose one permit is the turn to make a step.
    turn: Semaphore,
    steps: Cell<Allowance>,
}

impl CurvePace {
    pub(in crate::gate) fn new() -> CurvePace {
        CurvePace { turn: Semaphore::new(1), steps: Cell::new(Allowance::new(CURVE_STEPS, Instant::now())) }
    }

    /// Waits for the turn to make a step, which lasts until the permit is dropped, and until all steps are within their rate.
    ///
    /// # Cancel safety
    /// A cancelled caller loses only its place in the order.
    pub(in crate::gate) async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.turn.acquire().await.expect("nothing closes this semaphore");
        while let Some(until) = self.steps.get().resumes_at(Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
        turn
    }

    /// Counts a step that was made.
    pub(in crate::gate) fn spend_step(&self) {
        let mut steps = self.steps.get();
        steps.spend(1, Instant::now());
        self.steps.set(steps);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[tokio::test]
    async fn steps_are_made_in_order_and_at_a_limited_rate() {
        let (pace, context) = (CurvePace::new(), &mut Context::from_waker(Waker::noop()));
        let turn = pace.turn().await;
        assert!(pin!(pace.turn()).poll(context).is_pending(), "another connection has the turn");
        drop(turn);
        // Twice the burst: more than the rate allows while the test runs.
        (0..2 * CURVE_STEPS.burst()).for_each(|_| pace.spend_step());
        assert!(pin!(pace.turn()).poll(context).is_pending(), "the rate is used up");
        drop(pace.turn().await);
    }
}
