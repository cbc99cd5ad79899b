//! Items of methods of a served trait: sent where the method ran, for they may borrow from what implements it.

use std::{future::Future, future::ready, sync::Arc};

use futures::{Stream, StreamExt as _};

use crate::{
    answer::{Answer, Outcome},
    context::Context,
    line::Line,
    outgoing::{Delivery, Outgoing},
};

/// What a call came to whose items have been sent.
#[doc(hidden)]
#[derive(Debug)]
pub struct Delivered(Outcome);

/// `M` of that.
#[doc(hidden)]
#[derive(Debug)]
pub struct Before(());

impl Delivery<Before> for Delivered {
    const HAS_ITEMS: bool = true;

    fn deliver(self, _line: Option<Arc<Line>>) -> impl Future<Output = Outcome> + Send {
        ready(self.0)
    }
}

/// Sends the items of a method to its caller; `answer` makes of each what a function may return.
#[doc(hidden)]
pub async fn deliver<K, S, A>(
    context: &Context,
    items: Outgoing<S>,
    answer: impl FnMut(S::Item) -> A + Send,
) -> Delivered
where
    S: Stream + Send,
    A: Answer<K>,
{
    Delivered(items.with(|stream| stream.map(answer)).deliver(context.line()).await)
}

/// The end of a method that has failed before it had items.
#[doc(hidden)]
pub fn refused<K>(answer: impl Answer<K>) -> Delivered {
    Delivered(answer.into_outcome())
}
