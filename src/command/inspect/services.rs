//! `callboard services`: lists the services of the broker's workers.

use callboard::core::{
    broker::{MethodStatus, ServiceStatus},
    contract::Style,
};
use clap::Args;

use super::describe;
use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
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
    /// Include the control services of pools
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Services {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Queries the broker and prints the result.
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
            output::print("no services at this broker")?;
        } else {
            output::print(&table(&services))?;
        }
        for service in &services {
            let contracts: Vec<_> =
                service.contracts.iter().map(|contract| (contract.hash, contract.workers)).collect();
            describe::disagreement_of(&service.name, &contracts).iter().for_each(|note| output::warn(note));
        }
        Ok(Exit::Success)
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
    // The most frequent one. A warning below the table mentions that there are several.
    let contract = contracts.first().map_or_else(|| "-".to_owned(), |contract| contract.hash.to_string());
    [signature, effect, workers.to_string(), slots.to_string(), running, waiting.to_string(), contract]
}
