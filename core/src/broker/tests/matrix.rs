//! The outcome of a call for every effect, style and progress when its worker, its client or its broker is lost.
//!
//! `core/src/client/tests` covers the queue of the client, and replies lost between the connection and the program.

use bytes::Bytes;

use super::harness::{Harness, calc, request, seconds};
use crate::{
    broker::{Diagnostic, Event},
    wire::{
        Envelope,
        envelope::{Dispatch, Effect, Items, Request, RequestFlags, StreamCredit},
        handshake::{MethodOffer, Offer},
        ids::ConnectionId,
        item_batch::ItemBatch,
        status::{Code, Executed, Failure},
        streams::{ItemCredit, Streams, Style},
    },
};

const EFFECTS: [(Effect, &str); 3] = [(Effect::Read, "read"), (Effect::Idempotent, "push"), (Effect::Once, "pay")];
const STYLES: [Call; 5] =
    [Call::Awaited, Call::Cast, Call::Items(Style::Server), Call::Items(Style::Client), Call::Items(Style::Bidi)];
const POINTS: [Point; 5] = [Point::Queued, Point::Dispatched, Point::Running, Point::ItemIn, Point::ItemOut];

/// How a call is made. A callback and an awaited call look the same to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Awaited,
    Cast,
    Items(Style),
}

/// The progress of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// Its only worker is busy with another call.
    Queued,
    Dispatched,
    /// The worker has reported that its handler started.
    Running,
    /// An item was sent to its handler.
    ItemIn,
    /// An item was sent by its handler.
    ItemOut,
}

/// How a worker is lost.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Closed,
    Silent,
}

impl Call {
    fn streams(self) -> Streams {
        match self {
            Call::Awaited | Call::Cast => Streams::NONE,
            Call::Items(style) => Streams { style, progress: false },
        }
    }

    fn style(self) -> Style {
        match self {
            Call::Awaited | Call::Cast => Style::Unary,
            Call::Items(style) => style,
        }
    }

    fn reaches(self, point: Point) -> bool {
        match point {
            Point::Queued | Point::Dispatched | Point::Running => true,
            Point::ItemIn => self.streams().from_caller(),
            Point::ItemOut => self.streams().to_caller(),
        }
    }

    fn request(self, number: u64, effect: &str, resend: bool) -> Request {
        let flags = RequestFlags { cast: self == Call::Cast, resend, ..RequestFlags::default() };
        let method = format!("matrix.{}", name(effect, self.style()));
        Request { streams: self.streams(), flags, ..request(number, &method) }
    }
}

fn name(effect: &str, style: Style) -> String {
    format!("{effect}_{}", format!("{style:?}").to_lowercase())
}

/// An offer with a method for each effect and style.
fn matrix(slots: u32) -> Offer {
    let styles = [Style::Unary, Style::Server, Style::Client, Style::Bidi];
    let methods = EFFECTS.iter().flat_map(|&(effect, name)| {
        let like = calc(1).methods.remove(0);
        styles.map(|style| MethodOffer { name: self::name(name, style), effect, style, ..like.clone() })
    });
    Offer { service: "matrix".to_owned(), methods: methods.collect(), ..calc(slots) }
}

/// An open call with its client and its worker.
struct Scenario {
    harness: Harness,
    client: ConnectionId,
    worker: ConnectionId,
    /// The dispatch that the worker received, unless the call is still queued.
    dispatch: Option<Dispatch>,
}

impl Scenario {
    /// Creates a call with this progress.
    fn at(point: Point, call: Call, effect: &str) -> Scenario {
        let mut harness = Harness::new();
        let (worker, client) = (harness.worker(1, matrix(1)), harness.client(9));
        if point == Point::Queued {
            harness.call(client, 1, "matrix.read_unary");
        }
        harness.send(client, Envelope::Request(call.request(2, effect, false)));
        let dispatch = harness.dispatches(worker).pop().filter(|_| point != Point::Queued);
        let mut scenario = Scenario { harness, client, worker, dispatch };
        scenario.advance_to(point);
        scenario
    }

    fn advance_to(&mut self, point: Point) {
        let Scenario { harness, client, worker, dispatch } = self;
        let Some(dispatch) = dispatch else { return };
        let credit = |number| Envelope::StreamCredit(StreamCredit { number, credit: ItemCredit::WINDOW });
        let item = |number| {
            let batch = ItemBatch::one(Bytes::from_static(&[1]));
            Envelope::Items(Items { number, sequence: 0, latest: None, batch })
        };
        match point {
            Point::Queued | Point::Dispatched => {}
            Point::Running => harness.send(*worker, Envelope::Started(dispatch.number)),
            Point::ItemIn => {
                harness.send(*worker, credit(dispatch.number.0));
                harness.send(*client, item(2));
            }
            Point::ItemOut => {
                harness.send(*client, credit(2));
                harness.send(*worker, item(dispatch.number.0));
            }
        }
        harness.received(*client);
    }

