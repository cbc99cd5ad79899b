//! What becomes of a call: every effect, in every style, at every point where its worker, its client or its broker can be lost.
//!
//! The client's own queue and the loss of a reply between program and connection are the client machine's: `core/src/client/tests`.

use bytes::Bytes;

use super::stage::{Stage, calc, request, seconds};
use crate::{
    broker::{Diagnostic, Event},
    wire::{
        Envelope,
        envelope::{Dispatch, Effect, Item, Request, RequestFlags, StreamCredit},
        handshake::{MethodOffer, Offer},
        ids::ConnectionId,
        status::{Code, Executed, Failure},
        streams::{ItemCredit, Streams, Style},
    },
};

const EFFECTS: [(Effect, &str); 3] = [(Effect::Read, "read"), (Effect::Idempotent, "push"), (Effect::Once, "pay")];
const STYLES: [Call; 5] =
    [Call::Awaited, Call::Cast, Call::Items(Style::Server), Call::Items(Style::Client), Call::Items(Style::Both)];
const POINTS: [Point; 5] = [Point::Queued, Point::Dispatched, Point::Running, Point::ItemIn, Point::ItemOut];

/// How a call is made. Whether a callback runs or somebody awaits is the client's business: the broker sees no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Awaited,
    Cast,
    Items(Style),
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// Its only worker is busy with another.
    Queued,
    Dispatched,
    /// The worker has said that its handler began.
    Running,
    /// An item went to its handler.
    ItemIn,
    /// An item came from its handler.
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
            Call::Items(style) => Streams {
                to_caller: matches!(style, Style::Server | Style::Both),
                from_caller: matches!(style, Style::Client | Style::Both),
                progress: false,
            },
        }
    }

    fn style(self) -> Style {
        match self {
            Call::Awaited | Call::Cast => Style::Unary,
            Call::Items(style) => style,
        }
    }

    fn comes_to(self, point: Point) -> bool {
        match point {
            Point::Queued | Point::Dispatched | Point::Running => true,
            Point::ItemIn => self.streams().from_caller,
            Point::ItemOut => self.streams().to_caller,
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

/// A method for each effect and style.
fn matrix(slots: u32) -> Offer {
    let styles = [Style::Unary, Style::Server, Style::Client, Style::Both];
    let methods = EFFECTS.iter().flat_map(|&(effect, name)| {
        let like = calc(1).methods.remove(0);
        styles.map(|style| MethodOffer { name: self::name(name, style), effect, style, ..like.clone() })
    });
    Offer { service: "matrix".to_owned(), methods: methods.collect(), ..calc(slots) }
}

/// A call on its way.
struct Scene {
    stage: Stage,
    client: ConnectionId,
    worker: ConnectionId,
    /// What its worker has of it, once it was sent there.
    dispatch: Option<Dispatch>,
}

impl Scene {
    /// A call that has come so far.
    fn at(point: Point, call: Call, effect: &str) -> Scene {
        let mut stage = Stage::new();
        let (worker, client) = (stage.worker(1, matrix(1)), stage.client(9));
        if point == Point::Queued {
            stage.call(client, 1, "matrix.read_unary");
        }
        stage.say(client, Envelope::Request(call.request(2, effect, false)));
        let dispatch = stage.dispatches(worker).pop().filter(|_| point != Point::Queued);
        let mut scene = Scene { stage, client, worker, dispatch };
        scene.come_to(point);
        scene
    }

    fn come_to(&mut self, point: Point) {
        let Scene { stage, client, worker, dispatch } = self;
        let Some(dispatch) = dispatch else { return };
        let credit = |number| Envelope::StreamCredit(StreamCredit { number, credit: ItemCredit::WINDOW });
        let item = |number| {
            let body = Bytes::from_static(&[1]);
            Envelope::Item(Item { number, sequence: 0, latest: None, body })
        };
        match point {
            Point::Queued | Point::Dispatched => {}
            Point::Running => stage.say(*worker, Envelope::Started(dispatch.number)),
            Point::ItemIn => {
                stage.say(*worker, credit(dispatch.number.0));
                stage.say(*client, item(2));
            }
            Point::ItemOut => {
                stage.say(*client, credit(2));
                stage.say(*worker, item(dispatch.number.0));
            }
        }
        stage.heard(*client);
    }

    /// Its worker is lost, while another one is there. Returns what that one is given of it.
    fn lose_worker(&mut self, loss: Loss) -> Vec<Dispatch> {
        let Scene { stage, client, worker, .. } = self;
        let other = stage.worker(2, matrix(4));
        match loss {
            Loss::Closed => stage.handle(Event::Closed { connection: *worker }),
            Loss::Silent => stage.pass_with(seconds(10), &[other, *client]),
        }
        let dispatches = stage.dispatches(other);
        dispatches.into_iter().filter(|dispatch| dispatch.call.number.0 == 2).collect()
    }

    /// How the call failed, as its client or, of a cast, the log was told.
    fn failure(&mut self, call: Call) -> Option<Failure> {
        if call == Call::Cast {
            return self.stage.notes.drain(..).find_map(|note| match note {
                Diagnostic::CastFailed { failure, .. } => Some(*failure),
                _ => None,
            });
        }
        let mut replies = self.stage.replies(self.client).into_iter().filter(|&(number, _)| number == 2);
        let failure = replies.next().map(|(_, outcome)| outcome.unwrap_err());
        assert!(replies.next().is_none(), "it ends once");
        failure
    }
}

/// Everything that can be, as it is called in a failing test.
fn each(mut check: impl FnMut(Effect, &str, Call, Point)) {
    for (effect, name) in EFFECTS {
        for call in STYLES {
            POINTS.into_iter().filter(|&point| call.comes_to(point)).for_each(|point| {
                check(effect, name, call, point);
            });
        }
    }
}

#[test]
fn when_a_worker_is_lost_its_calls_go_on_or_end_by_effect_style_and_how_far_they_came() {
    for loss in [Loss::Closed, Loss::Silent] {
        each(|effect, name, call, point| {
            let what = format!("{name} {call:?} {point:?} {loss:?}");
            let mut scene = Scene::at(point, call, name);
            let again = scene.lose_worker(loss);
            let failure = scene.failure(call);
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
                    let failure = failure.unwrap_or_else(|| panic!("{what}: it ends"));
                    assert_eq!((failure.code, failure.executed), (Code::Unavailable, executed), "{what}: {failure}");
                    assert!(again.is_empty(), "{what}");
                }
            }
        });
    }
}

