//! `callboard ping`: whether the broker answers, and how fast.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use crate::{
    command::{
        client::{self, flags::Connection},
        output::{self, exit::Exit},
    },
    settings::{Flags, Settings},
};

/// Ask the broker whether it is there, and how long its answer takes
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Ping {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Asks the broker and prints its answer.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let asked = Instant::now();
        client::timed(client.call::<()>("callboard.ping", ()), &settings).await.map_err(client::failed)?;
        let round_trip = asked.elapsed();
        client::leave(&client).await;
        let address = &settings.frontend.value;
        if self.json {
            let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
            output::print(&json!({ "frontend": address, "round_trip_us": micros }).to_string())?;
        } else {
            output::print(&format!("{address} answered in {round_trip:.0?}"))?;
        }
        Ok(Exit::Fine)
    }
}
