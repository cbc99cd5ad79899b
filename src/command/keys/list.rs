//! `callboard keys list`: the peers of a file.

use std::path::Path;

use callboard::core::{
    auth::{Pattern, PeerEntry},
    wire::handshake::Role,
    zmtp::curve::PublicKey,
};
use clap::Args;

use super::error::unusable;
use crate::{
    command::output::{self, exit::Exit, table},
    peers_file::PeersFile,
};

/// Print the peers with their rights; authkeys are not shown
#[derive(Debug, Args)]
pub(super) struct List {}

impl List {
    pub(super) fn run(self, file: &Path) -> anyhow::Result<Exit> {
        let peers = PeersFile::read(file).map_err(unusable)?;
        let header = ["PEER", "AUTHKEY", "PUBLIC KEY", "ROLES", "CALL", "SERVE", "OPERATE"];
        output::print(&table::render(header, peers.peers().iter().map(row)))?;
        Ok(Exit::Success)
    }
}

fn row(peer: &PeerEntry) -> [String; 7] {
    let rules = |rules: Option<&[Pattern]>| match rules {
        None => "any".to_owned(),
        Some([]) => "-".to_owned(),
        Some(rules) => rules.iter().map(Pattern::as_str).collect::<Vec<_>>().join(" "),
    };
    let yes_or_no = |yes: bool| if yes { "yes" } else { "-" }.to_owned();
    let public_keys: Vec<_> = peer.public_keys().iter().map(|key| PublicKey::from_bytes(*key).to_string()).collect();
    let authkeys = match peer.authkeys().len() {
        0 => "-".to_owned(),
        1 => "yes".to_owned(),
        several => several.to_string(),
    };
    [
        peer.name().map(ToString::to_string).unwrap_or_default(),
        authkeys,
        if public_keys.is_empty() { "-".to_owned() } else { public_keys.join(" ") },
        roles(peer),
        rules(peer.rights().map(|rights| rights.call_rules())),
        rules(peer.rights().map(|rights| rights.serve_rules())),
        yes_or_no(peer.is_operator()),
    ]
}

fn roles(peer: &PeerEntry) -> String {
    let roles = [Role::Client, Role::Worker].into_iter().filter(|role| peer.roles().permits(*role));
    roles.map(|role| role.name().to_owned()).collect::<Vec<_>>().join(" ")
}
