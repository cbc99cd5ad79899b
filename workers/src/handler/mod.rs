//! Handlers: Rust functions in the form in which a worker runs them, and the call that they serve.

mod completion_guard;
mod context;
mod dynamic;
mod function;
mod streamed;

pub(crate) use self::completion_guard::{CompletionGuard, Stopwatch};
pub use self::{
    context::Context,
    dynamic::{DynamicCall, DynamicFunction, DynamicMethod, DynamicStreams},
    function::{AsyncFunction, BlockingFunction, ErasedHandler, Handler, HandlerFuture, signature},
    streamed::{AlreadySent, SentItems, fail_before_items, send_items},
};
