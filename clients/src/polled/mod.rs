//! A client for programs with a loop of their own, such as a game, a window or a `select` over sockets. Nothing blocks, and callbacks
//! run when the program polls, on its thread.
//!
//! ```no_run
//! use std::{cell::Cell, rc::Rc, time::Duration};
//! use callboard_clients::{CallError, polled::Client};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("tcp://127.0.0.1:5559")?;
//! let sum = Rc::new(Cell::new(None));
//! let seen = Rc::clone(&sum);
//! client.call("calculator.add", (2, 3)).on_complete(move |outcome: Result<i64, CallError>| seen.set(outcome.ok()))?;
//! while client.pending() > 0 {
//!     // Draw, handle input, and poll once per round:
//!     client.poll();
//!     // A program with nothing else to do waits for outcomes:
//!     client.process(Duration::from_millis(10));
//! }
//! assert_eq!(sum.get(), Some(5));
//! client.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::for_each`] and [`Call::stream`] pass the items of a stream to a callback. [`Client::on_complete`] makes the calls of a
//! stub. [`Client::run`] runs a future in the polls.
//!
//! The client's own threads handle the connection, timeouts and heartbeats, as for the async [`Client`](crate::Client). So a program
//! that does not poll for a minute loses nothing; only its callbacks are delayed.

mod call;
mod callback;
mod client;
mod inbox;
mod pending;
mod readiness;
mod task;

pub use self::{call::Call, client::Client};
