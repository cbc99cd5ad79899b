//! Callboard: message-broker RPC over ZeroMQ.
//!
//! A broker forwards calls from clients to pools of worker processes. A worker registers functions under names:
//!
//! ```no_run
//! use callboard::{Service, Worker, WorkerError};
//!
//! fn add(x: i64, y: i64) -> i64 {
//!     x + y
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), WorkerError> {
//!     Worker::new().serve(Service::new("calculator").read("add", ["x", "y"], add)).run().await
//! }
//! ```
//!
//! A client awaits the result, registers a callback, or sends a one-way call:
//!
//! ```no_run
//! use callboard::{CallError, Client};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::connect("tcp://127.0.0.1:5559").await?;
//!     let sum: i64 = client.call("calculator.add", (2, 3)).await?;
//!     let (sender, receiver) = tokio::sync::oneshot::channel();
//!     let callback = |sum: Result<i64, CallError>| drop(sender.send(sum));
//!     client.call("calculator.add", (sum, 37)).on_complete(callback).await?;
//!     client.call("calculator.add", (0, 0)).cast().await?;
//!     println!("callback: {:?}", receiver.await?);
//!     // Pending callbacks get CANCELLED now. When this returns, the broker has every call that was sent.
//!     Ok(client.close().await?)
//! }
//! ```
//!
//! The most used items are at the root. Clients use [`Client`], [`Call`] and [`CallError`], with [`ReplyStream`] and [`ItemSender`]
//! for streams. Workers use [`Worker`], [`Service`], [`Context`], [`Reply`] and [`Error`], with [`Incoming`] and [`Outgoing`]. The
//! module [`broker`] runs a broker inside a program, [`pool`] supervises worker processes, and [`core`] has the wire format and the
//! state machines.
//!
//! With `default-features = false` the package is this library alone, without the `callboard` command.

pub use callboard_broker as broker;
pub use callboard_clients::{
    Answers, ArgumentMap, Arguments, AuthKey, AuthKeyError, AuthKeySourceError, AuthKeys, AuthKeysError, Call,
    CallError, CallFailure, CallFuture, Client, ClientBuilder, CloseError, Code, ConnectError, ConnectErrorKind,
    CurveKeys, CurveKeysError, Effect, Encoded, EncodedArguments, Executed, Failed, ItemSender, Priority, Progress,
    Proxy, PublicKey, ReplyFuture, ReplyStream, SERVER_KEY_VARIABLE, SecretFileError, SecretKey, SendError,
    SharedBytes, Statistics, TypedCall, TypedCallFuture, TypedReply, TypedStream, WorkerAnswer,
    authkeys_from_environment, blocking, curve_keys, curve_keys_from_environment, curve_secret_from_environment, named,
    parse_server_key, polled, read_authkeys, read_broker_curve_secrets, read_curve_secret, read_secret_file, style,
};
pub use callboard_core as core;
pub use callboard_core::contract::Schema;
pub use callboard_macros::{Schema, service};
pub use callboard_workers::{
    Context, Error, ErrorCode, Handler, Incoming, IntoOutcome, Outgoing, Reply, RunningWorker, Service, ServiceError,
    Stream, Worker, WorkerError, WorkerState, pool,
};

/// Items for code that the macros generate. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use callboard_clients::bounds::{error, value};
    pub use callboard_workers::{ApplicationResult, CodeOf, DeclaredCode, DefaultCode, fail_before_items, send_items};
}

/// The README and the guide, so that their examples are compiled.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/guide/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../docs/guide/first-service.md")]
    struct FirstService;
    #[doc = include_str!("../docs/guide/call-styles.md")]
    struct CallStyles;
    #[doc = include_str!("../docs/guide/streams.md")]
    struct Streams;
    #[doc = include_str!("../docs/guide/reflection.md")]
    struct Reflection;
    #[doc = include_str!("../docs/guide/callbacks.md")]
    struct Callbacks;
    #[doc = include_str!("../docs/guide/keys.md")]
    struct Keys;
    #[doc = include_str!("../docs/guide/fairness.md")]
    struct Fairness;
    #[doc = include_str!("../docs/guide/errors.md")]
    struct Errors;
    #[doc = include_str!("../docs/guide/polled-clients.md")]
    struct PolledClients;
    #[doc = include_str!("../docs/guide/security.md")]
    struct Security;
}
