//! The coordinator: [`Broker`](state::Broker), the parts that it has, and how it uses them.
//!
//! | file | contents |
//! |---|---|
//! | `state` | the broker and its parts |
//! | `machine` | the interface of the machine: events, messages by sender and kind, timers |
//! | `peers` | admission, goodbye and loss of clients and workers; the shutdown |
//! | `messages` | one method for each message of clients and workers |
//! | `operate` | what operators change |
//! | `dispatch` | the course of a call: schedule, dispatch, retry, complete |
//! | `invariants` | assertions about the relations between the parts |

mod dispatch;
mod invariants;
mod machine;
mod messages;
mod operate;
mod peers;
pub(crate) mod state;
