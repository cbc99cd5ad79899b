//! The peers, and the roles of their processes.

mod callboard;
mod nats;
mod raw_tcp;
mod redis;
mod tarpc;
mod tonic;

use clap::{Args, Subcommand, ValueEnum};

use crate::load::{self, Load};

/// A peer in one of its variants. The report has the best variant of each peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Rival {
    Callboard,
    /// The connections run on the runtimes of the client and the worker
    CallboardInline,
    Nats,
    /// One element in each round trip
    RedisBlpop,
    /// Up to 64 elements in each round trip
    RedisBlmpop,
    Tonic,
    /// With TCP_NODELAY
    Tarpc,
    /// As tarpc connects
    TarpcNagle,
    RawTcp,
}

/// The broker of a peer.
pub(crate) enum Broker {
    /// Clients connect to workers.
    None,
    /// A role of this program.
    Role,
    /// A program that must be installed, with its arguments for a port, and the scheme of its address.
    Program { name: &'static str, arguments: fn(u16) -> Vec<String>, scheme: &'static str },
}

/// What a process of this program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    Broker,
    Worker(Address),
    Client {
        #[arg(long, required = true)]
        address: Vec<String>,
        #[command(flatten)]
        load: Load,
    },
}

/// The address of a broker; empty for a server, which chooses its own.
#[derive(Debug, Args)]
pub(crate) struct Address {
    #[arg(long, default_value = "")]
    address: String,
}

impl Rival {
    /// Returns the peer's name, which its variants share.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rival::Callboard | Rival::CallboardInline => "Callboard",
            Rival::Nats => "NATS",
            Rival::RedisBlpop | Rival::RedisBlmpop => "Redis",
            Rival::Tonic => "tonic, direct",
            Rival::Tarpc | Rival::TarpcNagle => "tarpc, direct",
            Rival::RawTcp => "raw TCP, direct",
        }
    }

    /// Returns what distinguishes this variant from the others of its peer; nothing if it is the only one.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Rival::Callboard => ", I/O threads",
            Rival::CallboardInline => ", inline",
            Rival::RedisBlpop => ", BLPOP",
            Rival::RedisBlmpop => ", BLMPOP",
            Rival::Tarpc => ", TCP_NODELAY",
            Rival::TarpcNagle => ", Nagle",
            Rival::Nats | Rival::Tonic | Rival::RawTcp => "",
        }
    }

    /// Returns the spelling of the command line.
    pub(crate) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(crate) fn broker(self) -> Broker {
        match self {
            Rival::Callboard | Rival::CallboardInline => Broker::Role,
            Rival::Nats => Broker::Program { name: "nats-server", arguments: nats::server, scheme: "nats" },
            Rival::RedisBlpop | Rival::RedisBlmpop => {
                Broker::Program { name: "redis-server", arguments: redis::server, scheme: "redis" }
            }
            Rival::Tonic | Rival::Tarpc | Rival::TarpcNagle | Rival::RawTcp => Broker::None,
        }
    }

    pub(crate) fn has_streams(self) -> bool {
        matches!(self, Rival::Callboard | Rival::CallboardInline | Rival::Tonic)
    }

    /// Runs a process of the peer. Brokers and workers print `ready` and their addresses, and end with this program's input.
    pub(crate) async fn run(self, role: Role) -> anyhow::Result<()> {
        match role {
            Role::Broker => callboard::broker().await,
            Role::Worker(Address { address }) => self.worker(&address).await,
            Role::Client { address, load } => self.client(&address, load).await,
        }
    }

    async fn worker(self, address: &str) -> anyhow::Result<()> {
        match self {
            Rival::Callboard => callboard::worker(address, false).await,
            Rival::CallboardInline => callboard::worker(address, true).await,
            Rival::Nats => nats::worker(address).await,
            Rival::RedisBlpop => redis::worker(address, 1).await,
            Rival::RedisBlmpop => redis::worker(address, redis::BATCH).await,
            Rival::Tonic => tonic::server().await,
            Rival::Tarpc => tarpc::server(true).await,
            Rival::TarpcNagle => tarpc::server(false).await,
            Rival::RawTcp => raw_tcp::server().await,
        }
    }

    async fn client(self, addresses: &[String], load: Load) -> anyhow::Result<()> {
        match self {
            Rival::Callboard => {
                load::run(connected(addresses, |address| callboard::connect(address, false)).await?, load).await
            }
            Rival::CallboardInline => {
                load::run(connected(addresses, |address| callboard::connect(address, true)).await?, load).await
            }
            Rival::Nats => load::run(connected(addresses, nats::connect).await?, load).await,
            Rival::RedisBlpop => {
                load::run(connected(addresses, |address| redis::connect(address, 1)).await?, load).await
            }
            Rival::RedisBlmpop => {
                load::run(connected(addresses, |address| redis::connect(address, redis::BATCH)).await?, load).await
            }
            Rival::Tonic => load::run(connected(addresses, tonic::connect).await?, load).await,
            Rival::Tarpc => load::run(connected(addresses, |address| tarpc::connect(address, true)).await?, load).await,
            Rival::TarpcNagle => {
                load::run(connected(addresses, |address| tarpc::connect(address, false)).await?, load).await
            }
            Rival::RawTcp => load::run(connected(addresses, raw_tcp::connect).await?, load).await,
        }
    }
}

/// Connects to each address.
async fn connected<C, F>(addresses: &[String], connect: impl Fn(String) -> F) -> anyhow::Result<Vec<C>>
where
    F: Future<Output = anyhow::Result<C>>,
{
    let mut clients = Vec::new();
    for address in addresses {
        clients.push(connect(address.clone()).await?);
    }
    Ok(clients)
}
