//! What a peer may not say, or what nobody can read.

use super::{Action, Broker, Diagnostic, arrival::Arrival};
use crate::{
    time::Time,
    wire::{
        bundle::EnvelopeError,
        envelope::Envelope,
        ids::ConnectionId,
        status::{Code, Executed, Failure},
    },
};

impl Broker {
    /// An envelope that has no place in its sender's mouth.
    pub(super) fn misplaced(
        &mut self,
        now: Time,
        connection: Option<ConnectionId>,
        envelope: &Envelope,
        out: &mut Vec<Action>,
    ) {
        let Some(connection) = connection else { return };
        self.counters.refused += 1;
        let message = format!("{:?} has no place here", envelope.kind()).to_lowercase();
        self.send_away(now, connection, Failure::new(Code::FailedPrecondition, Executed::No, message), out);
    }

    /// An envelope that could not be read: answered if it has a number, and only if whoever sent it was let in.
    pub(super) fn refuse(
        &mut self,
        now: Time,
        connection: ConnectionId,
        refused: EnvelopeError,
        out: &mut Vec<Action>,
    ) {
        self.counters.refused += 1;
        self.met_limit(connection);
        match self.connections.get(&connection) {
            Some(&Arrival::Client(client)) => self.refuse_request(now, client, &refused, out),
            Some(&Arrival::Worker(worker)) => self.refuse_report(now, worker, &refused, out),
            // What a stranger says is ignored until it is sent away.
            Some(Arrival::Unproven { .. }) | None => {}
            Some(_) => {
                let failure = Failure::new(refused.code(), Executed::No, refused.to_string());
                self.send_away(now, connection, failure, out);
            }
        }
        out.push(Action::Log(Diagnostic::Refused { connection, refused }));
    }
}
