//! `callboard describe`: what a service is.

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
        client::{self, contracts, flags::Connection},
        output::{self, exit::Exit},
    },
    settings::{ClientSettings, Flags, Settings},
};

/// Shown below `callboard describe --help`.
const AFTER_HELP: &str = "\
A service that is a Rust trait tells its types and comments; others the names and effects of their methods.

Examples:
  callboard describe user_manager
  callboard describe user_manager.get_user
  callboard describe user_manager --cddl             for who writes a client in another language
  callboard describe user_manager --json > old.json  for `callboard contract diff old.json user_manager`";

/// Show a service's methods, types and comments
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Describe {
    /// The service, as in calculator, or one of its methods, as in calculator.add
    #[arg(value_name = "SERVICE[.METHOD]")]
    service: String,
    /// Print JSON
    #[arg(long, conflicts_with = "cddl")]
    json: bool,
    /// Print CDDL (RFC 8610)
    #[arg(long)]
    cddl: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Describe {
    /// The service, and the one method of it, if that is what the word says: the dot before a method may also be one in a service's name.
    async fn wanted(&self, client: &Client, settings: &ClientSettings) -> anyhow::Result<(&str, Option<&str>)> {
        let whole = (self.service.as_str(), None);
        let Some((service, method)) = self.service.rsplit_once('.') else { return Ok(whole) };
        match contracts::contracts(client, &self.service, settings).await {
            Err(error) if error.code() == Code::Unavailable => {}
            _ => return Ok(whole),
        }
        match contracts::contracts(client, service, settings).await {
            Ok(_) => Ok((service, Some(method))),
            // Of the whole word it is told that no worker serves it.
            Err(_) => Ok(whole),
        }
    }

    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Asks the broker and prints its answer.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let (service, method) = self.wanted(&client, &settings).await?;
        let contracts = contracts::contracts(&client, service, &settings).await.map_err(client::failed)?;
        client::leave(&client).await;
        let described = contracts.iter().find_map(|contract| contracts::read(contract).map(|said| (contract, said)));
        let Some((contract, mut description)) = described else {
            return Err(Exit::Failed.because(anyhow!("the workers of {service} do not describe it")));
        };
        if let Some(method) = method {
            keep(method, &mut description)?;
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
        Ok(Exit::Fine)
    }
}

/// Leaves of a description one method, and the types that its text and theirs name.
fn keep(method: &str, service: &mut ServiceDescription) -> anyhow::Result<()> {
    let names: Vec<_> = service.methods.iter().map(|method| method.name.clone()).collect();
    service.methods.retain(|other| other.name == method);
    let Some(kept) = service.methods.first() else {
        let why = anyhow!("{} has no method {method}; it has {}", service.name, names.join(", "));
        return Err(Exit::Failed.because(why));
    };
    let (mut told, mut length) = (kept.to_string(), 0);
    // Each round adds at least one of the types, or is the last.
    while length < told.len() {
        length = told.len();
        let named = service.types.iter().filter(|(name, _)| names_of(&told).any(|other| other == *name));
        told = std::iter::once(kept.to_string()).chain(named.map(|(name, it)| format!("{name} {}", it.ty))).collect();
    }
    service.types.retain(|name, _| names_of(&told).any(|other| other == name));
    service.doc.clear();
    Ok(())
}

/// The identifiers in a text.
fn names_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

/// What is to be said of workers that do not agree on what their service is.
pub(crate) fn disagreement(service: &str, contracts: &[Contract]) -> Option<String> {
    let said = contracts.iter().map(|contract| (contract.hash, contract.workers));
    said_of(service, &said.collect::<Vec<_>>())
}

/// The same, of contracts and how many workers say each.
pub(crate) fn said_of(service: &str, said: &[(impl std::fmt::Display, usize)]) -> Option<String> {
    if said.len() < 2 {
        return None;
    }
    let each: Vec<_> = said.iter().map(|(hash, workers)| format!("{hash} ({workers})")).collect();
    Some(format!("the workers of {service} do not agree on its contract: {}", each.join(", ")))
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

/// The effect, and the style where it is not the usual one.
fn kind(method: &MethodDescription) -> String {
    let effect = format!("{:?}", method.effect).to_lowercase();
    match method.style {
        Style::Unary => effect,
        other => format!("{effect}, {other}"),
    }
}
