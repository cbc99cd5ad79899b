//! A pool process, and its status.

use std::{ffi::OsStr, process::Command};

use serde::Deserialize;

use super::{Broker, Process, callboard, example_path, until};

/// A pool process.
pub(crate) struct Pool {
    pub(crate) process: Process,
    name: String,
}

/// The answer of `callboard.pool.NAME.status`.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) size: u32,
    pub(crate) generation: u32,
    pub(crate) workers: Vec<Replica>,
}

/// One worker of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Replica {
    pub(crate) instance: String,
    pub(crate) state: String,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    pub(crate) generation: u32,
}

impl Pool {
    /// Starts `size` processes of the example `pool-worker`, and waits until all are registered.
    pub(crate) fn start(broker: &Broker, size: u32) -> Pool {
        Pool::start_with(broker, size, &[])
    }

    /// As [`Pool::start`], with variables for the workers.
    pub(crate) fn start_with(broker: &Broker, size: u32, variables: &[(&str, &OsStr)]) -> Pool {
        Pool::start_sized(broker, size, &[], variables)
    }

    /// As [`Pool::start_with`], with flags for the pool.
    pub(crate) fn start_sized(broker: &Broker, size: u32, flags: &[&str], variables: &[(&str, &OsStr)]) -> Pool {
        let mut command = Pool::command_with(&broker.backend, "jobs", size, flags);
        command.arg(example_path("pool-worker")).envs(variables.iter().copied());
        Pool::of(command, "jobs", size)
    }

    /// Starts a pool of this name and size, and waits until it is ready.
    pub(crate) fn of(command: Command, name: &str, size: u32) -> Pool {
        let pool = Pool { process: Process::start(command), name: name.to_owned() };
        assert_eq!(pool.process.line(), format!("ready {size} workers"));
        pool
    }

    /// Returns `callboard pool` with these settings. The caller adds the program.
    pub(crate) fn command(backend: &str, name: &str, size: u32) -> Command {
        Pool::command_with(backend, name, size, &[])
    }

    /// As [`Pool::command`], with more flags.
    pub(crate) fn command_with(backend: &str, name: &str, size: u32, flags: &[&str]) -> Command {
        let mut command = callboard();
        command.args(["pool", "--backend", backend, "--name", name, "-n", &size.to_string()]).args(flags).arg("--");
        command
    }

    /// Queries the pool for its status.
    pub(crate) fn status(&self, broker: &Broker) -> Status {
        let method = format!("callboard.pool.{}.status", self.name);
        serde_json::from_str(&broker.call(&[&method]).printed()).unwrap()
    }

    /// Waits until all workers are registered, and returns their process ids.
    pub(crate) fn pids(&self, broker: &Broker) -> Vec<u32> {
        until("all workers are registered", || {
            let workers = self.status(broker).workers;
            workers.iter().map(|replica| replica.pid.filter(|_| replica.state == "registered")).collect()
        })
    }
}