    /// Loses the worker while another one is connected. Returns the dispatches of the call to the other worker.
    fn lose_worker(&mut self, loss: Loss) -> Vec<Dispatch> {
        let Scenario { harness, client, worker, .. } = self;
        let other = harness.worker(2, matrix(4));
        match loss {
            Loss::Closed => harness.handle(Event::Closed { connection: *worker }),
            Loss::Silent => harness.advance_with(seconds(10), &[other, *client]),
        }
        let dispatches = harness.dispatches(other);
        dispatches.into_iter().filter(|dispatch| dispatch.call.number.0 == 2).collect()
    }

    /// Takes the failure of the call, from its client or, for a cast, from the log.
    fn failure(&mut self, call: Call) -> Option<Failure> {
        if call == Call::Cast {
            return self.harness.diagnostics.drain(..).find_map(|diagnostic| match diagnostic {
                Diagnostic::CastFailed { failure, .. } => Some(*failure),
                _ => None,
            });
        }
        let mut replies = self.harness.replies(self.client).into_iter().filter(|&(number, _)| number == 2);
        let failure = replies.next().map(|(_, outcome)| outcome.unwrap_err());
        assert!(replies.next().is_none(), "the call ends once");
        failure
    }
}

/// Runs a check for every combination of effect, style and progress that exists.
fn for_each_case(mut check: impl FnMut(Effect, &str, Call, Point)) {
    for (effect, name) in EFFECTS {
        for call in STYLES {
            POINTS.into_iter().filter(|&point| call.reaches(point)).for_each(|point| {
                check(effect, name, call, point);
            });
        }
    }
}

#[test]
fn the_loss_of_a_worker_retries_or_fails_a_call_by_effect_style_and_progress() {
    for loss in [Loss::Closed, Loss::Silent] {
        for_each_case(|effect, name, call, point| {
            let what = format!("{name} {call:?} {point:?} {loss:?}");
            let mut scenario = Scenario::at(point, call, name);
            let again = scenario.lose_worker(loss);
            let failure = scenario.failure(call);
            let expected = match point {
                Point::Queued => Ok(1),
                Point::ItemIn => Err(Executed::Maybe),
                Point::ItemOut => Err(Executed::Yes),
                Point::Dispatched | Point::Running if effect == Effect::Once => Err(Executed::Maybe),
                Point::Dispatched | Point::Running => Ok(2),
            };
            match expected {
                Ok(attempt) => {
                    let attempts: Vec<_> = again.iter().map(|dispatch| dispatch.attempt).collect();
                    assert_eq!((attempts, failure), (vec![attempt], None), "{what}");
                }
                Err(executed) => {
                    let failure = failure.unwrap_or_else(|| panic!("{what}: the call must fail"));
                    assert_eq!((failure.code, failure.executed), (Code::Unavailable, executed), "{what}: {failure}");
                    assert!(again.is_empty(), "{what}");
                }
            }
        });
    }
}

#[test]
fn a_call_of_a_reconnected_client_is_answered_once_and_never_run_again() {
    for_each_case(|_, name, call, point| {
        // A client never resends a cast.
        if call == Call::Cast {
            return;
        }
        let what = format!("{name} {call:?} {point:?}");
        let mut scenario = Scenario::at(point, call, name);
        scenario.harness.handle(Event::Closed { connection: scenario.client });
        scenario.client = scenario.harness.reconnect_client(9, 2);
        scenario.harness.send(scenario.client, Envelope::Request(call.request(2, name, true)));
        let dispatches = scenario.harness.dispatches(scenario.worker);
        assert!(dispatches.is_empty(), "{what}: the call is at its worker or in the queue");
        let has_items = matches!(point, Point::ItemIn | Point::ItemOut);
        match scenario.failure(call) {
            Some(failure) => assert!(has_items && failure.code == Code::Unavailable, "{what}: {failure}"),
            None => assert!(!has_items, "{what}: items were lost, so the call must end"),
        }
    });
}

#[test]
fn a_reply_lost_with_its_connection_is_sent_again() {
    for (_, name) in EFFECTS {
        let mut scenario = Scenario::at(Point::Running, Call::Awaited, name);
        let dispatch = scenario.dispatch.take().unwrap();
        scenario.harness.reply(scenario.worker, &dispatch, &[7]);
        scenario.harness.handle(Event::Closed { connection: scenario.client });
        let back = scenario.harness.reconnect_client(9, 2);
        scenario.harness.send(back, Envelope::Request(Call::Awaited.request(2, name, true)));
        assert_eq!(scenario.harness.replies(back), [(2, Ok(Bytes::from_static(&[7])))]);
        assert!(scenario.harness.dispatches(scenario.worker).is_empty(), "{name} is not run again");
    }
}

#[test]
fn a_resend_to_a_restarted_broker_runs_only_if_it_is_not_once() {
    for (effect, name) in EFFECTS {
        for call in STYLES.into_iter().filter(|&call| call != Call::Cast) {
            let mut harness = Harness::new();
            let worker = harness.worker(1, matrix(1));
            let client = harness.reconnect_client(9, 2);
            harness.send(client, Envelope::Request(call.request(2, name, true)));
            let runs = harness.dispatches(worker).len();
            assert_eq!(runs, usize::from(effect != Effect::Once), "{name} {call:?}");
            if effect == Effect::Once {
                let failure = harness.failure(client);
                assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe), "{name} {call:?}");
            }
        }
    }
}
