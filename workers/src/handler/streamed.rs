//! The items of a method of a served trait. The generated handler sends them itself, because they can borrow from the trait's
//! implementation, which lives only as long as the handler.

use std::{future::Future, future::ready, sync::Arc};

use futures::{Stream, StreamExt as _};

use super::context::Context;
use crate::{
    outcome::{IntoOutcome, Outcome},
    stream::{IntoResponse, Outgoing, StreamChannel},
};

/// The outcome of a call whose items are already sent.
#[doc(hidden)]
#[derive(Debug)]
pub struct SentItems(Outcome);

/// The `M` of [`SentItems`].
#[doc(hidden)]
#[derive(Debug)]
pub struct AlreadySent(());

impl IntoResponse<AlreadySent> for SentItems {
    const HAS_ITEMS: bool = true;

    fn respond(self, _channel: Option<Arc<StreamChannel>>) -> impl Future<Output = Outcome> + Send {
        ready(self.0)
    }
}

/// Sends the items of a method to its caller. `convert` makes each item a valid return value.
#[doc(hidden)]
pub async fn send_items<K, S, A>(
    context: &Context,
    items: Outgoing<S>,
    convert: impl FnMut(S::Item) -> A + Send,
) -> SentItems
where
    S: Stream + Send,
    A: IntoOutcome<K>,
{
    SentItems(items.map_stream(|stream| stream.map(convert)).respond(context.stream_channel()).await)
}

/// Returns the outcome of a method that failed before its first item.
#[doc(hidden)]
pub fn fail_before_items<K>(result: impl IntoOutcome<K>) -> SentItems {
    SentItems(result.into_outcome())
}
