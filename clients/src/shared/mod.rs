//! The state that the handles of a client share with each other and with the client's threads.

pub(crate) mod capacity;
pub(crate) mod channels;
pub(crate) mod command;
pub(crate) mod deadline_timer;
pub(crate) mod inner;
pub(crate) mod state;
pub(crate) mod statistics;
