//! `callboard keys check`: whether a file of peers is valid, and whether its rules fit a broker.

use std::path::Path;

use callboard::core::{
    auth::{Pattern, PeerEntry},
    broker::ServiceStatus,
    wire::method::MethodName,
};
use clap::Args;

use super::error::unusable;
use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit},
    },
    peers_file::PeersFile,
    settings::{Flags, Settings},
};

/// The broker's own service. `callboard.services` does not list it.
const BROKER_SERVICE: &str = "callboard";

/// Check the file; with --services, warn of rules for services that no worker serves
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Compare the rules with the services of the broker
    #[arg(long)]
    services: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Check {
    pub(super) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    pub(super) async fn run(self, path: &Path, settings: &Settings) -> anyhow::Result<Exit> {
        let file = PeersFile::read(path).map_err(unusable)?;
        let directory = file.directory().map_err(unusable)?;
        if self.services {
            let services = services_of(settings).await?;
            file.peers().iter().flat_map(|peer| warnings(peer, &services)).for_each(|warning| output::warn(&warning));
        }
        let plural = if directory.iter().count() == 1 { "" } else { "s" };
        output::print(&format!("{} is valid: {} peer{plural}", path.display(), directory.iter().count()))?;
        Ok(Exit::Success)
    }
}

async fn services_of(settings: &Settings) -> anyhow::Result<Vec<ServiceStatus>> {
    let settings = &settings.client;
    let client = client::connect(settings).await?;
    let call = client.call::<Vec<ServiceStatus>>("callboard.services", ());
    let services = client::timed(call, settings).await.map_err(client::failed)?;
    client::leave(&client).await;
    Ok(services)
}

/// Returns a warning for each rule of a peer that no service of the broker matches.
fn warnings(peer: &PeerEntry, services: &[ServiceStatus]) -> Vec<String> {
    let Some(rights) = peer.rights() else { return Vec::new() };
    let name = peer.name().map_or("-", AsRef::as_ref);
    let is_unused = |rule: &&Pattern| !is_of_broker(rule) && !services.iter().any(|service| is_called(rule, service));
    let called = rights.call_rules().iter().filter(is_unused);
    let called = called.map(|rule| format!("peer {name}: no worker serves a method of its call rule {rule}"));
    let served = rights.serve_rules().iter().filter(|rule| !services.iter().any(|one| rule.matches(&one.name)));
    let served = served.map(|rule| format!("peer {name}: no worker serves a service of its serve rule {rule}"));
    called.chain(served).collect()
}

/// Returns whether a rule is for the broker's own methods, which are not in its list of services.
fn is_of_broker(rule: &Pattern) -> bool {
    MethodName::parse(rule.as_str()).is_ok_and(|method| method.service() == BROKER_SERVICE)
}

fn is_called(rule: &Pattern, service: &ServiceStatus) -> bool {
    service.methods.iter().any(|method| rule.matches(&format!("{}.{}", service.name, method.name)))
}