#[test]
fn when_a_client_is_lost_and_back_its_call_is_answered_once_and_never_run_again() {
    each(|_, name, call, point| {
        // Nobody sends a cast again.
        if call == Call::Cast {
            return;
        }
        let what = format!("{name} {call:?} {point:?}");
        let mut scene = Scene::at(point, call, name);
        scene.stage.handle(Event::Closed { connection: scene.client });
        scene.client = scene.stage.client_again(9, 2);
        scene.stage.say(scene.client, Envelope::Request(call.request(2, name, true)));
        let dispatches = scene.stage.dispatches(scene.worker);
        assert!(dispatches.is_empty(), "{what}: it is at its worker already, or waits");
        let touched = matches!(point, Point::ItemIn | Point::ItemOut);
        match scene.failure(call) {
            Some(failure) => assert!(touched && failure.code == Code::Unavailable, "{what}: {failure}"),
            None => assert!(!touched, "{what}: its items are lost, so it must end"),
        }
    });
}

#[test]
fn an_answer_that_was_lost_with_its_connection_is_told_again() {
    for (_, name) in EFFECTS {
        let mut scene = Scene::at(Point::Running, Call::Awaited, name);
        let dispatch = scene.dispatch.take().unwrap();
        scene.stage.answer(scene.worker, &dispatch, &[7]);
        scene.stage.handle(Event::Closed { connection: scene.client });
        let back = scene.stage.client_again(9, 2);
        scene.stage.say(back, Envelope::Request(Call::Awaited.request(2, name, true)));
        assert_eq!(scene.stage.replies(back), [(2, Ok(Bytes::from_static(&[7])))]);
        assert!(scene.stage.dispatches(scene.worker).is_empty(), "{name} is not run again");
    }
}

#[test]
fn a_call_that_comes_again_to_a_broker_that_was_started_anew_runs_only_if_it_may() {
    for (effect, name) in EFFECTS {
        for call in STYLES.into_iter().filter(|&call| call != Call::Cast) {
            let mut stage = Stage::new();
            let worker = stage.worker(1, matrix(1));
            let client = stage.client_again(9, 2);
            stage.say(client, Envelope::Request(call.request(2, name, true)));
            let runs = stage.dispatches(worker).len();
            assert_eq!(runs, usize::from(effect != Effect::Once), "{name} {call:?}");
            if effect == Effect::Once {
                let failure = stage.failure(client);
                assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Maybe), "{name} {call:?}");
            }
        }
    }
}
