//! What is remembered for clients that may ask again: outcomes, until they are acknowledged.

use bytes::Bytes;

use super::{
    Broker,
    call::CallKey,
    client::{Client, ClientKey, Outcome},
};
use crate::wire::ids::CallNumber;

/// When too much is remembered, one part in so many is forgotten at once: looking for the oldest costs as much as there are clients.
const FORGOTTEN_PART: usize = 8;

impl Broker {
    /// Remembers an outcome for a client, if there still is one.
    pub(super) fn remember(&mut self, key: ClientKey, number: CallNumber, outcome: &Outcome, extensions: &Bytes) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let before = client.outcome_bytes();
        client.remember(number, outcome, extensions, &mut self.spare);
        self.outcome_bytes = self.outcome_bytes - before + client.outcome_bytes();
        if self.outcome_bytes > self.settings.outcomes_bytes_max {
            self.forget_outcomes();
        }
    }

    /// A client has all outcomes below that number, or does not want them: the calls below it that are open are returned.
    pub(super) fn acknowledge(&mut self, key: ClientKey, below: Option<CallNumber>) -> Vec<CallKey> {
        let client = self.clients.get_mut(&key).expect("a connection that is a client's has a client");
        let before = client.outcome_bytes();
        let unwanted = client.acknowledge(below, &mut self.spare);
        self.outcome_bytes = self.outcome_bytes - before + client.outcome_bytes();
        unwanted
    }

    /// Too much is remembered: the outcomes of the oldest sessions go first, of those that are not connected before all others.
    fn forget_outcomes(&mut self) {
        let enough = self.settings.outcomes_bytes_max - self.settings.outcomes_bytes_max / FORGOTTEN_PART;
        for connected in [false, true] {
            let clients = self.clients.values_mut().filter(|client| client.presence.is_some() == connected);
            for client in clients {
                while self.outcome_bytes > enough {
                    let before = client.outcome_bytes();
                    if !Client::forget_oldest(client, &mut self.spare) {
                        break;
                    }
                    self.outcome_bytes -= before - client.outcome_bytes();
                }
            }
        }
    }
}
