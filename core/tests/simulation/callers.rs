//! What callers want: calls of all kinds.

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
    knobs::millis,
    ledger::Wish,
    scene::Scene,
    streams::Plan,
};

/// Enough time for a call in a world that has healed.
pub(crate) const PLENTY: Duration = Duration::from_secs(20);
/// The shortest time-out that somebody wants.
const TIMEOUT_MIN: Duration = millis(20);
/// Affinity keys: few, so that calls meet.
const KEYS: [&str; 5] = ["a", "b", "c", "d", "a rather long key"];
/// A body above this travels in a frame of its own.
const LARGE_BYTES: u64 = 30_000;

/// A call as chance wants it, still without arguments.
pub(crate) fn draw(client: (usize, u64), made: Time, scene: &mut Scene) -> Wish {
    let key_percent = scene.knobs.key_percent;
    let chance = &mut scene.chance;
    let streaming = chance.percent(scene.knobs.stream_percent);
    // Most calls are for what is served.
    let method = match () {
        () if streaming => chance.pick(&STREAMS),
        () if chance.percent(90) => METHODS[chance.place(6)],
        () => chance.pick(&METHODS),
    };
    let timeless = chance.percent(scene.knobs.timeless_percent);
    let patient = chance.percent(10);
    // Without a time-out, who waits for what no worker serves waits for ever.
    let timeless = timeless && (method.served || !patient);
    let longest = scene.knobs.timeout_max;
    let cast = !streaming && chance.percent(10);
    // Some callers are mistaken about a method.
    let style = if chance.percent(3) { chance.pick(&[Style::Unary, Style::Server, Style::Both]) } else { method.style };
    let broadcast =
        !streaming && style.is_unary() && !method.is_brokers() && chance.percent(scene.knobs.broadcast_percent);
    let streams = if cast || broadcast { Streams::NONE } else { streams(style, chance.percent(20)) };
    Wish {
        client,
        method,
        effect: chance.percent(10).then(|| chance.pick(&[Effect::Idempotent, Effect::Once])),
        timeout: (!timeless).then(|| chance.span_between(TIMEOUT_MIN, longest)),
        wait_for_ready: patient,
        priority: chance.pick(&[Priority::Low, Priority::Normal, Priority::Normal, Priority::High]),
        cast,
        broadcast,
        plain: false,
        key: (!broadcast && chance.percent(key_percent)).then(|| chance.pick(&KEYS)),
        streams,
        plan: if streaming { Plan::draw(!timeless, chance) } else { Plan::default() },
        made,
        made_world: scene.now,
        body: padding(if chance.percent(2) { LARGE_BYTES } else { chance.below(20) }),
        extensions: Bytes::new(),
    }
}

/// A call that must go well in a world where nothing goes wrong.
pub(crate) fn plain(client: (usize, u64), made: Time, method: Method, key: Option<&'static str>, now: Time) -> Wish {
    Wish {
        client,
        method,
        effect: None,
        timeout: Some(PLENTY),
        wait_for_ready: false,
        priority: Priority::Normal,
        cast: false,
        broadcast: false,
        plain: true,
        key,
        streams: streams(method.style, true),
        plan: Plan::plain(),
        made,
        made_world: now,
        body: Bytes::new(),
        extensions: Bytes::new(),
    }
}

/// The wish with its number in its arguments, and sometimes in an extension too.
pub(crate) fn with_arguments(wish: Wish, number: u64) -> Wish {
    let arguments = (number, serde_bytes::Bytes::new(&wish.body));
    let body = body::encode(&arguments).expect("a pair has a CBOR form");
    // Key 100 with a small number, as it is encoded.
    let extension = [0x18, 100, u8::try_from(number % 24).expect("it is small")];
    let extensions = if number.is_multiple_of(5) { Bytes::copy_from_slice(&extension) } else { Bytes::new() };
    Wish { body, extensions, ..wish }
}

/// When the caller of that call gives it up, if it does.
pub(crate) fn gives_up(number: u64, scene: &mut Scene) -> Option<Time> {
    let cast = scene.ledger.wish(number).cast;
    let longest = scene.knobs.timeout_max;
    (!cast && scene.chance.percent(scene.knobs.cancel_percent)).then(|| scene.now + scene.chance.span(longest))
}

/// The streams of a call of that style.
fn streams(style: Style, progress: bool) -> Streams {
    let to_caller = matches!(style, Style::Server | Style::Both);
    let from_caller = matches!(style, Style::Client | Style::Both);
    Streams { to_caller, from_caller, progress }
}

fn padding(bytes: u64) -> Bytes {
    Bytes::from(vec![0x55; usize::try_from(bytes).expect("it is a small number")])
}
