//! The client library of Callboard: awaited calls, callbacks and one-way calls, thousands at a time over one connection.
//!
//! ```no_run
//! use callboard_clients::{CallError, Client};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("tcp://127.0.0.1:5559").await?;
//!
//! // Await the result.
//! let sum: i64 = client.call("calculator.add", (2, 3)).await?;
//!
//! // Register a callback, which runs on a thread of the client's own.
//! client.call("calculator.add", (2, 3)).on_complete(|sum: Result<i64, CallError>| println!("{sum:?}")).await?;
//!
//! // Cast: send a one-way call.
//! client.call("log.write", ("hello",)).cast().await?;
//!
//! // Returns when all that was sent has reached the broker.
//! client.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! A [`Client`] is a handle. Behind it are the *I/O thread*, which drives the client machine of `callboard_core` on a runtime of its
//! own, and the *callback thread*. A call is sent to the I/O thread through one bounded queue. Its outcome returns to the future that
//! awaits it, or to the callback thread. So nothing that the program does, including blocking its own runtime, stops heartbeats or
//! other calls. Every queue has a limit, at which callers wait or receive an error.
//!
//! | folder | contents |
//! |---|---|
//! | `client` | the handle, its settings, services by name |
//! | `call` | a call and its endings, the future of an awaited call, the answers to a broadcast |
//! | `stream` | calls with streams or progress: the buffer, its handles, senders and readers |
//! | `completion` | the delivery of outcomes from the I/O thread to futures and callbacks |
//! | `typed` | the calls of a stub, with the types and streaming styles of its trait |
//! | `blocking`, `polled` | the clients for programs that are not async, or have their own event loop |
//! | `shared` | what the handles share with the threads: channels, commands, limits, state |
//! | `driver` | the I/O thread |
//! | `error` | the errors of the public API |

pub mod blocking;
mod call;
mod client;
mod completion;
mod driver;
mod error;
mod log;
pub mod polled;
mod shared;
mod stream;
mod typed;

pub use callboard_core::{
    auth::{AuthKey, AuthKeyError, AuthKeys, AuthKeysError},
    body::{ArgumentMap, Arguments, DecodeError, Encoded, EncodedArguments, SharedBytes, named},
    wire::{
        envelope::{Effect, Priority},
        status::{Code, Executed},
    },
};

pub use callboard_core::zmtp::curve::{PublicKey, SecretKey};
pub use callboard_transport::{
    AUTHKEY_VARIABLE, AuthKeySourceError, CURVE_SECRET_VARIABLE, CurveKeys, CurveKeysError, SERVER_KEY_VARIABLE,
    SecretFileError, authkeys_from_environment, curve_keys, curve_keys_from_environment, curve_secret_from_environment,
    parse_server_key, read_authkeys, read_broker_curve_secrets, read_curve_secret, read_secret_file,
};

#[doc(hidden)]
pub use self::typed::bounds;
pub use self::{
    call::{
        Call,
        answers::{Answers, WorkerAnswer},
        future::CallFuture,
    },
    client::{Client, builder::ClientBuilder, proxy::Proxy},
    error::{
        call_error::CallError,
        close_error::CloseError,
        connect_error::{ConnectError, ConnectErrorKind},
        send_error::SendError,
    },
    shared::statistics::Statistics,
    stream::{item_sender::ItemSender, progress::Progress, reply_future::ReplyFuture, reply_stream::ReplyStream},
    typed::{
        call::{TypedCall, TypedCallFuture},
        failure::{CallFailure, Failed},
        reply::TypedReply,
        stream::TypedStream,
        style,
    },
};
