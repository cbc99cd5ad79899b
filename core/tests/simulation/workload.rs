//! The workload: the calls that clients make.

use std::time::Duration;

use bytes::Bytes;
use callboard_core::{
    body,
    time::Time,
    wire::{
        envelope::{Effect, Priority},
        streams::{Streams, Style},
    },
};

use super::{
    catalogue::{METHODS, Method, STREAMS},
    config::millis,
    context::Context,
    ledger::CallSpec,
    streams::Plan,
};

/// A timeout that is long enough for every call after the faults have ended.
pub(crate) const AMPLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The shortest timeout of a call.
const TIMEOUT_MIN: Duration = millis(20);
/// Affinity keys: few, so that calls share keys.
const KEYS: [&str; 5] = ["a", "b", "c", "d", "a rather long key"];
/// A body of this size is sent in its own frame.
const LARGE_BYTES: u64 = 30_000;

/// Draws a call, still without arguments.
pub(crate) fn draw(client: (usize, u64), made: Time, context: &mut Context) -> CallSpec {
    let key_percent = context.config.key_percent;
    let rng = &mut context.rng;
    let streaming = rng.percent(context.config.stream_percent);
    // Most calls are for served methods.
    let method = match () {
        () if streaming => rng.pick(&STREAMS),
        () if rng.percent(90) => METHODS[rng.index(6)],
        () => rng.pick(&METHODS),
    };
    let no_timeout = rng.percent(context.config.no_timeout_percent);
    let wait_for_ready = rng.percent(10);
    // A call that waits for an unserved method without a timeout would never end.
    let no_timeout = no_timeout && (method.served || !wait_for_ready);
    let longest = context.config.timeout_max;
    let cast = !streaming && rng.percent(10);
    // Some callers use the wrong style of a method.
    let style = if rng.percent(3) { rng.pick(&[Style::Unary, Style::Server, Style::Bidi]) } else { method.style };
    let broadcast =
        !streaming && style.is_unary() && !method.is_admin() && rng.percent(context.config.broadcast_percent);
    let streams = if cast || broadcast { Streams::NONE } else { Streams { style, progress: rng.percent(20) } };
    CallSpec {
        client,
        method,
        effect: rng.percent(10).then(|| rng.pick(&[Effect::Idempotent, Effect::Once])),
        timeout: (!no_timeout).then(|| rng.span_between(TIMEOUT_MIN, longest)),
        wait_for_ready,
        priority: rng.pick(&[Priority::Low, Priority::Normal, Priority::Normal, Priority::High]),
        cast,
        broadcast,
        quick: false,
        key: (!broadcast && rng.percent(key_percent)).then(|| rng.pick(&KEYS)),
        streams,
        plan: if streaming { Plan::draw(!no_timeout, rng) } else { Plan::default() },
        made,
        made_world: context.now,
        body: padding(if rng.percent(2) { LARGE_BYTES } else { rng.below(20) }),
        extensions: Bytes::new(),
    }
}

/// Returns a call that must succeed in a world without faults.
pub(crate) fn quick_call(
    client: (usize, u64),
    made: Time,
    method: Method,
    key: Option<&'static str>,
    now: Time,
) -> CallSpec {
    CallSpec {
        client,
        method,
        effect: None,
        timeout: Some(AMPLE_TIMEOUT),
        wait_for_ready: false,
        priority: Priority::Normal,
        cast: false,
        broadcast: false,
        quick: true,
        key,
        streams: Streams { style: method.style, progress: true },
        plan: Plan::plain(),
        made,
        made_world: now,
        body: Bytes::new(),
        extensions: Bytes::new(),
    }
}

/// Returns the call with its number in its arguments, and sometimes in an extension too.
pub(crate) fn with_arguments(spec: CallSpec, number: u64) -> CallSpec {
    let arguments = (number, serde_bytes::Bytes::new(&spec.body));
    let body = body::encode(&arguments).expect("a pair has a CBOR form");
    // Key 100 with a small number, as it is encoded.
    let extension = [0x18, 100, u8::try_from(number % 24).expect("a remainder is small")];
    let extensions = if number.is_multiple_of(5) { Bytes::copy_from_slice(&extension) } else { Bytes::new() };
    CallSpec { body, extensions, ..spec }
}

/// Returns when the caller cancels the call, if it does.
pub(crate) fn cancel_at(number: u64, context: &mut Context) -> Option<Time> {
    let cast = context.ledger.spec(number).cast;
    let longest = context.config.timeout_max;
    (!cast && context.rng.percent(context.config.cancel_percent)).then(|| context.now + context.rng.span(longest))
}

fn padding(bytes: u64) -> Bytes {
    Bytes::from(vec![0x55; usize::try_from(bytes).expect("it is a small number")])
}
