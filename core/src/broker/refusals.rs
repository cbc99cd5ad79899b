//! What a peer may not say, or what nobody can read.

use super::{Action, Broker, Note, arrival::Arrival};
use crate::{
    time::Time,
    wire::{
        bundle::Refused,
        envelope::Envelope,
        ids::LinkId,
        status::{Code, Executed, Failure},
    },
};

impl Broker {
    /// An envelope that has no place in its sender's mouth.
    pub(super) fn misplaced(&mut self, now: Time, link: Option<LinkId>, envelope: &Envelope, out: &mut Vec<Action>) {
        let Some(link) = link else { return };
        self.counters.refused += 1;
        let message = format!("{:?} has no place here", envelope.kind()).to_lowercase();
        self.send_away(now, link, Failure::new(Code::FailedPrecondition, Executed::No, message), out);
    }

    /// An envelope that could not be read: answered if it has a number, and only if whoever sent it was let in.
    pub(super) fn refuse(&mut self, now: Time, link: LinkId, refused: Refused, out: &mut Vec<Action>) {
        self.counters.refused += 1;
        self.met_limit(link);
        match self.links.get(&link) {
            Some(&Arrival::Client(client)) => self.refuse_request(now, client, &refused, out),
            Some(&Arrival::Worker(worker)) => self.refuse_report(now, worker, &refused, out),
            // What a stranger says is ignored until it is sent away.
            Some(Arrival::Unproven { .. }) | None => {}
            Some(_) => {
                let failure = Failure::new(refused.code(), Executed::No, refused.to_string());
                self.send_away(now, link, failure, out);
            }
        }
        out.push(Action::Note(Note::Refused { link, refused }));
    }
}
