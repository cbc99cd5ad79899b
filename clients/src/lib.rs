//! The client library of Callboard: calls that are awaited, called back or cast, thousands at a time over one connection.
//!
//! ```no_run
//! use callboard_clients::{CallError, Client};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("tcp://127.0.0.1:5559").await?;
//!
//! // Awaited.
//! let sum: i64 = client.call("calculator.add", (2, 3)).await?;
//!
//! // Called back, on a thread of the client's own.
//! client.call("calculator.add", (2, 3)).on_complete(|sum: Result<i64, CallError>| println!("{sum:?}")).await?;
//!
//! // Cast: fired and forgotten.
//! client.call("log.write", ("hello",)).cast().await?;
//!
//! // Whatever was sent has reached the broker.
//! client.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! A [`Client`] is a handle. Behind it is the *link thread*, which drives the client machine of `callboard_core` with a runtime of its
//! own, and the *callback thread*. A call goes to the link thread through one bounded queue, and its outcome comes back to the
//! future that awaits it or goes on to the callback thread. So nothing that the program does, blocking its own runtime included,
//! stops heartbeats or other calls; and every queue on the way has a limit, at which callers wait or are told.
//!
//! | file | what it holds |
//! |---|---|
//! | `client`, `builder` | the handle and its settings |
//! | `call`, `call_future`, `answers` | a call in the making, its endings; an awaited call; what workers answer to a broadcast |
//! | `blocking`, `polled` | the client for programs that are not async, or have a loop of their own |
//! | `typed`, `style`, `typed_streams`, `proxy` | a call of a stub's method, by its style; a service whose methods are called by name |
//! | `request`, `shared` | a call on its way to the link thread |
//! | `driver` | the link thread |
//! | `pipe`, `reply_stream`, `item_sender`, `reply_future` | calls with streams, and with progress |
//! | `responder`, `outcomes`, `teller`, `callbacks` | an outcome on its way back, to who awaits it or to the callback thread |
//! | `room`, `alarm`, `state` | bounds, time limits, how far the client's life has come |

mod alarm;
mod answers;
pub mod blocking;
mod builder;
mod call;
mod call_error;
mod call_future;
mod callbacks;
mod client;
mod close_error;
mod connect_error;
mod driver;
mod item_sender;
mod outcomes;
mod pipe;
pub mod polled;
mod proxy;
mod reply_future;
mod reply_stream;
mod request;
mod responder;
mod room;
mod shared;
mod state;
mod statistics;
pub mod style;
mod teller;
#[doc(hidden)]
pub mod travel;
mod typed;
mod typed_streams;

pub use callboard_core::{
    auth::{AuthKey, AuthKeyError, AuthKeys, AuthKeysError},
    body::{ArgumentMap, Arguments, DecodeError, EncodedArguments, named},
    wire::{
        envelope::{Effect, Priority},
        status::{Code, Executed},
    },
};

pub use callboard_transport::{AUTHKEY_VARIABLE, AuthKeySourceError, authkeys_from_environment, read_authkeys};

pub use self::{
    answers::{Answers, WorkerAnswer},
    builder::ClientBuilder,
    call::Call,
    call_error::CallError,
    call_future::CallFuture,
    client::Client,
    close_error::CloseError,
    connect_error::{ConnectError, ConnectErrorKind},
    item_sender::{ItemSender, SendError},
    proxy::Proxy,
    reply_future::{Progress, ReplyFuture},
    reply_stream::ReplyStream,
    statistics::Statistics,
    typed::{CallFailure, Failed, TypedCall, TypedCallFuture},
    typed_streams::{TypedReply, TypedStream},
};
