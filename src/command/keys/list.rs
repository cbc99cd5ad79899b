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
    let public_key = peer.public_key().map(|key| PublicKey::from_bytes(*key).to_string());
    [
        peer.name().map(ToString::to_string).unwrap_or_default(),
        yes_or_no(peer.authkey().is_some()),
        public_key.unwrap_or_else(|| "-".to_owned()),
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
