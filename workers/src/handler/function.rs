//! Functions as handlers: decode the arguments from a body, call the function, return the outcome.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use callboard_core::{
    body::{ArgumentReader, arguments::ArgumentError},
    wire::{status::Failure, streams::Style},
};
use serde::de::DeserializeOwned;

use super::{context::Context, dynamic::DynamicFunction};
use crate::{
    outcome::{IntoOutcome, Outcome},
    stream::{Incoming, IntoResponse, StreamChannel},
};

/// A function that a service can serve: async or blocking, with up to eight arguments of deserializable types, and optionally a
/// [`Context`] before them. `N` is the number of arguments. The compiler infers `M`, which encodes the form of the function.
/// Programs do not name it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot serve this method: its number of parameters is not {N}, or a type cannot be serialized",
    note = "the number of parameters must be the number of names, and their types must implement `Deserialize` (an optional `Context` first is not counted)",
    note = "the function must return a plain value, a `Result<T, E>` with `E: Serialize + Display`, or a `Reply<T>`",
    note = "an async function can return an `Outgoing` stream and take an `Incoming<T>` last (which is not counted); a blocking function cannot"
)]
pub trait Handler<M, const N: usize>: Send + Sync + 'static {
    /// Erases the function's type.
    #[doc(hidden)]
    fn erase(self, names: [&'static str; N]) -> ErasedHandler;

    /// Returns which streams the method has.
    #[doc(hidden)]
    fn style(&self) -> Style;
}

/// A handler without its function's type.
#[doc(hidden)]
#[derive(Clone)]
pub enum ErasedHandler {
    /// Runs as a task of the program's runtime.
    Async(Arc<AsyncFunction>),
    /// Runs on a thread for blocking work.
    Blocking(Arc<BlockingFunction>),
    /// Runs on the program's runtime, and finishes the call there or elsewhere.
    Dynamic(Arc<DynamicFunction>),
}

/// A blocking function that returns the outcome of a call.
#[doc(hidden)]
pub type BlockingFunction = dyn Fn(Context, &Bytes) -> Outcome + Send + Sync;

/// A function that creates a handler's future. The future is dropped when the call is cancelled.
#[doc(hidden)]
pub type AsyncFunction = dyn Fn(Context, &Bytes) -> Result<HandlerFuture, Box<Failure>> + Send + Sync;

/// The future of a running handler.
#[doc(hidden)]
pub type HandlerFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl std::fmt::Debug for ErasedHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ErasedHandler::Async(_) => "Async",
            ErasedHandler::Blocking(_) => "Blocking",
            ErasedHandler::Dynamic(_) => "Dynamic",
        })
    }
}

/// The parts of `M`: whether the function is async or blocking, takes an `Incoming`, and takes a context.
#[doc(hidden)]
pub mod signature {
    #[derive(Debug)]
    pub struct Async(());
    #[derive(Debug)]
    pub struct AsyncIncoming(());
    #[derive(Debug)]
    pub struct Blocking(());
    #[derive(Debug)]
    pub struct WithContext(());
    #[derive(Debug)]
    pub struct WithoutContext(());
}

fn argument_failure(error: ArgumentError) -> Box<Failure> {
    Box::new(error.into())
}

/// Returns the failure of a call with an invalid item.
fn abort_failure(channel: Option<Arc<StreamChannel>>) -> Option<Box<Failure>> {
    channel?.take_abort_failure().map(Box::new)
}

macro_rules! handler {
    ($n:literal $(, $argument:ident)*) => {
        handler!(@signature $n, WithoutContext, (), context, {} $(, $argument)*);
        handler!(@signature $n, WithContext, (Context,), context, { context, } $(, $argument)*);
    };
    (@signature $n:literal, $context_kind:ident, ($($first:ty,)?), $context:ident, { $($pass:tt)* } $(, $argument:ident)*) => {
        impl<F, Fut, R, K, $($argument),*> Handler<(signature::Async, signature::$context_kind, Fut, K, $($argument,)*), $n> for F
        where
            F: Fn($($first,)? $($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoResponse<K>,
            $($argument: DeserializeOwned,)*
        {
            fn style(&self) -> Style {
                if R::HAS_ITEMS { Style::Server } else { Style::Unary }
            }

            fn erase(self, names: [&'static str; $n]) -> ErasedHandler {
                let names: &'static [&'static str] = Vec::leak(names.to_vec());
                #[allow(unused_variables, unused_mut, non_snake_case)]
                ErasedHandler::Async(Arc::new(move |$context: Context, body: &Bytes| {
                    let mut arguments = ArgumentReader::new(names, body).map_err(argument_failure)?;
                    $(let $argument = arguments.next::<$argument>().map_err(argument_failure)?;)*
                    let channel = $context.stream_channel();
                    let running = self($($pass)* $($argument),*);
                    Ok(Box::pin(async move { running.await.respond(channel).await }) as HandlerFuture)
                }))
            }
        }

        impl<F, Fut, R, K, Item, $($argument),*> Handler<(signature::AsyncIncoming, signature::$context_kind, Fut, K, Item, $($argument,)*), $n> for F
        where
            F: Fn($($first,)? $($argument,)* Incoming<Item>) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoResponse<K>,
            Item: DeserializeOwned,
            $($argument: DeserializeOwned,)*
        {
            fn style(&self) -> Style {
                if R::HAS_ITEMS { Style::Bidi } else { Style::Client }
            }

            fn erase(self, names: [&'static str; $n]) -> ErasedHandler {
                let names: &'static [&'static str] = Vec::leak(names.to_vec());
                #[allow(unused_variables, unused_mut, non_snake_case)]
                ErasedHandler::Async(Arc::new(move |$context: Context, body: &Bytes| {
                    let mut arguments = ArgumentReader::new(names, body).map_err(argument_failure)?;
                    $(let $argument = arguments.next::<$argument>().map_err(argument_failure)?;)*
                    let channel = $context.stream_channel();
                    let items = Incoming::new(channel.clone());
                    let running = self($($pass)* $($argument,)* items);
                    Ok(Box::pin(async move {
                        let outcome = running.await.respond(channel.clone()).await;
                        abort_failure(channel).map_or(outcome, Err)
                    }) as HandlerFuture)
                }))
            }
        }

        impl<F, R, K, $($argument),*> Handler<(signature::Blocking, signature::$context_kind, K, $($argument,)*), $n> for F
        where
            F: Fn($($first,)? $($argument),*) -> R + Send + Sync + 'static,
            R: IntoOutcome<K>,
            $($argument: DeserializeOwned,)*
        {
            fn style(&self) -> Style {
                Style::Unary
            }

            fn erase(self, names: [&'static str; $n]) -> ErasedHandler {
                let names: &'static [&'static str] = Vec::leak(names.to_vec());
                #[allow(unused_variables, unused_mut, non_snake_case)]
                ErasedHandler::Blocking(Arc::new(move |$context: Context, body: &Bytes| {
                    let mut arguments = ArgumentReader::new(names, body).map_err(argument_failure)?;
                    $(let $argument = arguments.next::<$argument>().map_err(argument_failure)?;)*
                    self($($pass)* $($argument),*).into_outcome()
                }))
            }
        }
    };
}

handler!(0);
handler!(1, A);
handler!(2, A, B);
handler!(3, A, B, C);
handler!(4, A, B, C, D);
handler!(5, A, B, C, D, E);
handler!(6, A, B, C, D, E, G);
handler!(7, A, B, C, D, E, G, H);
handler!(8, A, B, C, D, E, G, H, I);
