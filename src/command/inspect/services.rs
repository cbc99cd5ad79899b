//! `callboard services`: what the broker's workers serve.

use callboard::core::{
    broker::{MethodStatus, ServiceStatus},
    contract::Style,
};
use clap::Args;

use super::describe;
use crate::{
    command::{
        client::{self, flags::Connection},
        control::pool_name::POOL_PREFIX,
        output::{self, exit::Exit, table},
    },
    settings::{Flags, Settings},
};

/// List the services that workers serve now, and their methods
#[derive(Debug, Args)]
pub(crate) struct Services {
    /// Print JSON: all services
    #[arg(long)]
    json: bool,
    /// List the services of pools, too, by which they are scaled and reloaded
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Services {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Asks the broker and prints its answer.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let call = client.call::<Vec<ServiceStatus>>("callboard.services", ());
        let mut services = client::timed(call, &settings).await.map_err(client::failed)?;
        client::leave(&client).await;
        if !self.all && !self.json {
            services.retain(|service| !service.name.starts_with(POOL_PREFIX));
        }
        if self.json {
            output::print(&serde_json::to_string(&services)?)?;
        } else if services.is_empty() {
            output::print("no worker serves anything at this broker")?;
        } else {
            output::print(&table(&services))?;
        }
        for service in &services {
            let said: Vec<_> = service.contracts.iter().map(|said| (said.hash, said.workers)).collect();
            describe::said_of(&service.name, &said).iter().for_each(|note| output::warn(note));
        }
        Ok(Exit::Fine)
    }
}

fn table(services: &[ServiceStatus]) -> String {
    let header = ["METHOD", "EFFECT", "WORKERS", "SLOTS", "RUNNING", "WAITING", "CONTRACT"];
    let rows = services.iter().flat_map(|service| service.methods.iter().map(|method| row(service, method)));
    table::render(header, rows)
}

fn row(service: &ServiceStatus, method: &MethodStatus) -> [String; 7] {
    let ServiceStatus { name, workers, slots, waiting, contracts, .. } = service;
    let style = Style::from(method.style);
    let mut arguments: Vec<_> = method.arguments.iter().map(String::as_str).collect();
    arguments.extend(style.takes_items().then_some("stream"));
    let items = if style.sends_items() { " -> stream" } else { "" };
    let signature = format!("{name}.{}({}){items}", method.name, arguments.join(", "));
    let effect = format!("{:?}", method.effect).to_lowercase();
    let running = match method.concurrency {
        Some(max) => format!("{} of {max}", method.running),
        None => method.running.to_string(),
    };
    // Of several the one that most workers say; that there are others is told below.
    let contract = contracts.first().map_or_else(|| "-".to_owned(), |contract| contract.hash.to_string());
    [signature, effect, workers.to_string(), slots.to_string(), running, waiting.to_string(), contract]
}
