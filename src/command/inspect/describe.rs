//! `callboard describe`: prints the description of a service.

use std::fmt::Write as _;

use anyhow::anyhow;
use callboard::{
    Client, Code,
    core::{
        broker::Contract,
        contract::{MethodDescription, ServiceDescription, Style},
    },
};
use clap::Args;

use crate::{
    command::{
        client::{self, contracts, flags::ConnectionFlags},
        output::{self, exit::Exit},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// Shown below `callboard describe --help`.
const AFTER_HELP: &str = "\
A service from a Rust trait describes its types and comments, other services only the names and effects of their methods.

Examples:
  callboard describe user_manager
  callboard describe user_manager.get_user
  callboard describe user_manager --cddl             for a client in another language
  callboard describe user_manager --json > old.json  for `callboard contract diff old.json user_manager`";

/// Show a service's methods, types and comments
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Describe {
    /// The service, such as calculator, or one of its methods, such as calculator.add
    #[arg(value_name = "SERVICE[.METHOD]")]
    service: String,
    /// Print JSON
    #[arg(long, conflicts_with = "cddl")]
    json: bool,
    /// Print CDDL (RFC 8610)
    #[arg(long)]
    cddl: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

impl Describe {
    /// Returns the service and the method that the argument names. A dot may separate the two, or be part of a service's name.
    async fn resolve(&self, client: &Client, settings: &ClientSettings) -> anyhow::Result<(&str, Option<&str>)> {
        let whole = (self.service.as_str(), None);
        let Some((service, method)) = self.service.rsplit_once('.') else { return Ok(whole) };
        match contracts::query(client, &self.service, settings).await {
            Err(error) if error.code() == Code::Unavailable => {}
            _ => return Ok(whole),
        }
        match contracts::query(client, service, settings).await {
            Ok(_) => Ok((service, Some(method))),
            // The error is then about the whole name.
            Err(_) => Ok(whole),
        }
    }

    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Queries the broker and prints the result.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let (service, method) = self.resolve(&client, &settings).await?;
        let contracts = contracts::query(&client, service, &settings).await.map_err(client::failed)?;
        client::leave(&client).await;
        let described =
            contracts.iter().find_map(|contract| contracts::read(contract).map(|description| (contract, description)));
        let Some((contract, mut description)) = described else {
            return Err(Exit::Failed.because(anyhow!("the workers of {service} do not describe it")));
        };
        if let Some(method) = method {
            keep_method(method, &mut description)?;
        }
        if let Some(note) = disagreement(service, &contracts) {
            output::warn(&note);
        }
        if self.json {
            output::print(&serde_json::to_string_pretty(&description)?)?;
        } else if self.cddl {
            output::print(description.cddl().trim_end())?;
        } else {
            output::print(text(contract, &description).trim_end())?;
        }
        Ok(Exit::Success)
    }
}

/// Reduces a description to one method, and the types that it uses directly or indirectly.
fn keep_method(method: &str, service: &mut ServiceDescription) -> anyhow::Result<()> {
    let names: Vec<_> = service.methods.iter().map(|method| method.name.clone()).collect();
    service.methods.retain(|other| other.name == method);
    let Some(kept) = service.methods.first() else {
        let why = anyhow!("{} has no method {method}; it has {}", service.name, names.join(", "));
        return Err(Exit::Failed.because(why));
    };
    let (mut text, mut length) = (kept.to_string(), 0);
    // Each iteration adds at least one type, or is the last.
    while length < text.len() {
        length = text.len();
        let named = service.types.iter().filter(|(name, _)| names_of(&text).any(|other| other == *name));
        text = std::iter::once(kept.to_string()).chain(named.map(|(name, it)| format!("{name} {}", it.ty))).collect();
    }
    service.types.retain(|name, _| names_of(&text).any(|other| other == name));
    service.doc.clear();
    Ok(())
}

/// Returns the identifiers in a text.
fn names_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

/// Returns a warning if the workers of a service disagree on its contract.
pub(crate) fn disagreement(service: &str, contracts: &[Contract]) -> Option<String> {
    let counts = contracts.iter().map(|contract| (contract.hash, contract.workers));
    disagreement_of(service, &counts.collect::<Vec<_>>())
}

/// Returns a warning if there are several contracts, each given by its hash and the number of its workers.
pub(crate) fn disagreement_of(service: &str, contracts: &[(impl std::fmt::Display, usize)]) -> Option<String> {
    if contracts.len() < 2 {
        return None;
    }
    let each: Vec<_> = contracts.iter().map(|(hash, workers)| format!("{hash} ({workers})")).collect();
    Some(format!("the workers of {service} have different contracts: {}", each.join(", ")))
}

fn text(contract: &Contract, service: &ServiceDescription) -> String {
    let mut out = format!("{}  contract {}\n", service.name, contract.hash);
    indent(&mut out, &service.doc);
    for method in &service.methods {
        let _ = writeln!(out, "\n{method}  [{}]", kind(method));
        indent(&mut out, &method.doc);
    }
    for (name, definition) in &service.types {
        let _ = writeln!(out, "\n{name} = {}", definition.ty);
        indent(&mut out, &definition.doc);
    }
    out
}

fn indent(out: &mut String, doc: &str) {
    for line in doc.lines() {
        let line = if line.is_empty() { String::new() } else { format!("    {line}") };
        let _ = writeln!(out, "{line}");
    }
}

/// Returns the effect, and the style if it is not unary.
fn kind(method: &MethodDescription) -> String {
    let effect = format!("{:?}", method.effect).to_lowercase();
    match method.style {
        Style::Unary => effect,
        other => format!("{effect}, {other}"),
    }
}
