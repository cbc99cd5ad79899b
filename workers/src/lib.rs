//! Workers: processes that serve services, and pools that keep them running.
//!
//! A worker serves functions under names, in about ten lines:
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
//! | module | contents |
//! |---|---|
//! | `worker` | a worker's settings and lifecycle, and the loop of its I/O thread |
//! | `service` | functions under names, and the offers that the worker registers |
//! | `handler` | a function in the form in which the worker runs it, and the context of its call |
//! | `outcome` | what a function can return, and how it becomes a result or a failure |
//! | `stream` | items from the caller and to it, and their channel to the I/O thread |
//! | `executor` | runs handlers on the program's runtime |
//! | [`pool`] | supervised worker processes |

mod executor;
mod handler;
mod log;
mod outcome;
pub mod pool;
mod service;
mod stream;
mod worker;

pub use callboard_core::wire::status::Code;
/// The trait of streams, from the crate `futures`. A trait with `#[callboard::service]` needs it for [`Outgoing`].
pub use futures::Stream;

#[doc(hidden)]
pub use self::{
    handler::{
        AlreadySent, AsyncFunction, BlockingFunction, DynamicFunction, ErasedHandler, HandlerFuture, SentItems,
        fail_before_items, send_items, signature,
    },
    outcome::{ApplicationResult, CodeOf, DeclaredCode, DefaultCode},
    stream::StreamChannel,
};
pub use self::{
    handler::{Context, DynamicCall, DynamicMethod, DynamicStreams, Handler},
    outcome::{Error, ErrorCode, Fallible, IntoOutcome, Outcome, Plain, Reply},
    service::{Service, ServiceError},
    stream::{Incoming, IntoResponse, Outgoing},
    worker::{BACKEND_DEFAULT, RunningWorker, Worker, WorkerError, WorkerState},
};
