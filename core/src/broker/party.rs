//! Who shares the broker. Sessions of one key, or where keys have no names of one address, are one party: however many they are, they
//! have one turn in a queue, and one part of what may wait.

use std::{collections::BTreeMap, fmt};

use bytestring::ByteString;

use crate::wire::limits::PARTY_PART;

/// A party's number at the broker, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartyKey(pub(super) u64);

/// What makes some sessions one party.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartyName {
    /// They proved the key with that id.
    Key(String),
    /// They come from there.
    Origin(ByteString),
}

/// All parties that are here, or have calls that wait.
#[derive(Debug, Default)]
pub(super) struct Parties {
    keys: BTreeMap<PartyName, PartyKey>,
    known: BTreeMap<PartyKey, Party>,
    next: u64,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct Party {
    /// `None` if it had left, and one of its calls came back from a worker.
    name: Option<PartyName>,
    clients: usize,
    waiting: Waiting,
}

/// What waits, in all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) calls: usize,
    pub(super) bytes: usize,
}

/// Why a call may not wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Too much waits in all.
    Broker(Waiting),
    /// Too much of its party waits.
    Party(Waiting, Option<PartyName>),
}

impl Parties {
    /// A client of that party is here.
    pub(super) fn join(&mut self, name: PartyName) -> PartyKey {
        let next = &mut self.next;
        let key = *self.keys.entry(name.clone()).or_insert_with(|| {
            *next += 1;
            PartyKey(*next)
        });
        self.known.entry(key).or_insert_with(|| Party { name: Some(name), ..Party::default() }).clients += 1;
        key
    }

    /// A client of that party is gone.
    pub(super) fn leave(&mut self, key: PartyKey) {
        self.known.get_mut(&key).expect("a party is known while it has clients").clients -= 1;
        self.forget_if_idle(key);
    }

    /// Whether a call of that party and of so many bytes may wait, where all together may have `max`.
    pub(super) fn room_for(&self, key: PartyKey, bytes: usize, max: Waiting) -> Result<(), Full> {
        if !self.waiting.has_room(bytes, max) {
            return Err(Full::Broker(self.waiting));
        }
        let Some(party) = self.known.get(&key) else { return Ok(()) };
        let part = Waiting { calls: max.calls.div_ceil(PARTY_PART), bytes: max.bytes.div_ceil(PARTY_PART) };
        match party.waiting.has_room(bytes, part) {
            true => Ok(()),
            false => Err(Full::Party(party.waiting, party.name.clone())),
        }
    }

    /// A call begins to wait.
    pub(super) fn begin_to_wait(&mut self, key: PartyKey, bytes: usize) {
        self.waiting.add(bytes);
        self.known.entry(key).or_default().waiting.add(bytes);
    }

    /// A call waits no more.
    pub(super) fn end_to_wait(&mut self, key: PartyKey, bytes: usize) {
        self.waiting.subtract(bytes);
        self.known.get_mut(&key).expect("a party is known while its calls wait").waiting.subtract(bytes);
        self.forget_if_idle(key);
    }

    fn forget_if_idle(&mut self, key: PartyKey) {
        if self.known.get(&key).is_some_and(|party| party.clients == 0 && party.waiting.calls == 0)
            && let Some(Party { name: Some(name), .. }) = self.known.remove(&key)
        {
            self.keys.remove(&name);
        }
    }

    /// Asserts what must hold after every step: `clients` and `waiting` name the party of each client and of each call that waits,
    /// with its bytes.
    pub(super) fn check(
        &self,
        clients: impl Iterator<Item = PartyKey>,
        waiting: impl Iterator<Item = (PartyKey, usize)>,
    ) {
        let mut counted = BTreeMap::<PartyKey, (usize, Waiting)>::new();
        clients.for_each(|key| counted.entry(key).or_default().0 += 1);
        let mut all = Waiting::default();
        for (key, bytes) in waiting {
            counted.entry(key).or_default().1.add(bytes);
            all.add(bytes);
        }
        assert_eq!(self.waiting, all, "what waits is counted");
        let known = self.known.iter().map(|(&key, party)| (key, (party.clients, party.waiting)));
        assert_eq!(
            known.collect::<BTreeMap<_, _>>(),
            counted,
            "what a party has is counted, and who has nothing is forgotten"
        );
        let named = self.known.iter().filter_map(|(&key, party)| Some((party.name.clone()?, key)));
        assert_eq!(named.collect::<BTreeMap<_, _>>(), self.keys, "a party is found by its name");
    }
}

impl Waiting {
    fn has_room(self, bytes: usize, max: Waiting) -> bool {
        self.calls < max.calls && self.bytes.saturating_add(bytes) <= max.bytes
    }

    fn add(&mut self, bytes: usize) {
        self.calls += 1;
        self.bytes += bytes;
    }

    fn subtract(&mut self, bytes: usize) {
        self.calls -= 1;
        self.bytes -= bytes;
    }
}

impl fmt::Display for PartyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartyName::Key(id) => write!(f, "key {id}"),
            PartyName::Origin(origin) => f.write_str(origin),
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whose, Waiting { calls, bytes }) = match self {
            Full::Broker(waiting) => ("at this broker".to_owned(), waiting),
            Full::Party(waiting, Some(name)) => (format!("of {name} at this broker"), waiting),
            Full::Party(waiting, None) => ("of its sender at this broker".to_owned(), waiting),
        };
        write!(f, "{calls} calls with {bytes} bytes wait {whose} already, and no more may")
    }
}
