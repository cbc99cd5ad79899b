//! Asking a pool for something, and waiting until it is done.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use callboard::{Client, Code, core::body::Arguments, pool::service_name};
use clap::Args;
use serde::de::DeserializeOwned;

use super::{pool_name, report::PoolReport};
use crate::{
    command::{
        client::{self, flags::Connection},
        output::exit::Exit,
    },
    settings::{ClientSettings, Flags},
};

/// How often it looks how far the pool is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What every command has that asks a pool for something.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// Return when the pool has begun, and do not wait until it is done
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    connection: Connection,
}

impl AskArgs {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }
}

/// A pool that is asked.
pub(crate) struct Asking<'a> {
    client: Client,
    pool: &'a str,
    settings: &'a ClientSettings,
    wait: bool,
    began: Instant,
}

impl<'a> Asking<'a> {
    /// Connects to the broker.
    ///
    /// # Errors
    /// As the command ends: there is no broker, or `pool` is no name.
    pub(crate) async fn connect(
        pool: &'a str,
        arguments: &AskArgs,
        settings: &'a ClientSettings,
    ) -> anyhow::Result<Self> {
        if callboard::core::wire::method::check_service(&service_name(pool)).is_err() {
            return Err(Exit::Usage.because(anyhow!("{pool:?} is no pool's name: write one such as calculator")));
        }
        let client = client::connect(settings).await?;
        Ok(Asking { client, pool, settings, wait: !arguments.no_wait, began: Instant::now() })
    }

    /// Calls one of the pool's methods.
    ///
    /// # Errors
    /// As the command ends.
    pub(crate) async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &str,
        arguments: impl Arguments,
    ) -> anyhow::Result<T> {
        let call = self.client.call::<T>(format!("{}.{method}", service_name(self.pool)), arguments);
        match client::timed(call, self.settings).await {
            Err(error) if error.code() == Code::Unavailable && error.attempt().is_none() => {
                Err(pool_name::none(&self.client, self.pool, self.settings).await)
            }
            ended => ended.map_err(client::failed),
        }
    }

    /// Looks at the pool until `done` is content, or at once if nobody wants to wait.
    ///
    /// # Errors
    /// The time is up (exit code 3), the pool gives up (4), or cannot be asked any more.
    pub(crate) async fn until(
        &self,
        what: &str,
        done: impl Fn(&PoolReport) -> bool,
    ) -> anyhow::Result<Option<PoolReport>> {
        if !self.wait {
            return Ok(None);
        }
        loop {
            let report = PoolReport::ask(&self.client, self.pool, self.settings).await?;
            if let Some(verdict) = &report.verdict {
                return Err(Exit::GaveUp.because(anyhow!("the pool {} gave up: {verdict}", self.pool)));
            }
            if done(&report) {
                return Ok(Some(report));
            }
            if self.settings.timeout.value.is_some_and(|timeout| self.began.elapsed() >= timeout) {
                let (serving, workers, size) = (report.registered(), report.workers.len(), report.size);
                let how = format!("{serving} of {workers} workers serve, and it is to have {size}");
                return Err(Exit::NoBroker.because(anyhow!("the time was up before {what}: {how}; it goes on")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says goodbye.
    pub(crate) async fn leave(self) {
        client::leave(&self.client).await;
    }
}
