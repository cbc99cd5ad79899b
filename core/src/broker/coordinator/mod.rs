//! The coordinator: [`Broker`](state::Broker), the parts that it has, and how it uses them.
//!
//! | file | contents |
//! |---|---|
//! | `state` | the broker and its parts |
//! | `machine` | the interface of the machine: events, messages by sender and kind, timers |
//! | `peers` | admission, goodbye and loss of clients and workers; the shutdown |
//! | `messages` | one method for each message of clients and workers |
//! | `operate` | calls to the broker's own service, and what operators change by them |
//! | `dispatch` | the course of a call: schedule, dispatch, retry, complete |
//! | `affinity_keys` | calls with affinity keys |
//! | `broadcasts` | broadcasts and their subcalls |
//! | `time_limits` | deadlines and time limits of calls |
//! | `invariants` | assertions about the relations between the parts |

mod affinity_keys;
mod broadcasts;
mod dispatch;
mod invariants;
mod machine;
mod messages;
mod operate;
mod peers;
pub(crate) mod state;
mod time_limits;
