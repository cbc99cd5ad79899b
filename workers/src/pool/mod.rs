//! Pools: the supervised worker processes of one program.
//!
//! A [`Pool`] keeps a number of processes of one program running. Each process fills one *replica*. The pool replaces processes that
//! exit, and gives up if a replica is in a crash loop and no other replica is healthy. A running pool can grow, shrink, and replace
//! its processes with new ones. However it ends, it leaves no process behind:
//!
//! - It signals process groups, and only before it reaps the group's leader, so that the system cannot have reused the id.
//! - On Linux the kernel kills each process when the pool's thread ends: see [`run_worker`].
//! - Each worker inherits a pipe whose writing end only the pool has, and exits when that end is closed: see [`lifeline`].
//! - A guard process outlives the pool briefly and kills the remaining process groups.
//!
//! | folder | contents |
//! |---|---|
//! | `replicas` | the pure state machine that decides what to spawn, signal and reap |
//! | `control` | the handle, and the driver thread that performs those actions |
//! | `process` | processes, process groups, lifeline, shim and guard |
//! | `output` | the output of workers |
//! | `policy` | pure decisions that an owner can apply: autoscaling, canary comparison, recycling |
//! | `settings` | the settings of a pool, and its default name |
//!
//! The pool does not communicate with the broker. Its owner reports which workers are registered there.
//!
//! ```no_run
//! use callboard_workers::pool::{Pool, PoolEvent, PoolSettings};
//! # async fn example() -> Result<(), callboard_workers::pool::PoolError> {
//! let shim = ("/proc/self/exe".into(), vec!["internal".into(), "run-worker".into()]);
//! let mut settings = PoolSettings::new("calculator-worker", Vec::new(), "tcp://127.0.0.1:5560", shim);
//! settings.size = 4;
//! let mut pool = Pool::start(settings)?;
//! while let Some(event) = pool.event().await {
//!     if let PoolEvent::GaveUp { crash_loop, last_lines } = event {
//!         eprintln!("{crash_loop}\n{}", last_lines.join("\n"));
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod control;
mod output;
mod policy;
mod process;
mod replicas;
mod settings;

pub use self::{
    control::{EVENTS_WAITING_MAX, Pool, PoolControl, PoolEvent, PoolStatus, ReplicaStatus, STUCK_GRACE_PERIOD},
    output::{LAST_LINES_MAX, LINE_BYTES_MAX},
    policy::{
        Autoscaler, CANARY_CALLS_MIN, CANARY_FAILURE_INCREASE_MAX, CallCounts, PoolLoad, ProcessUsage, RecyclePolicy,
        SCALE_DOWN_AFTER, SCALE_UP_COOLDOWN, UTILISATION_HIGH, UTILISATION_LOW, UTILISATION_TARGET, WAIT_HIGH,
        canary_failure, resident_bytes,
    },
    process::{Exit, ProgramError, ShimError, environment, find_program, lifeline, run_worker},
    replicas::{
        Bounds, CRASH_LOOP_EXITS, CRASH_LOOP_WINDOW, ChangeError, CrashLoop, RESTART_DELAY_MAX, RESTART_DELAY_MIN,
        RESTART_RESET, ReplicaId, ReplicaState, RolloutId, RolloutOutcome, RolloutProgress,
    },
    settings::{
        CANARY_PERIOD_DEFAULT, DRAIN_DEFAULT, POOL_NAME_BYTES_MAX, POOL_SIZE_MAX, PoolError, PoolSettings,
        STARTUP_TIMEOUT_DEFAULT, pool_name, service_name, size_max_default,
    },
};
