//! The end of casts. A cast has no reply, so the workers count them, and the client reads the count.

use std::time::{Duration, Instant};

use callboard::Client;

/// The interval at which the count is read.
const INTERVAL: Duration = Duration::from_millis(10);
/// The longest time without a further cast. Then the rest counts as lost.
const STALL_MAX: Duration = Duration::from_secs(3);

/// Waits until the workers have run `sent` casts of a client, and returns how many have not run.
///
/// # Errors
/// If the workers do not answer.
pub(crate) async fn missing(client: &Client, id: u64, sent: u64) -> anyhow::Result<u64> {
    let (mut ran, mut changed) = (ran(client, id).await?, Instant::now());
    while ran < sent && changed.elapsed() < STALL_MAX {
        tokio::time::sleep(INTERVAL).await;
        let now = self::ran(client, id).await?;
        if now > ran {
            (ran, changed) = (now, Instant::now());
        }
    }
    Ok(sent.saturating_sub(ran))
}

async fn ran(client: &Client, id: u64) -> anyhow::Result<u64> {
    let answers = client.call::<u64>("bench.casts_run", (id,)).broadcast().await?;
    Ok(answers.all()?.into_iter().sum())
}
