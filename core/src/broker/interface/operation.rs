//! The changes that operators request.

use std::fmt;

use super::super::{admin, registry::OperatorLimit};
use crate::{
    body::{ArgumentError, ArgumentReader},
    wire::{
        ids::CallId,
        status::{Code, Executed, Failure},
    },
};

/// Calls per second that a limit may have.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;

/// A change that an operator requests. A `target` is `SERVICE` or `SERVICE.METHOD`, and a `worker` the instance name of a worker.
///
/// Calls that are at workers continue, except for [`Operation::Cancel`]. Pauses and limits last until an operator removes them, or the
/// broker ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Lets the calls of a service or method wait.
    Pause {
        /// The service or method.
        target: String,
    },
    /// Ends the pause of a service or method.
    Resume {
        /// The service or method.
        target: String,
    },
    /// Sets the limits of a service or method, but not whether it is paused.
    Limit {
        /// The service or method.
        target: String,
        /// The limits.
        limit: OperatorLimit,
    },
    /// Gives a worker no more calls, even when it reconnects. Its affinity keys go to other workers.
    PauseWorker {
        /// The worker.
        worker: String,
    },
    /// Gives a worker calls again.
    ResumeWorker {
        /// The worker.
        worker: String,
    },
    /// Asks a worker to finish its calls and to leave. A pool replaces it.
    DrainWorker {
        /// The worker.
        worker: String,
    },
    /// Ends an open call, which fails as cancelled.
    Cancel {
        /// The call.
        call: CallId,
    },
    /// Ends the waiting calls of a service or method, which fail as cancelled.
    Purge {
        /// The service or method.
        target: String,
    },
}

impl Operation {
    /// Reads the operation of a method of the service `callboard`, from the arguments of a call.
    ///
    /// # Errors
    /// The failure that answers the call, if an argument is not valid.
    pub(crate) fn read(method: &str, arguments: &[u8]) -> Result<Operation, Box<Failure>> {
        let operation = Operation::read_arguments(method, arguments).map_err(Failure::from)?;
        operation.map_err(|text| Box::new(Failure::new(Code::InvalidArgument, Executed::No, text)))
    }

    fn read_arguments(method: &str, arguments: &[u8]) -> Result<Result<Operation, String>, ArgumentError> {
        let mut reader = ArgumentReader::new(admin::argument_names(method), arguments)?;
        Ok(Ok(match method {
            "pause" => Operation::Pause { target: reader.next()? },
            "resume" => Operation::Resume { target: reader.next()? },
            "pause_worker" => Operation::PauseWorker { worker: reader.next()? },
            "resume_worker" => Operation::ResumeWorker { worker: reader.next()? },
            "drain_worker" => Operation::DrainWorker { worker: reader.next()? },
            "cancel" => {
                let text: String = reader.next()?;
                let call = text.parse::<CallId>().map_err(|error| format!("invalid call id {text}: {error}"));
                return Ok(call.map(|call| Operation::Cancel { call }));
            }
            "purge" => Operation::Purge { target: reader.next()? },
            _ => {
                let (target, concurrency, rate, burst) =
                    (reader.next()?, reader.next()?, reader.next()?, reader.next()?);
                Operation::Limit { target, limit: OperatorLimit { paused: false, concurrency, rate, burst } }
            }
        }))
    }

    /// Checks that a limit lets calls start.
    ///
    /// # Errors
    /// The failure that answers the operator.
    pub(crate) fn check(&self) -> Result<(), Box<Failure>> {
        let Operation::Limit { limit, .. } = self else { return Ok(()) };
        let text = match *limit {
            OperatorLimit { concurrency: Some(0), .. } => {
                "a concurrency of 0 would let no call start: use pause".to_owned()
            }
            OperatorLimit { rate: Some(rate), .. } if !RATES.contains(&rate) => {
                format!("a rate of {rate} calls per second is not between {} and {}", RATES.start(), RATES.end())
            }
            OperatorLimit { burst: Some(0), .. } => "a burst of 0 would let no call start: use 1 or more".to_owned(),
            OperatorLimit { burst: Some(_), rate: None, .. } => "a burst needs a rate".to_owned(),
            _ => return Ok(()),
        };
        Err(Box::new(Failure::new(Code::InvalidArgument, Executed::No, text)))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Pause { target } => write!(f, "pause {target}"),
            Operation::Resume { target } => write!(f, "resume {target}"),
            Operation::Limit { target, limit } => write!(f, "limit {target}: {limit}"),
            Operation::PauseWorker { worker } => write!(f, "pause worker {worker}"),
            Operation::ResumeWorker { worker } => write!(f, "resume worker {worker}"),
            Operation::DrainWorker { worker } => write!(f, "drain worker {worker}"),
            Operation::Cancel { call } => write!(f, "cancel {call}"),
            Operation::Purge { target } => write!(f, "purge {target}"),
        }
    }
}
