//! What holds whatever happens, in whatever order: each token comes back exactly once, and the socket is used as
//! promised.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    peer::simulated_broker::goodbye,
    wire::envelope::{Credit, Effect},
};

/// What may happen, sensible or not.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Connected,
    Disconnected(u32),
    /// A whole handshake, if a socket is there.
    Join(u8),
    Reply(u64),
    Credit(u32),
    Goodbye(Option<Code>),
    Call {
        timeout: Option<u64>,
        once: bool,
        cast: bool,
        bytes: usize,
    },
    Cancel(u64),
    Nonsense(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let code = prop_oneof![Just(None), Just(Some(Code::Unavailable)), Just(Some(Code::Internal))];
    prop_oneof![
        4 => (0..2_000u64).prop_map(Step::Pass),
        1 => Just(Step::Connected),
        1 => any::<u32>().prop_map(Step::Disconnected),
        4 => (1..3u8).prop_map(Step::Join),
        6 => (0..20u64).prop_map(Step::Reply),
        3 => (0..3u32).prop_map(Step::Credit),
        1 => code.prop_map(Step::Goodbye),
        8 => (prop::option::of(0..3_000u64), any::<bool>(), any::<bool>(), 0..60usize)
            .prop_map(|(timeout, once, cast, bytes)| Step::Call { timeout, once, cast, bytes }),
        2 => (0..20u64).prop_map(Step::Cancel),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Nonsense),
    ]
}

/// A driver that believes nothing.
struct Skeptic {
    stage: Stage,
    made: u64,
    back: BTreeSet<u64>,
    socket: bool,
    dropped: bool,
    closed: bool,
}

impl Skeptic {
    fn new() -> Skeptic {
        let stage = Stage::new();
        Skeptic { stage, made: 0, back: BTreeSet::new(), socket: false, dropped: false, closed: false }
    }

    fn take(&mut self, actions: Vec<Action<u64>>) {
        for action in actions {
            match action {
                Action::Connect => {
                    assert!(!self.socket, "one socket at a time");
                    (self.socket, self.dropped) = (true, false);
                }
                Action::Disconnect => {
                    assert!(self.socket && !self.dropped, "only a socket that is there is dropped");
                    self.dropped = true;
                }
                Action::Send(_) => assert!(self.socket && !self.dropped, "nothing is sent into nowhere"),
                Action::Complete { token, .. } | Action::Release { token } => {
                    assert!(token < self.made && self.back.insert(token), "a token comes back once");
                }
                Action::Closed => assert!(!std::mem::replace(&mut self.closed, true), "closed once"),
                Action::Rejected(_) | Action::Log(_) => {}
                Action::StreamCredit { .. } | Action::Item { .. } | Action::Progress { .. } => {
                    unreachable!("no call has streams")
                }
            }
        }
    }

    fn event(&mut self, event: Event<u64>) {
        let actions = self.stage.event(event);
        self.take(actions);
    }

    fn hear(&mut self, envelopes: &[Envelope]) {
        if self.socket {
            let actions = self.stage.hear(envelopes);
            self.take(actions);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass(span) => self.pass(ms(span)),
            Step::Connected => self.event(Event::Connected { nonce: Nonce([9; 32]) }),
            Step::Disconnected(chance) => self.disconnected(chance),
            Step::Join(start) => {
                self.event(Event::Connected { nonce: Nonce([9; 32]) });
                self.hear(&[Envelope::Challenge(Bytes::new()), welcome(start, 4, 200)]);
            }
            Step::Reply(number) => self.hear(&[reply(number, five())]),
            Step::Credit(calls) => self.hear(&[Envelope::Credit(Credit { calls, bytes: 100, offer: 0 })]),
            Step::Goodbye(code) => self.hear(&[code.map_or(Envelope::Goodbye(None), goodbye)]),
            Step::Call { timeout, once, cast, bytes } => {
                let timeout = timeout.map(|span| Timeout { span: ms(span), source: TimeoutSource::Call });
                let effect = once.then_some(Effect::Once);
                let call =
                    NewCall { timeout, effect, cast, body: vec![0; bytes].into(), ..new(self.made, self.stage.now) };
                self.made += 1;
                self.event(Event::Call(call));
            }
            Step::Cancel(name) => self.event(Event::Cancel(Ticket(name))),
            Step::Nonsense(bytes) => {
                let mut out = Vec::new();
                self.stage.client.handle_message(self.stage.now, &[bytes.into()], &mut out);
                self.stage.client.assert_invariants();
                self.take(out);
            }
        }
    }

    fn disconnected(&mut self, chance: u32) {
        if std::mem::replace(&mut self.socket, false) {
            self.event(Event::Disconnected { chance });
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.stage.now + span;
        while let Some(due) = self.stage.client.poll_timeout().filter(|&due| due <= end) {
            self.stage.now = self.stage.now.max(due);
            self.event(Event::Timeout);
            assert!(
                self.stage.client.poll_timeout().is_none_or(|next| next > self.stage.now),
                "a wake does all that is due"
            );
        }
        self.stage.now = end;
    }
}

proptest! {
    #[test]
    fn each_token_comes_back_exactly_once_whatever_happens(steps in prop::collection::vec(step(), 0..120)) {
        let mut skeptic = Skeptic::new();
        for step in steps {
            skeptic.step(step);
        }
        let deadline = skeptic.stage.now + ms(1_000);
        skeptic.event(Event::Close { deadline });
        skeptic.pass(ms(1_000));
        prop_assert!(skeptic.closed, "a close ends at its deadline");
        prop_assert_eq!(skeptic.back.len() as u64, skeptic.made);
        skeptic.disconnected(0);
        prop_assert_eq!(skeptic.stage.client.poll_timeout(), None);
    }
}
