//! The coordinator: [`Broker`](state::Broker), the parts that it has, and what it does with them.
//!
//! | file | what the broker does there |
//! |---|---|
//! | `state` | nothing: it lists the parts |
//! | `machine` | the interface of the machine: events, messages by sender and kind, timers |
//! | `peers` | admits clients and workers, and handles their loss; shuts down |
//! | `messages` | handles each message of clients and workers |
//! | `dispatch` | dispatches calls, retries them, and completes them |
//! | `invariants` | nothing: it asserts what holds between the parts |

mod dispatch;
mod invariants;
mod machine;
mod messages;
mod peers;
pub(crate) mod state;
