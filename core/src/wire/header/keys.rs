//! The registry of header keys, and the keys that each kind may have.

use super::{super::kind::Kind, recipient::Recipient};

pub(super) const KIND: u8 = 0;
pub(super) const NUMBER: u8 = 1;
pub(super) const METHOD: u8 = 2;
pub(super) const TIMEOUT_MS: u8 = 3;
pub(super) const EFFECT: u8 = 4;
pub(super) const FLAGS: u8 = 5;
pub(super) const DONE_BELOW: u8 = 6;
pub(super) const CODE: u8 = 7;
pub(super) const EXECUTED: u8 = 8;
pub(super) const TYPE: u8 = 9;
pub(super) const MESSAGE: u8 = 10;
pub(super) const ATTEMPT: u8 = 11;
pub(super) const WORKER: u8 = 12;
pub(super) const RETRY_AFTER_MS: u8 = 13;
pub(super) const CREDIT_CALLS: u8 = 14;
pub(super) const CREDIT_BYTES: u8 = 15;
pub(super) const CALLER: u8 = 16;
pub(super) const CALL: u8 = 17;
pub(super) const OFFER: u8 = 18;
pub(super) const PRIORITY: u8 = 20;
pub(super) const FENCE: u8 = 25;
pub(super) const SEQUENCE: u8 = 27;
pub(super) const KEY: u8 = 28;
pub(super) const STREAMS: u8 = 29;
pub(super) const LATEST: u8 = 30;
pub(super) const CALLER_NAME: u8 = 31;
pub(super) const ITEMS: u8 = 32;

/// The keys that have a meaning: all keys in [`NAMES`] except reserved ones.
pub(super) const KNOWN: Keys = Keys::of(&[
    KIND,
    NUMBER,
    METHOD,
    TIMEOUT_MS,
    EFFECT,
    FLAGS,
    DONE_BELOW,
    CODE,
    EXECUTED,
    TYPE,
    MESSAGE,
    ATTEMPT,
    WORKER,
    RETRY_AFTER_MS,
    CREDIT_CALLS,
    CREDIT_BYTES,
    CALLER,
    CALL,
    OFFER,
    PRIORITY,
    FENCE,
    SEQUENCE,
    KEY,
    STREAMS,
    LATEST,
    CALLER_NAME,
    ITEMS,
]);
/// The number of known and reserved keys.
pub(super) const KEY_COUNT: usize = 33;
/// The last key that must not be ignored. Keys above it are extensions.
pub(super) const CRITICAL_MAX: u64 = 63;

/// The names of keys 0 to 32.
const NAMES: [&str; KEY_COUNT] = [
    "kind",
    "number",
    "method",
    "timeout_ms",
    "effect",
    "flags",
    "done_below",
    "code",
    "executed",
    "type",
    "message",
    "attempt",
    "worker",
    "retry_after_ms",
    "credit_calls",
    "credit_bytes",
    "caller",
    "call",
    "offer",
    "namespace",
    "priority",
    "idempotency_key",
    "durable",
    "receipt",
    "broker",
    "fence",
    "fragment",
    "sequence",
    "key",
    "streams",
    "latest",
    "caller_name",
    "items",
];

/// Returns the name of a known or reserved key.
pub(in super::super) fn name(key: u64) -> Option<&'static str> {
    usize::try_from(key).ok().and_then(|key| NAMES.get(key).copied())
}

/// A set of known keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys(u64);

impl Keys {
    /// Creates the set of these keys.
    pub(super) const fn of(keys: &[u8]) -> Keys {
        let mut bits = 0;
        let mut at = 0;
        while at < keys.len() {
            bits |= 1 << keys[at];
            at += 1;
        }
        Keys(bits)
    }

    /// Returns the union of both sets.
    pub(super) const fn union(self, other: Keys) -> Keys {
        Keys(self.0 | other.0)
    }

    pub(super) fn insert(&mut self, key: u8) {
        self.0 |= 1 << key;
    }

    pub(super) const fn contains(self, key: u8) -> bool {
        self.0 >> key & 1 == 1
    }

    /// Returns the lowest key that is also in `others`.
    pub(super) fn first_in(self, others: Keys) -> Option<u8> {
        Keys(self.0 & others.0).first()
    }

