//! Properties that hold for any order of events: each token is returned exactly once, and the socket actions match its state.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    peer::simulated_broker::goodbye,
    wire::envelope::{Credit, Effect},
};

/// An event, whether or not it fits the state.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Connected,
    Disconnected(u32),
    /// A whole handshake, if a socket exists.
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
    Malformed(Vec<u8>),
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
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Malformed),
    ]
}

/// A driver that checks each action of the client.
struct StrictDriver {
    harness: Harness,
    made: u64,
    returned: BTreeSet<u64>,
    socket: bool,
    dropped: bool,
    closed: bool,
}

impl StrictDriver {
    fn new() -> StrictDriver {
        let harness = Harness::new();
        StrictDriver { harness, made: 0, returned: BTreeSet::new(), socket: false, dropped: false, closed: false }
    }

    fn take(&mut self, actions: Vec<Action<u64>>) {
        for action in actions {
            match action {
                Action::Connect => {
                    assert!(!self.socket, "one socket at a time");
                    (self.socket, self.dropped) = (true, false);
                }
                Action::Disconnect => {
                    assert!(self.socket && !self.dropped, "only an existing socket is dropped");
                    self.dropped = true;
                }
                Action::Send(_) => {
                    assert!(self.socket && !self.dropped, "messages are sent only on an existing socket")
                }
                Action::Complete { token, .. } | Action::Release { token } => {
                    assert!(token < self.made && self.returned.insert(token), "a token is returned once");
                }
                Action::Closed => assert!(!std::mem::replace(&mut self.closed, true), "a client is closed once"),
                Action::Rejected(_) | Action::Log(_) => {}
                Action::StreamCredit { .. } | Action::Items { .. } | Action::Progress { .. } => {
                    unreachable!("no call has streams")
                }
            }
        }
    }

    fn event(&mut self, event: Event<u64>) {
        let actions = self.harness.event(event);
        self.take(actions);
    }

    fn receive(&mut self, envelopes: &[Envelope]) {
        if self.socket {
            let actions = self.harness.receive(envelopes);
            self.take(actions);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass(span) => self.pass(ms(span)),
            Step::Connected => self.event(Event::Connected { nonce: Nonce([9; 32]), channel: None }),
            Step::Disconnected(chance) => self.disconnected(chance),
            Step::Join(start) => {
                self.event(Event::Connected { nonce: Nonce([9; 32]), channel: None });
                self.receive(&[Envelope::Challenge(Bytes::new()), welcome(start, 4, 200)]);
            }
            Step::Reply(number) => self.receive(&[reply(number, result())]),
            Step::Credit(calls) => self.receive(&[Envelope::Credit(Credit { calls, bytes: 100, offer: 0 })]),
            Step::Goodbye(code) => self.receive(&[code.map_or(Envelope::Goodbye(None), goodbye)]),
            Step::Call { timeout, once, cast, bytes } => {
                let timeout = timeout.map(|span| Timeout { span: ms(span), source: TimeoutSource::Call });
                let effect = once.then_some(Effect::Once);
                let call =
                    NewCall { timeout, effect, cast, body: vec![0; bytes].into(), ..new(self.made, self.harness.now) };
                self.made += 1;
                self.event(Event::Call(call));
            }
            Step::Cancel(name) => self.event(Event::Cancel(Ticket(name))),
            Step::Malformed(bytes) => {
                let mut out = Vec::new();
                self.harness.client.handle_message(self.harness.now, &[bytes.into()], &mut out);
                self.harness.client.assert_invariants();
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
        let end = self.harness.now + span;
        while let Some(due) = self.harness.client.poll_timeout().filter(|&due| due <= end) {
            self.harness.now = self.harness.now.max(due);
            self.event(Event::Timeout);
            assert!(
                self.harness.client.poll_timeout().is_none_or(|next| next > self.harness.now),
                "a timeout handles everything that is due"
            );
        }
        self.harness.now = end;
    }
}

proptest! {
    #[test]
    fn each_token_is_returned_exactly_once_after_any_events(steps in prop::collection::vec(step(), 0..120)) {
        let mut driver = StrictDriver::new();
        for step in steps {
            driver.step(step);
        }
        let deadline = driver.harness.now + ms(1_000);
        driver.event(Event::Close { deadline });
        driver.pass(ms(1_000));
        prop_assert!(driver.closed, "a close ends at its deadline");
        prop_assert_eq!(driver.returned.len() as u64, driver.made);
        driver.disconnected(0);
        prop_assert_eq!(driver.harness.client.poll_timeout(), None);
    }
}
