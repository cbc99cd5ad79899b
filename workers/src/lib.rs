//! Workers: processes that serve services, and pools that keep them alive.
//!
//! A worker is functions under names, some ten lines:
//!
//! ```no_run
//! use callboard_workers::{Service, Worker, WorkerError};
//!
//! async fn greet(name: String) -> String {
//!     format!("Hello, {name}!")
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), WorkerError> {
//!     Worker::new().serve(Service::new("greeter").read("greet", ["name"], greet)).run().await
//! }
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `service` | functions under names |
//! | `handler`, `answer`, `context` | what a function may take and return |
//! | `incoming`, `outgoing`, `line` | items from the caller and to it, and their way to the link's thread |
//! | `own`, `delivered` | the errors of a served trait's methods, and their items |
//! | `worker` | a worker's settings, beginning and end |
//! | `driver`, `absence` | the run loop on the link's thread, and what it says while there is no broker |
//! | `runner` | where handlers run, and their way there and back |
//! | `pool` | supervised worker processes |

mod absence;
mod answer;
mod context;
mod delivered;
mod driver;
mod error;
mod handler;
mod incoming;
mod line;
mod outgoing;
mod own;
pub mod pool;
mod runner;
mod service;
mod signals;
mod state;
mod worker;

pub use callboard_core::wire::status::Code;
/// What an [`Outgoing`] is around: `Stream` of the package `futures`, so that a contract can name it without that.
pub use futures::Stream;

pub use self::{
    answer::{Answer, Error, Fallible, Outcome, Plain, Reply},
    context::Context,
    error::WorkerError,
    handler::Handler,
    incoming::Incoming,
    outgoing::{Delivery, Outgoing},
    own::ErrorCode,
    service::{Service, ServiceError},
    state::State,
    worker::{BACKEND_DEFAULT, RunningWorker, Worker},
};
#[doc(hidden)]
pub use self::{
    delivered::{Before, Delivered, deliver, refused},
    handler::{AsyncFunction, BlockingFunction, Prepared, RunningHandler, shape},
    line::Line,
    own::{CodeOf, Own, WithCode, WithoutCode},
};
