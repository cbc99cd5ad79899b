//! A request to a pool, and the wait until the pool has carried it out.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use callboard::{Client, Code, core::body::Arguments, pool::service_name};
use clap::Args;
use serde::de::DeserializeOwned;

use super::{pool_name, report::PoolReport};
use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::exit::Exit,
    },
    settings::{ClientSettings, Flags},
};

/// The interval at which it polls the pool's status.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The flags of a command that sends a request to a pool.
#[derive(Debug, Args)]
pub(crate) struct RequestFlags {
    /// Return when the pool has started the change, without waiting until it is done
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl RequestFlags {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }
}

/// A request to one pool.
pub(crate) struct PoolRequest<'a> {
    client: Client,
    pool: &'a str,
    settings: &'a ClientSettings,
    wait: bool,
    started: Instant,
}

impl<'a> PoolRequest<'a> {
    /// Connects to the broker.
    ///
    /// # Errors
    /// There is no broker, or `pool` is not a valid name.
    pub(crate) async fn connect(
        pool: &'a str,
        arguments: &RequestFlags,
        settings: &'a ClientSettings,
    ) -> anyhow::Result<Self> {
        if callboard::core::wire::method::check_service(&service_name(pool)).is_err() {
            return Err(Exit::Usage.because(anyhow!("{pool:?} is not a pool name: write one such as calculator")));
        }
        let client = client::connect(settings).await?;
        Ok(PoolRequest { client, pool, settings, wait: !arguments.no_wait, started: Instant::now() })
    }

    /// Calls one of the pool's methods.
    ///
    /// # Errors
    /// There is no such pool, or the call fails.
    pub(crate) async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &str,
        arguments: impl Arguments,
    ) -> anyhow::Result<T> {
        let call = self.client.call::<T>(format!("{}.{method}", service_name(self.pool)), arguments);
        match client::timed(call, self.settings).await {
            Err(error) if error.code() == Code::Unavailable && error.attempt().is_none() => {
                Err(pool_name::not_found(&self.client, self.pool, self.settings).await)
            }
            ended => ended.map_err(client::failed),
        }
    }

    /// Polls the status of the pool until `done` accepts it. Returns `None` at once with --no-wait.
    ///
    /// # Errors
    /// The timeout expires (exit code 5), the pool gives up (4), or the status cannot be queried.
    pub(crate) async fn until(
        &self,
        what: &str,
        done: impl Fn(&PoolReport) -> bool,
    ) -> anyhow::Result<Option<PoolReport>> {
        if !self.wait {
            return Ok(None);
        }
        loop {
            let report = PoolReport::query(&self.client, self.pool, self.settings).await?;
            if let Some(verdict) = &report.verdict {
                return Err(Exit::GaveUp.because(anyhow!("the pool {} gave up: {verdict}", self.pool)));
            }
            if done(&report) {
                return Ok(Some(report));
            }
            if self.settings.timeout.value.is_some_and(|timeout| self.started.elapsed() >= timeout) {
                let (serving, workers, size) = (report.registered(), report.workers.len(), report.size);
                let how = format!("{serving} of {workers} workers serve, and {size} are wanted");
                return Err(Exit::TimedOut.because(anyhow!("timed out before {what}: {how}; the pool continues")));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Disconnects from the broker.
    pub(crate) async fn leave(self) {
        client::leave(&self.client).await;
    }
}
