//! The peers of a world and their rights, which change while the broker runs; and the check that no handler runs a call that its
//! caller could not make.

use std::collections::{BTreeMap, BTreeSet};

use callboard_core::{
    auth::{AuthKey, AuthKeys, PeerDirectory, PeerEntry, Rights},
    time::Time,
};

use super::{
    catalogue::{METHODS, Method, STREAMS},
    config::Config,
    network::Host,
    rng::Rng,
};

/// The peers of one world.
#[derive(Debug)]
pub(crate) struct Peers {
    keyed: bool,
    /// Whether each process is a peer of its own, with rights.
    restricted: bool,
    workers: usize,
    /// The methods that each client may call, from each time on.
    rights: BTreeMap<usize, Vec<(Time, BTreeSet<String>)>>,
    /// Calls that ended because their client may not make them.
    pub(crate) denied: u64,
}

impl Peers {
    pub(crate) fn of(config: &Config, rng: &mut Rng) -> Peers {
        let clients = if config.restricted { config.clients } else { 0 };
        let rights = (0..clients).map(|client| (client, vec![(Time::ZERO, some_methods(rng))])).collect();
        Peers { keyed: config.keyed, restricted: config.restricted, workers: config.workers, rights, denied: 0 }
    }

    /// Returns the authkey of a process, if this world has keys.
    pub(crate) fn key(&self, host: Host) -> Option<AuthKey> {
        let text = match host {
            Host::Client(_) | Host::Worker(_) if self.restricted => format!("the key of {host}"),
            _ => "the key of the simulation".to_owned(),
        };
        self.keyed.then(|| AuthKey::new(text).expect("the key is long enough"))
    }

    /// Returns the peers that the broker knows, if this world has keys.
    pub(crate) fn directory(&self) -> Option<PeerDirectory> {
        let key = self.key(Host::Rogue)?;
        if !self.restricted {
            return Some(AuthKeys::from(key).into());
        }
        let clients = self.rights.iter().map(|(&client, changes)| {
            let (_, methods) = changes.last().expect("a client has rights from the start on");
            let methods: Vec<_> = methods.iter().map(String::as_str).collect();
            self.entry(Host::Client(client), &methods, &[])
        });
        let workers = (0..self.workers).map(|worker| self.entry(Host::Worker(worker), &[], &["alpha", "beta.*"]));
        let rogue = PeerEntry::new("rogue").expect("the name is valid").with_authkey(key);
        let peers = clients.chain(workers).chain([rogue]).collect();
        Some(PeerDirectory::new(peers).expect("each peer has a name and a key of its own"))
    }

    fn entry(&self, host: Host, call: &[&str], serve: &[&str]) -> PeerEntry {
        let rights = Rights::new(call, serve, false).expect("the rules are valid");
        let key = self.key(host).expect("a restricted world has keys");
        PeerEntry::new(&host.to_string()).expect("the name is valid").with_authkey(key).with_rights(rights)
    }

    /// Changes the rights of one client, or returns false if this world has none.
    pub(crate) fn change(&mut self, now: Time, rng: &mut Rng) -> bool {
        if !self.restricted {
            return false;
        }
        let client = rng.index(self.rights.len());
        let methods = some_methods(rng);
        self.rights.entry(client).or_default().push((now, methods));
        true
    }

    /// Gives every client all rights, or returns false if they have them.
    pub(crate) fn allow_all(&mut self, now: Time) -> bool {
        let all: BTreeSet<String> = methods().map(|method| method.full()).collect();
        let mut changed = false;
        for changes in self.rights.values_mut() {
            if changes.last().is_some_and(|(_, methods)| *methods != all) {
                changes.push((now, all.clone()));
                changed = true;
            }
        }
        changed
    }

    /// Checks the call that a handler starts: its caller's name, and that the caller was allowed to make it at some time since then.
    pub(crate) fn check_start(&self, client: usize, name: Option<&str>, method: Method, since: Time) {
        let expected = self.restricted.then(|| Host::Client(client).to_string());
        assert_eq!(name, expected.as_deref(), "a call of {:?} arrives with another caller", Host::Client(client));
        let allowed = !self.restricted || self.states(client, since).any(|methods| methods.contains(&method.full()));
        assert!(allowed, "a handler runs {}, which {} may not call", method.full(), Host::Client(client));
    }

    /// Checks a call that was denied: its caller lacked the right at some time since then.
    pub(crate) fn check_denial(&mut self, client: usize, method: Method, since: Time) {
        let lacked = self.states(client, since).any(|methods| !methods.contains(&method.full()));
        assert!(self.restricted && lacked, "{} is denied, which {} may call", method.full(), Host::Client(client));
        self.denied += 1;
    }

    /// Returns the rights of a client at each time since `since`.
    fn states(&self, client: usize, since: Time) -> impl Iterator<Item = &BTreeSet<String>> {
        let changes = &self.rights[&client];
        // Without a network delay, a call can be made, accepted, and followed by a change at one time.
        let first = changes.iter().rposition(|(from, _)| *from < since).unwrap_or(0);
        changes[first..].iter().map(|(_, methods)| methods)
    }
}

fn methods() -> impl Iterator<Item = Method> {
    METHODS.into_iter().chain(STREAMS)
}

/// Draws the methods that a client may call.
fn some_methods(rng: &mut Rng) -> BTreeSet<String> {
    methods().filter(|_| rng.percent(75)).map(|method| method.full()).collect()
}
