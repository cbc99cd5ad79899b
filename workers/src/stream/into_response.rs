//! The conversion of an async function's return value: one outcome, or a stream of items.

use std::{
    fmt::Display,
    future::{Future, ready},
    marker::PhantomData,
    sync::Arc,
};

use callboard_core::wire::status::Code;
use futures::Stream;
use serde::Serialize;

use super::{channel::StreamChannel, outgoing::Outgoing};
use crate::outcome::{Error, IntoOutcome, Outcome, encode};

/// A return type of a served async function: an [`IntoOutcome`] type, an [`Outgoing`] stream, or a `Result` of one.
///
/// The compiler infers `M`, which selects one of these cases. Programs do not name it.
#[diagnostic::on_unimplemented(
    message = "a served function cannot return `{Self}`",
    note = "return a plain value, `Result<T, E>` with `T: Serialize` and `E: Serialize + Display`, `Reply(value)`, or `Outgoing` around a stream of these"
)]
pub trait IntoResponse<M> {
    /// Whether items come before the outcome.
    #[doc(hidden)]
    const HAS_ITEMS: bool;

    /// Sends the items, and returns the outcome.
    #[doc(hidden)]
    fn respond(self, channel: Option<Arc<StreamChannel>>) -> impl Future<Output = Outcome> + Send;
}

/// The `M` of a single value.
#[doc(hidden)]
#[derive(Debug)]
pub struct Single<K>(PhantomData<K>);

/// The `M` of a stream.
#[doc(hidden)]
#[derive(Debug)]
pub struct Items<K>(PhantomData<K>);

/// The `M` of a stream or an application error.
#[doc(hidden)]
#[derive(Debug)]
pub struct ItemsOrApplicationError<K>(PhantomData<K>);

/// The `M` of a stream or an [`Error`].
#[doc(hidden)]
#[derive(Debug)]
pub struct ItemsOrError<K>(PhantomData<K>);

impl<K, R: IntoOutcome<K>> IntoResponse<Single<K>> for R {
    const HAS_ITEMS: bool = false;

    fn respond(self, _channel: Option<Arc<StreamChannel>>) -> impl Future<Output = Outcome> + Send {
        ready(self.into_outcome())
    }
}

impl<K, S> IntoResponse<Items<K>> for Outgoing<S>
where
    S: Stream<Item: IntoOutcome<K>> + Send,
{
    const HAS_ITEMS: bool = true;

    async fn respond(self, channel: Option<Arc<StreamChannel>>) -> Outcome {
        // A job of a streaming method always has a channel.
        let Some(channel) = channel else { return encode(&()) };
        self.send(channel).await
    }
}

impl<K, S, E> IntoResponse<ItemsOrApplicationError<K>> for Result<Outgoing<S>, E>
where
    S: Stream<Item: IntoOutcome<K>> + Send,
    E: Serialize + Display + Send,
{
    const HAS_ITEMS: bool = true;

    async fn respond(self, channel: Option<Arc<StreamChannel>>) -> Outcome {
        match self {
            Ok(items) => items.respond(channel).await,
            Err(error) => Err(Box::new(Error::from_error(Code::Unknown, &error).into_failure())),
        }
    }
}

impl<K, S> IntoResponse<ItemsOrError<K>> for Result<Outgoing<S>, Error>
where
    S: Stream<Item: IntoOutcome<K>> + Send,
{
    const HAS_ITEMS: bool = true;

    async fn respond(self, channel: Option<Arc<StreamChannel>>) -> Outcome {
        match self {
            Ok(items) => items.respond(channel).await,
            Err(error) => Err(Box::new(error.into_failure())),
        }
    }
}
