//! What an operator can change from the screen.

/// A change that the user has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Scale { pool: String, from: u32, size: u32 },
    Reload { pool: String },
    Pause(Target),
    Resume(Target),
    Cancel { call: String, method: String },
    Drain { worker: String },
    Purge { target: String, waiting: usize },
    Resend { id: u64, method: String },
    Drop { id: u64, method: String },
}

/// What is paused or resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A service or method: `SERVICE` or `SERVICE.METHOD`.
    Calls(String),
    /// A worker, by its name.
    Worker(String),
}

impl Action {
    /// Returns what would happen, for the confirmation.
    pub(crate) fn question(&self) -> String {
        match self {
            Action::Scale { pool, from, size } => format!("scale pool {pool} from {from} to {size} workers"),
            Action::Reload { pool } => format!("replace the workers of pool {pool} by new ones of its program"),
            Action::Pause(Target::Calls(target)) => {
                format!("pause {target}: its new calls wait, running ones continue")
            }
            Action::Pause(Target::Worker(worker)) => format!("pause worker {worker}: it gets no more calls"),
            Action::Resume(Target::Calls(target)) => format!("resume {target}"),
            Action::Resume(Target::Worker(worker)) => format!("resume worker {worker}"),
            Action::Cancel { call, method } => format!("cancel call {call} of {method}: it fails as CANCELLED"),
            Action::Drain { worker } => format!("drain worker {worker}: it finishes its calls and leaves"),
            Action::Purge { target, waiting } => {
                format!("cancel all waiting calls of {target}: {waiting} at the last poll")
            }
            Action::Resend { id, method } => format!("call {method} again with dead letter {id}"),
            Action::Drop { id, method } => format!("drop dead letter {id} of {method}, with its arguments"),
        }
    }
}
