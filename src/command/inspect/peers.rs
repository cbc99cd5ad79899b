//! `callboard peers`: lists the peers of the broker.

use std::time::Duration;

use callboard::core::{
    broker::{PeerStatus, Peers as Page},
    text::{HumanBytes, HumanDuration},
    wire::handshake::Role,
};
use clap::Args;

use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit, table},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// List the clients and workers of the broker: identity, address, age and traffic
#[derive(Debug, Args)]
pub(crate) struct Peers {
    /// Print JSON, one peer per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Peers {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Queries the broker page by page and prints the result.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let peers = all(&client, &settings).await?;
        client::leave(&client).await;
        if self.json {
            for peer in &peers {
                output::print(&serde_json::to_string(peer)?)?;
            }
        } else {
            output::print(&table(&peers))?;
        }
        Ok(Exit::Success)
    }
}

/// Returns all peers, including this client.
async fn all(client: &callboard::Client, settings: &ClientSettings) -> anyhow::Result<Vec<PeerStatus>> {
    let (mut peers, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let call = client.call::<Page>("callboard.peers", (from,));
        let page = client::timed(call, settings).await.map_err(client::failed)?;
        peers.extend(page.peers);
        next = page.next;
    }
    Ok(peers)
}

fn table(peers: &[PeerStatus]) -> String {
    let header = [
        "ROLE", "INSTANCE", "SESSION", "KEY", "POOL", "PID", "HOST", "ADDRESS", "AGE", "OPEN", "CALLS", "IN", "OUT",
        "LIMITS",
    ];
    table::render(header, peers.iter().map(row))
}

fn row(peer: &PeerStatus) -> [String; 14] {
    let or_dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
    let connection = peer.connection.as_ref();
    let role = match peer.role {
        Role::Client => "client",
        Role::Worker => "worker",
    };
    [
        role.to_owned(),
        or_dash(Some(one_word(&peer.instance))),
        peer.session.clone(),
        or_dash(peer.key.clone()),
        or_dash(peer.pool.clone()),
        or_dash(peer.pid.map(|pid| pid.to_string())),
        or_dash(Some(one_word(&peer.host))),
        connection.map_or_else(|| "lost".to_owned(), |connection| connection.address.clone()),
        or_dash(connection.map(|connection| HumanDuration(Duration::from_secs(connection.age_ms / 1_000)).to_string())),
        peer.open.to_string(),
        or_dash(connection.map(|connection| connection.calls.to_string())),
        or_dash(connection.map(|connection| HumanBytes(connection.bytes_in).to_string())),
        or_dash(connection.map(|connection| HumanBytes(connection.bytes_out).to_string())),
        or_dash(connection.map(|connection| connection.limits_hit.to_string())),
    ]
}

/// Replaces whitespace in a name, which the peer chose, so that it stays in its column.
fn one_word(name: &str) -> String {
    name.chars().map(|letter| if letter.is_whitespace() { '?' } else { letter }).collect()
}
