//! Functions as handlers: the arguments out of a body, the call, the outcome.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use callboard_core::{
    body::{ArgumentReader, arguments::ArgumentError},
    wire::{status::Failure, streams::Style},
};
use serde::de::DeserializeOwned;

use crate::{
    answer::{Answer, Outcome},
    context::Context,
    incoming::Incoming,
    line::Line,
    outgoing::Delivery,
};

/// The names of a method's arguments, in order.
pub(crate) type Names = &'static [&'static str];

/// A function that can be served: async or blocking, of up to eight arguments that serde can read, with a [`Context`] before
/// them if it wants one. `N` is the number of arguments; `M` tells the compiler the shape, and is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot serve a method with {N} argument name(s)",
    note = "its parameters must be as many as the names, of types that serde can read (an optional `Context` first is not counted)",
    note = "it must return a plain value, a `Result<T, E>` with `E: Serialize + Display`, or a `Reply<T>`",
    note = "an async function may return an `Outgoing` stream, and take an `Incoming<T>` last (which is not counted); a blocking one may not"
)]
pub trait Handler<M, const N: usize>: Send + Sync + 'static {
    /// The function in the form in which the worker runs it.
    #[doc(hidden)]
    fn prepare(self, names: [&'static str; N]) -> Prepared;

    /// Which streams it has.
    #[doc(hidden)]
    fn style(&self) -> Style;
}

/// A function in the form in which the worker runs it.
#[doc(hidden)]
#[derive(Clone)]
pub enum Prepared {
    /// Runs as a task.
    Async(Arc<AsyncFunction>),
    /// Runs on a thread of its own.
    Blocking(Arc<BlockingFunction>),
}

/// Does the work.
#[doc(hidden)]
pub type BlockingFunction = dyn Fn(Context, &Bytes) -> Outcome + Send + Sync;

/// Makes a handler's future. What it makes is dropped where the call is cancelled.
#[doc(hidden)]
pub type AsyncFunction = dyn Fn(Context, &Bytes) -> Result<RunningHandler, Box<Failure>> + Send + Sync;

/// A handler that runs.
#[doc(hidden)]
pub type RunningHandler = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Prepared::Async(_) => "Async",
            Prepared::Blocking(_) => "Blocking",
        })
    }
}

/// Parts of `M`: whether the function is async, and whether it takes a context.
#[doc(hidden)]
pub mod shape {
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

fn unfit(error: ArgumentError) -> Box<Failure> {
    Box::new(error.into())
}

/// What a call ends with one of whose items did not fit.
fn spoiled(line: Option<Arc<Line>>) -> Option<Box<Failure>> {
    line?.take_spoiled().map(Box::new)
}

macro_rules! handler {
    ($n:literal $(, $argument:ident)*) => {
        handler!(@shape $n, WithoutContext, (), context, {} $(, $argument)*);
        handler!(@shape $n, WithContext, (Context,), context, { context, } $(, $argument)*);
    };
    (@shape $n:literal, $shape:ident, ($($first:ty,)?), $context:ident, { $($pass:tt)* } $(, $argument:ident)*) => {
        impl<F, Fut, R, K, $($argument),*> Handler<(shape::Async, shape::$shape, Fut, K, $($argument,)*), $n> for F
        where
            F: Fn($($first,)? $($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: Delivery<K>,
            $($argument: DeserializeOwned,)*
        {
            fn style(&self) -> Style {
                if R::HAS_ITEMS { Style::Server } else { Style::Unary }
            }

            fn prepare(self, names: [&'static str; $n]) -> Prepared {
                let names: Names = Vec::leak(names.to_vec());
                #[allow(unused_variables, unused_mut, non_snake_case)]
                Prepared::Async(Arc::new(move |$context: Context, body: &Bytes| {
                    let mut arguments = ArgumentReader::new(names, body).map_err(unfit)?;
                    $(let $argument = arguments.next::<$argument>().map_err(unfit)?;)*
                    let line = $context.line();
                    let running = self($($pass)* $($argument),*);
                    Ok(Box::pin(async move { running.await.deliver(line).await }) as RunningHandler)
                }))
            }
        }

        impl<F, Fut, R, K, Sent, $($argument),*> Handler<(shape::AsyncIncoming, shape::$shape, Fut, K, Sent, $($argument,)*), $n> for F
        where
            F: Fn($($first,)? $($argument,)* Incoming<Sent>) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: Delivery<K>,
            Sent: DeserializeOwned,
            $($argument: DeserializeOwned,)*
        {
            fn style(&self) -> Style {
                if R::HAS_ITEMS { Style::Both } else { Style::Client }
            }

            fn prepare(self, names: [&'static str; $n]) -> Prepared {
                let names: Names = Vec::leak(names.to_vec());
                #[allow(unused_variables, unused_mut, non_snake_case)]
                Prepared::Async(Arc::new(move |$context: Context, body: &Bytes| {
                    let mut arguments = ArgumentReader::new(names, body).map_err(unfit)?;
                    $(let $argument = arguments.next::<$argument>().map_err(unfit)?;)*
                    let line = $context.line();
                    let items = Incoming::new(line.clone());
                    let running = self($($pass)* $($argument,)* items);
                    Ok(Box::pin(async move {
                        let outcome = running.await.deliver(line.clone()).await;
                        spoiled(line).map_or(outcome, Err)
                    }) as RunningHandler)
                }))
            }
        }

        impl<F, R, K, $($argument),*> Handler<(shape::Blocking, shape::$shape, K, $($argument,)*), $n> for F
        where
            F: Fn($($first,)? $($argument),*) -> R + Send + Sync + 'static,
            R: Answer<K>,
            $($argument: DeserializeOwned,)*
        {
            fn style(&self) -> Style {
                Style::Unary
            }

            fn prepare(self, names: [&'static str; $n]) -> Prepared {
                let names: Names = Vec::leak(names.to_vec());
                #[allow(unused_variables, unused_mut, non_snake_case)]
                Prepared::Blocking(Arc::new(move |$context: Context, body: &Bytes| {
                    let mut arguments = ArgumentReader::new(names, body).map_err(unfit)?;
                    $(let $argument = arguments.next::<$argument>().map_err(unfit)?;)*
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
