//! The watchdog of `callboard up`: pings the broker, and feeds systemd's watchdog only if it answers.

use std::time::Duration;

use callboard::Client;
use tokio::time::MissedTickBehavior;

use super::notify::Notify;
use crate::{command::logging, settings::Credentials};

/// Feeds systemd's watchdog each time that the broker has answered a ping, twice within the watchdog's timeout. Never returns.
///
/// If the broker hangs, the watchdog gets no notification, and systemd restarts everything.
pub(crate) async fn run(notify: Notify, timeout: Duration, frontend: String, credentials: Credentials) {
    let interval = timeout / 2;
    let client = Client::builder(&frontend).name("callboard-up").timeout(interval);
    let client = credentials.add_to_client(client).connect_lazily();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            return tracing::error!(target: logging::UP, %error, "cannot ping the broker: the watchdog is not fed");
        }
    };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match client.call::<()>("callboard.ping", ()).timeout(interval).await {
            Ok(()) => notify.send("WATCHDOG=1"),
            Err(error) => {
                tracing::warn!(target: logging::UP, %error, "the broker does not answer: the watchdog is not fed")
            }
        }
    }
}
