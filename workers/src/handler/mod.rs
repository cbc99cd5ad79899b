//! Handlers: Rust functions in the form in which a worker runs them, and the call that they serve.

mod context;
mod function;
mod streamed;

pub use self::{
    context::Context,
    function::{AsyncFunction, BlockingFunction, ErasedHandler, Handler, HandlerFuture, signature},
    streamed::{AlreadySent, SentItems, fail_before_items, send_items},
};
