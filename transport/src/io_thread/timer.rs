//! A timer for a deadline that moves with every turn.

use std::{future, pin::Pin};

use callboard_core::time::Time;
use tokio::time::{Instant, Sleep, sleep_until};

use super::clock::Clock;

/// A timer that waits for a machine's next deadline.
///
/// The deadline of a busy machine moves later with every turn, because a ping is due only after silence, and resetting a timer costs
/// more than waiting for one. So a timer that is armed for an earlier moment stays armed, and is compared with the deadline again
/// when it fires.
#[derive(Debug, Default)]
pub struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When `sleep` fires, unless it has fired.
    armed: Option<Time>,
}

impl Timer {
    /// Creates a timer that is not armed.
    pub fn new() -> Timer {
        Timer::default()
    }

    /// Waits until `deadline` by `clock`. Never completes if there is no deadline.
    ///
    /// # Cancel safety
    /// Cancel safe: the future may be dropped at any point, and `wait` called again with another deadline.
    pub async fn wait(&mut self, clock: Clock, deadline: Option<Time>) {
        let Some(deadline) = deadline.filter(|&deadline| clock.instant(deadline).is_some()) else {
            return future::pending().await;
        };
        while clock.now() < deadline {
            if self.armed.is_none_or(|armed| armed > deadline) {
                self.arm(clock, deadline);
            }
            if let Some(sleep) = &mut self.sleep {
                sleep.await;
            }
            self.armed = None;
        }
    }

    fn arm(&mut self, clock: Clock, deadline: Time) {
        let Some(instant) = clock.instant(deadline).map(Instant::from_std) else { return };
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(instant),
            None => self.sleep = Some(Box::pin(sleep_until(instant))),
        }
        self.armed = Some(deadline);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_timer_fires_at_its_deadline_also_after_the_deadline_moved() {
        let (clock, mut timer) = (Clock::new(), Timer::new());
        let near = clock.now() + Duration::from_millis(10);
        let far = near + Duration::from_millis(20);
        assert!(timer.wait(clock, Some(far)).now_or_never().is_none());
        timer.wait(clock, Some(near)).await;
        assert!(clock.now() >= near);
        timer.wait(clock, Some(far)).await;
        assert!(clock.now() >= far);
    }

    #[tokio::test]
    async fn a_past_deadline_completes_at_once_and_a_missing_one_never() {
        let (clock, mut timer) = (Clock::new(), Timer::new());
        assert!(timer.wait(clock, Some(Time::ZERO)).now_or_never().is_some());
        assert!(timer.wait(clock, None).now_or_never().is_none());
        assert!(timer.wait(clock, Some(Time::ZERO + Duration::MAX)).now_or_never().is_none());
    }
}
