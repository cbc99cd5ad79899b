//! The client process: keeps a number of calls outstanding for a given time.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use callboard_core::wire::{Frames, limits::TURN_ENVELOPES_MAX};
use callboard_transport::Dealer;

use crate::{Load, header::header};

/// The time before the measurement, in which caches fill and buffers grow to their size.
const WARM_UP: Duration = Duration::from_millis(500);

struct Client {
    dealer: Dealer,
    body: Bytes,
    /// The number of calls made.
    made: u64,
    /// The number of calls answered.
    answered: u64,
}

/// Makes calls for the time of `load`. Prints `start` when the measurement begins and `end CALLS SECONDS` when it ends.
pub(crate) async fn run(address: &str, load: Load) -> anyhow::Result<()> {
    let dealer = Dealer::connect(address, None).await?;
    let mut client = Client { dealer, body: Bytes::from(vec![7; load.size as usize]), made: 0, answered: 0 };
    (0..load.window).for_each(|_| client.call());
    client.answers_for(WARM_UP).await?;
    println!("start");
    let (before, begin) = (client.answered, Instant::now());
    client.answers_for(load.time()).await?;
    println!("end {} {}", client.answered - before, begin.elapsed().as_secs_f64());
    Ok(())
}

impl Client {
    fn call(&mut self) {
        self.dealer.send(Frames { first: header(self.made), large: Some(self.body.clone()) });
        self.made += 1;
    }

    /// Makes a call for each answer.
    async fn answers_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let mut next = Some(self.dealer.receive().await.context("the relay is gone")?);
            let mut taken = 0;
            while let Some(frames) = next {
                self.answer(&frames)?;
                taken += 1;
                next = if taken < TURN_ENVELOPES_MAX { self.dealer.try_receive() } else { None };
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn answer(&mut self, frames: &[Bytes]) -> anyhow::Result<()> {
        ensure!(frames.len() == 2 && frames[1] == self.body, "a wrong answer");
        self.answered += 1;
        self.call();
        Ok(())
    }
}