    /// Returns the lowest key that is not in `others`.
    pub(super) fn first_not_in(self, others: Keys) -> Option<u8> {
        Keys(self.0 & !others.0).first()
    }

    fn first(self) -> Option<u8> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as u8)
    }
}

/// The keys of a kind, besides key 0, which every kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) required: Keys,
    pub(super) optional: Keys,
}

impl Rule {
    const fn new(required: &[u8], optional: &[u8]) -> Rule {
        Rule { required: Keys::of(required), optional: Keys::of(optional) }
    }

    pub(super) const fn allows(self, key: u8) -> bool {
        key == KIND || self.required.union(self.optional).contains(key)
    }
}

/// The keys of a failure besides its code. They require key 7, and key 7 requires key 8.
pub(super) const FAILURE: Keys = Keys::of(&[EXECUTED, TYPE, MESSAGE, ATTEMPT, WORKER, RETRY_AFTER_MS]);

const NO_KEYS: Rule = Rule::new(&[], &[]);
const NUMBER_ONLY: Rule = Rule::new(&[NUMBER], &[]);
const NUMBER_AND_DONE_BELOW: Rule = Rule::new(&[NUMBER], &[DONE_BELOW]);
const REQUEST: Rule = Rule::new(&[NUMBER, METHOD], &[TIMEOUT_MS, EFFECT, FLAGS, DONE_BELOW, PRIORITY, KEY, STREAMS]);
const DISPATCH: Rule =
    Rule::new(&[NUMBER, METHOD, ATTEMPT, CALLER, CALL], &[TIMEOUT_MS, FENCE, KEY, STREAMS, CALLER_NAME]);
const REPLY_FROM_WORKER: Rule = Rule::new(&[NUMBER], &[CODE, EXECUTED, TYPE, MESSAGE, ATTEMPT, WORKER, RETRY_AFTER_MS]);
const REPLY_TO_CLIENT: Rule =
    Rule { optional: REPLY_FROM_WORKER.optional.union(Keys::of(&[CREDIT_CALLS, CREDIT_BYTES])), ..REPLY_FROM_WORKER };
const GOODBYE: Rule = Rule::new(&[], &[CODE, EXECUTED, TYPE, MESSAGE, RETRY_AFTER_MS]);
/// Credit for calls or, with a number, for items of that call.
const CREDIT_TO_PEER: Rule = Rule::new(&[], &[NUMBER, CREDIT_CALLS, CREDIT_BYTES]);
/// Credit for slots, possibly with a key that was in use; or, with a number, for items of that call. Decoding distinguishes them.
const CREDIT_TO_BROKER: Rule = Rule::new(&[], &[NUMBER, CREDIT_CALLS, CREDIT_BYTES, OFFER, KEY]);
const ITEM: Rule = Rule::new(&[NUMBER, SEQUENCE], &[LATEST, ITEMS]);
const END: Rule = Rule::new(&[NUMBER, SEQUENCE], &[]);

/// Returns the rule of `kind` for this recipient; `None` if the kind is reserved.
pub(super) fn rule(kind: Kind, recipient: Recipient) -> Option<Rule> {
    let to_broker = recipient == Recipient::Broker;
    Some(match kind {
        Kind::Hello | Kind::Challenge | Kind::Proof | Kind::Welcome | Kind::Register | Kind::Drain => NO_KEYS,
        Kind::Request if to_broker => REQUEST,
        Kind::Request => DISPATCH,
        Kind::Started | Kind::Handback | Kind::Pong | Kind::Progress => NUMBER_ONLY,
        Kind::Reply if to_broker => REPLY_FROM_WORKER,
        Kind::Reply => REPLY_TO_CLIENT,
        Kind::Credit if to_broker => CREDIT_TO_BROKER,
        Kind::Credit => CREDIT_TO_PEER,
        Kind::Item => ITEM,
        Kind::End => END,
        Kind::Cancel | Kind::Ping if to_broker => NUMBER_AND_DONE_BELOW,
        Kind::Cancel | Kind::Ping => NUMBER_ONLY,
        Kind::Goodbye => GOODBYE,
        Kind::Accepted => return None,
    })
}
