//! Calls that wait until the workers start.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use callboard::Client;
use tokio::sync::watch;

use super::{
    super::{super::echo::Message, parameters::Parameters},
    tally::{Measured, Tally},
};

/// The interval at which the client is asked whether it still sends.
const INTERVAL: Duration = Duration::from_millis(50);

/// The waiting calls of one client, each with a callback.
pub(crate) struct Backlog {
    tally: Arc<Mutex<Tally>>,
    /// The number of calls that have ended, and when the last one did.
    ended: watch::Receiver<(u64, Instant)>,
    calls: u64,
}

impl Backlog {
    /// Makes the calls, and waits until the client has sent as many as the broker's credit permits.
    ///
    /// # Errors
    /// If a call cannot be made.
    pub(crate) async fn fill(client: &Client, parameters: &Parameters, calls: u32) -> anyhow::Result<Backlog> {
        let tally = Arc::new(Mutex::new(Tally::new()?));
        let (sender, ended) = watch::channel((0, Instant::now()));
        let sender = Arc::new(sender);
        let payload = vec![0x5a; parameters.size as usize];
        let mut message = Message { id: 0, name: "0123456789abcdef".to_owned(), payload };
        for id in 0..u64::from(calls) {
            message.id = id;
            let (counted, sender, made) = (Arc::clone(&tally), Arc::clone(&sender), Instant::now());
            let call = client.call::<Message>("bench.echo", (&message,)).wait_for_ready().no_timeout();
            let callback = move |outcome: Result<Message, _>| {
                let now = Instant::now();
                let outcome = match outcome {
                    Ok(result) if result.id == id => Ok(1),
                    Ok(_) => Err("a result was wrong".to_owned()),
                    Err(error) => Err(callboard::CallError::to_string(&error)),
                };
                let mut tally = lock(&counted);
                tally.count(made, now, outcome);
                sender.send_replace((tally.calls(), now));
            };
            call.on_complete(callback).await?;
        }
        sent(client).await;
        Ok(Backlog { tally, ended, calls: u64::from(calls) })
    }

    /// Waits until all calls have ended, and returns their measurements. The time counts from now on.
    ///
    /// # Errors
    /// If the client ends before.
    pub(crate) async fn drained(mut self) -> anyhow::Result<Measured> {
        let started = Instant::now();
        // `wait_for` fails only if all senders are dropped, which is so after the last callback.
        let _ = self.ended.wait_for(|(ended, _)| *ended == self.calls).await;
        let (ended, last) = *self.ended.borrow();
        anyhow::ensure!(ended == self.calls, "{ended} of {} callbacks have run", self.calls);
        // The last callback may still hold its reference.
        let tally = std::mem::replace(&mut *lock(&self.tally), Tally::new()?);
        Ok(tally.measured(last.saturating_duration_since(started)))
    }
}

/// Locks the counters. No callback panics while it holds the lock.
fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the number of calls that wait in the client no longer changes.
async fn sent(client: &Client) {
    let mut waiting = usize::MAX;
    loop {
        let now = client.statistics().waiting;
        if now == waiting {
            return;
        }
        waiting = now;
        tokio::time::sleep(INTERVAL).await;
    }
}
