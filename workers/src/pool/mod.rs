//! Pools: the supervised worker processes of one program.
//!
//! A [`Pool`] keeps a number of processes of one program alive, each in a seat of its own, replaces those that end, and gives up
//! when one ends again and again. While it runs it may be asked to grow, to shrink, and to exchange its processes for new ones. It
//! leaves no process behind, however it ends:
//!
//! - It asks and kills by process group, before it reaps the group's leader, so that the number cannot be another's by then.
//! - The kernel kills each process when the pool's thread ends (on Linux): see [`run_worker`].
//! - Each worker holds a pipe whose other end only the pool has, and ends when that is closed: see [`lifeline`].
//! - A guard process outlives the pool by an instant and kills what is left of its groups: see `guard.rs`.
//!
//! What is to be done is decided in `seats.rs` (pure), with the policy in `restarts.rs`; `driver.rs` does it. What an owner may
//! want to ask of its pool is decided in `autoscale.rs`, `recycle.rs` and `trial.rs`, which are as pure. The pool knows
//! nothing of the broker: its owner says which workers have been registered there.
//!
//! ```no_run
//! use callboard_workers::pool::{Pool, PoolEvent, PoolSettings};
//! # async fn example() -> Result<(), callboard_workers::pool::PoolError> {
//! let shim = ("/proc/self/exe".into(), vec!["internal".into(), "run-worker".into()]);
//! let mut settings = PoolSettings::new("calculator-worker", Vec::new(), "tcp://127.0.0.1:5560", shim);
//! settings.size = 4;
//! let mut pool = Pool::start(settings)?;
//! while let Some(event) = pool.event().await {
//!     if let PoolEvent::GaveUp { verdict, last_lines, .. } = event {
//!         eprintln!("{verdict}\n{}", last_lines.join("\n"));
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod ask;
mod autoscale;
mod command;
mod control;
mod driver;
pub mod environment;
mod event;
mod exit;
mod group;
mod guard;
pub mod lifeline;
mod lines;
mod name;
mod output;
mod process;
mod program;
mod recycle;
mod restarts;
mod seat;
mod seats;
mod settings;
mod shim;
mod trial;

pub use ask::{Bounds, ExchangeNumber, Exchanged, Refusal};
pub use autoscale::{
    Autoscale, Demand, GROW_PAUSE, SHRINK_AFTER, UTILISATION_GOAL, UTILISATION_HIGH, UTILISATION_LOW, WAIT_HIGH,
};
pub use control::{Pool, PoolControl};
pub use driver::STUCK_TERM;
pub use event::{EVENTS_WAITING_MAX, PoolEvent, PoolStatus, SeatStatus};
pub use exit::{Exit, Verdict};
pub use lines::{LAST_LINES_MAX, LINE_BYTES_MAX};
pub use name::{POOL_NAME_BYTES_MAX, pool_name};
pub use program::{ProgramError, find_program};
pub use recycle::{Age, Recycle, resident_bytes};
pub use restarts::{CRASH_LOOP_EXITS, CRASH_LOOP_WINDOW, RESTART_DELAY_MAX, RESTART_DELAY_MIN, RESTART_RESET};
pub use seat::{SeatId, SeatState};
pub use settings::{
    DRAIN_DEFAULT, POOL_SIZE_MAX, PoolError, PoolSettings, READY_DEFAULT, TRIAL_DEFAULT, service_name, size_max_default,
};
pub use shim::{ShimError, run_worker};
pub use trial::{TRIAL_CALLS_MIN, TRIAL_WORSE_MAX, Tally, worse};
