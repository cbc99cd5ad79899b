//! `callboard ping`: measures the round trip to the broker.

use std::time::Instant;

use callboard::core::text::HumanDuration;
use clap::Args;
use serde_json::json;

use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit},
    },
    settings::{Flags, Settings},
};

/// Check that the broker answers, and measure the round trip
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Ping {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Queries the broker and prints the result.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let sent = Instant::now();
        client::timed(client.call::<()>("callboard.ping", ()), &settings).await.map_err(client::failed)?;
        let round_trip = sent.elapsed();
        client::leave(&client).await;
        let address = &settings.frontend.value;
        if self.json {
            let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
            output::print(&json!({ "frontend": address, "round_trip_us": micros }).to_string())?;
        } else {
            output::print(&format!("{address} answered in {}", HumanDuration(round_trip)))?;
        }
        Ok(Exit::Success)
    }
}
