//! Whether the broker of `callboard up` is well: it is asked, and systemd's watchdog is told only if it answers.

use std::time::Duration;

use callboard::{AuthKey, Client, ClientBuilder};
use tokio::time::{MissedTickBehavior, interval};

use super::notify::Notify;

/// Tells the watchdog that all is well, each time that the broker has answered; twice within the watchdog's time. Never returns.
///
/// A broker that hangs is not told of, and so systemd starts everything anew.
pub(crate) async fn beat(notify: Notify, within: Duration, frontend: String, authkey: Option<AuthKey>) {
    let every = within / 2;
    let client = Client::builder(&frontend).name("callboard-up").timeout(every);
    let client = authkey.into_iter().fold(client, ClientBuilder::authkey).connect_lazily();
    let client = match client {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "the broker cannot be asked whether it is well"),
    };
    let mut beats = interval(every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        match client.call::<()>("callboard.ping", ()).timeout(every).await {
            Ok(()) => notify.tell("WATCHDOG=1"),
            Err(error) => {
                tracing::warn!(%error, "the broker does not answer: the watchdog is not told that all is well")
            }
        }
    }
}
