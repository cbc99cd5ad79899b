//! The admin endpoint of a broker, a pool or `callboard up`: metrics, health and scaling over HTTP, for reading only.
//!
//! It runs on a thread of its own, with a low priority and bounds on connections, headers and time. So its clients cannot delay calls.
//! All pages read one [`snapshot::Snapshot`], which [`state::AdminState`] gets from the [`source::Source`] a few times a second at most.
//!
//! | file | contents |
//! |---|---|
//! | `listener` | the address of the endpoint |
//! | `server` | the thread, and its connections |
//! | `write_timeout` | the limit on the time for which a client does not read |
//! | `socket` | the snapshot of a process of `callboard up`, on a Unix socket |
//! | `source` | where the snapshot comes from: a broker, a pool, or the processes of `up` |
//! | `snapshot` | the state that the pages show |
//! | `state` | the latest snapshot |
//! | `routes` | the pages |
//! | `problem` | why a page cannot be shown as wanted |
//! | `health` | `/live` and `/ready` |
//! | `scale` | `/scale` |
//! | `exposition` | the text of `/metrics` |

mod exposition;
mod health;
pub(crate) mod listener;
mod problem;
mod routes;
mod scale;
mod server;
pub(crate) mod snapshot;
pub(crate) mod socket;
pub(crate) mod source;
mod state;
mod write_timeout;

pub(crate) use self::server::AdminServer;
