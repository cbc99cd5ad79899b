//! `callboard describe`: what a service is.

use std::fmt::Write as _;

use anyhow::anyhow;
use callboard::core::{
    broker::Contract,
    contract::{MethodDescription, ServiceDescription, Style},
};
use clap::Args;

use super::{client, connection::Connection, described, exit::Exit, output};
use crate::settings::{Flags, Settings};

/// Shown below `callboard describe --help`.
const AFTER_HELP: &str = "\
A service that is a Rust trait tells its types and comments; others the names and effects of their methods.

Examples:
  callboard describe user_manager
  callboard describe user_manager --cddl             for who writes a client in another language
  callboard describe user_manager --json > old.json  for `callboard contract diff old.json user_manager`";

/// Show a service's methods, types and comments
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Describe {
    /// The service, as in calculator
    #[arg(value_name = "SERVICE")]
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
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Asks the broker and prints its answer.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let settings = settings.client;
        let client = client::connect(&settings).await?;
        let contracts = described::contracts(&client, &self.service, &settings).await.map_err(client::failed)?;
        client::leave(&client).await;
        let described = contracts.iter().find_map(|contract| described::read(contract).map(|said| (contract, said)));
        let Some((contract, description)) = described else {
            return Err(Exit::Failed.because(anyhow!("the workers of {} do not describe it", self.service)));
        };
        if let Some(note) = disagreement(&self.service, &contracts) {
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
