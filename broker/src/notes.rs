//! The machine's notes as lines in the log.

use std::time::Instant;

use callboard_core::{broker::Note, wire::ids::LinkId};
use tracing::{debug, info, warn};

use crate::gate::Complaints;

/// Logs a note; `address_of` says where a link comes from. Peers that come and go are debug (clients) or info (workers); what
/// somebody lost, and strangers, are warnings. Casts that fail are told one by one as long as they are few.
pub(crate) fn log(note: Note, complaints: &mut Complaints, address_of: impl Fn(LinkId) -> Option<String>) {
    match note {
        Note::ClientJoined { link, name, again, key } => debug!(%link, name, again, key, "client joined"),
        Note::ClientGone { name, open } if open > 0 => info!(name, open, "client is gone, with calls open"),
        Note::ClientGone { name, open } => debug!(name, open, "client is gone"),
        Note::WorkerJoined { link, name, services, key } => {
            info!(%link, %name, services = services.join(" "), key, "worker joined")
        }
        Note::Unauthenticated { link, why } => warn!(%link, address = address_of(link), %why, "stranger refused"),
        Note::NotPermitted { link, key, role } => {
            warn!(%link, address = address_of(link), key, %role, "key without the role refused")
        }
        Note::WorkerDraining { name } => info!(%name, "worker drains"),
        Note::WorkerLeft { name } => info!(%name, "worker left"),
        Note::WorkerLost { name, why, running } => warn!(%name, why, running, "worker lost"),
        Note::Slow { call, method, worker } => warn!(%call, method, %worker, "call runs past its soft limit"),
        Note::WorkerStuck { name, call, method } => {
            warn!(%name, %call, method, "worker is stuck: it did not stop a call that ran past its hard limit")
        }
        Note::Repeated { call, lost } => info!(%call, lost, "call goes to another worker"),
        Note::Buried { call, method, lost } => {
            warn!(%call, method, lost, "call is kept as a dead letter: `callboard dead` shows it")
        }
        Note::CastFailed { call, method, failure } => match complaints.may_say("cast failed", Instant::now()) {
            Some(0) => warn!(%call, method, %failure, "cast failed"),
            Some(unsaid) => warn!(%call, method, %failure, unsaid, "cast failed, and others before it"),
            None => {}
        },
        Note::SentAway { link, code, message } => warn!(%link, %code, %message, "peer sent away"),
        Note::Refused { link, refused } => debug!(%link, %refused, "envelope refused"),
        other => debug!(?other, "note"),
    }
}
