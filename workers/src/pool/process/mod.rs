//! The operating system's side of a pool: processes, process groups, and what ends them together with the pool.
//!
//! | file | contents |
//! |---|---|
//! | `child` | one worker process, spawned through the shim |
//! | `shim` | the program that the pool starts and that then executes the worker |
//! | `lifeline` | the pipe whose end-of-file shows a worker that its pool has ended |
//! | `guard` | the process that kills the remaining process groups when the pool is killed |
//! | `group` | which process groups still have members |
//! | `program` | the lookup of the worker's program in PATH |
//! | `environment` | the environment variables of a worker |
//! | `exit` | how a process exited |

mod child;
pub mod environment;
mod exit;
mod group;
mod guard;
pub mod lifeline;
mod program;
mod shim;

pub(super) use self::{
    child::{Process, ProcessSpec, Secret},
    group::{groups_with_followers, has_followers},
    guard::Guard,
};
pub use self::{
    exit::Exit,
    program::{ProgramError, find_program},
    shim::{ShimError, run_worker},
};
