//! The worker process: sends back what it receives.

use anyhow::ensure;
use bytes::Bytes;
use callboard_core::wire::{Frames, limits::TURN_ENVELOPES_MAX};
use callboard_transport::Dealer;

/// Echoes until the relay is gone.
pub(crate) async fn run(address: &str) -> anyhow::Result<()> {
    let mut dealer = Dealer::connect(address, None).await?;
    while let Ok(first) = dealer.receive().await {
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(frames) = next {
            dealer.send(echo(frames)?);
            taken += 1;
            next = if taken < TURN_ENVELOPES_MAX { dealer.try_receive() } else { None };
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn echo(mut frames: Vec<Bytes>) -> anyhow::Result<Frames> {
    ensure!(frames.len() == 2, "a call has two frames");
    let body = frames.pop();
    Ok(Frames { first: frames.swap_remove(0), large: body })
}
