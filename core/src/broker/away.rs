//! Clients that are away: their connection is gone, and they may come back. There may be only so many, for a session costs its client
//! nothing, and each may say that it takes twenty minutes to return.
//!
//! Who has nothing open and nothing remembered goes first. What is lost with it is little: a `once` call of it that never reached the
//! broker cannot be told from one that was forgotten when it comes again, and ends `maybe` instead of running.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Broker,
    client::{Client, ClientKey},
    party::PartyKey,
};
use crate::{time::Time, wire::limits::PARTY_PART};

/// All clients that are away, of each party in the order in which they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Away {
    all: BTreeSet<Rank>,
    of_party: BTreeMap<PartyKey, BTreeSet<Rank>>,
}

/// Who is forgotten before whom: who had nothing when it went, and of equals who went first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    has_something: bool,
    since: Time,
    client: ClientKey,
}

impl Rank {
    fn of(now: Time, key: ClientKey, client: &Client) -> Rank {
        Rank { has_something: client.has_something(), since: now, client: key }
    }
}

impl Away {
    /// One more is away. Who is one too many, if there may be `max` in all, and a part of that of one party.
    fn add(&mut self, party: PartyKey, rank: Rank, max: usize) -> Option<ClientKey> {
        self.all.insert(rank);
        let party = self.of_party.entry(party).or_default();
        party.insert(rank);
        let of_party = party.first().filter(|_| party.len() > max.div_ceil(PARTY_PART));
        let of_all = self.all.first().filter(|_| self.all.len() > max);
        of_party.or(of_all).map(|rank| rank.client)
    }

    /// One has come back, or is forgotten.
    pub(super) fn remove(&mut self, party: PartyKey, rank: Rank) {
        self.all.remove(&rank);
        let Some(ranks) = self.of_party.get_mut(&party) else { return };
        ranks.remove(&rank);
        if ranks.is_empty() {
            self.of_party.remove(&party);
        }
    }

    /// Asserts what must hold after every step: `clients` are those that are away.
    pub(super) fn check<'a>(&self, clients: impl Iterator<Item = &'a Client>, max: usize) {
        let mut of_party = BTreeMap::<PartyKey, BTreeSet<Rank>>::new();
        for client in clients {
            let rank = client.away.expect("who is away has a rank");
            assert!(self.all.contains(&rank), "who is away is known");
            of_party.entry(client.party).or_default().insert(rank);
        }
        assert_eq!(self.of_party, of_party, "who is away is counted for its party");
        assert_eq!(self.all.len(), of_party.values().map(BTreeSet::len).sum::<usize>(), "who is away is counted");
        assert!(self.all.len() <= max, "who is away is bounded");
        assert!(of_party.values().all(|ranks| ranks.len() <= max.div_ceil(PARTY_PART)), "and so it is of each party");
    }
}

impl Broker {
    /// A client is away from now on. If there are too many, one of them does not come back any more.
    pub(super) fn go_away(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let rank = Rank::of(now, key, client);
        client.away = Some(rank);
        if let Some(client) = self.away.add(client.party, rank, self.settings.clients_away_max) {
            self.forget_client(now, client, out);
        }
    }

    /// A client is not away any more.
    pub(super) fn come_back(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if let Some(rank) = client.away.take() {
            self.away.remove(client.party, rank);
        }
    }
}
