//! What holds whatever happens, in whatever order: each dispatch gets one last word on its connection, no slot is lost,
//! and the socket is used as promised.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::peer::simulated_broker::goodbye;

/// What may happen, sensible or not.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Disconnected(u32),
    /// A whole handshake, if a socket is there.
    Join(u8),
    Dispatch {
        text: bool,
        timeout: Option<u64>,
    },
    Cancel(u64),
    Goodbye(Option<Code>),
    /// The handler that began longest ago, or another one, ends.
    End {
        which: usize,
        finished: bool,
    },
    Shutdown(u64),
    Nonsense(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let code = prop_oneof![Just(None), Just(Some(Code::Unavailable)), Just(Some(Code::Internal))];
    prop_oneof![
        40 => (0..200u64).prop_map(Step::Pass),
        10 => any::<u32>().prop_map(Step::Disconnected),
        40 => (1..3u8).prop_map(Step::Join),
        90 => (any::<bool>(), prop::option::of(0..300u64)).prop_map(|(text, timeout)| Step::Dispatch { text, timeout }),
        20 => (0..20u64).prop_map(Step::Cancel),
        5 => code.prop_map(Step::Goodbye),
        60 => (0..4usize, any::<bool>()).prop_map(|(which, finished)| Step::End { which, finished }),
        1 => (0..500u64).prop_map(Step::Shutdown),
        5 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Nonsense),
    ]
}

/// A driver and broker that believe nothing.
struct Skeptic {
    stage: Stage,
    /// Dispatches of this connection without a last word.
    open: BTreeSet<u64>,
    next: u64,
    /// Handlers that run, and those that were told to stop.
    running: Vec<JobId>,
    stopped: BTreeSet<JobId>,
    socket: bool,
    dropped: bool,
    left: bool,
}

impl Skeptic {
    fn new() -> Skeptic {
        let (open, stopped) = (BTreeSet::new(), BTreeSet::new());
        let stage = Stage::new(2, 1);
        Skeptic { stage, open, next: 1, running: Vec::new(), stopped, socket: false, dropped: false, left: false }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect => {
                    assert!(!self.socket, "one socket at a time");
                    (self.socket, self.dropped) = (true, false);
                    self.open.clear();
                }
                Action::Disconnect => {
                    assert!(self.socket && !self.dropped, "only a socket that is there is dropped");
                    self.dropped = true;
                }
                Action::Send(envelope) => self.hears(&envelope),
                Action::Run(job) => self.running.push(job.id),
                Action::Stop(id) => {
                    assert!(self.running.contains(&id) && self.stopped.insert(id), "a handler that runs is told once");
                }
                Action::ShutdownComplete => assert!(!std::mem::replace(&mut self.left, true), "left once"),
                Action::QueryStarted(id) => {
                    assert!(self.running.contains(&id), "only a handler that runs is looked at");
                    if id.dispatch.0.is_multiple_of(2) {
                        self.event(Event::Started { job: id });
                    }
                }
                Action::Rejected(_) | Action::Log(_) => {}
                Action::StreamCredit { .. } | Action::Item { .. } | Action::End { .. } => {
                    unreachable!("no call has streams")
                }
            }
        }
        assert_eq!(
            self.stage.worker.running_len(),
            self.running.len(),
            "what runs is what was started and has not ended"
        );
    }

    fn hears(&mut self, envelope: &Envelope) {
        assert!(self.socket && !self.dropped, "nothing is sent into nowhere");
        let last_word = match envelope {
            Envelope::Reply(reply) => reply.number,
            Envelope::Handback(number) => number.0,
            _ => return,
        };
        assert!(self.open.remove(&last_word), "a dispatch gets one last word, on its own connection");
    }

    fn event(&mut self, event: Event) {
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
            Step::Disconnected(chance) => self.disconnected(chance),
            Step::Join(start) => {
                self.event(Event::Connected { nonce: Nonce([9; 32]) });
                self.hear(&[Envelope::Challenge(Bytes::new()), welcome(start, 0, 0)]);
            }
            Step::Dispatch { text, timeout } => {
                let method = if text { "text.reverse" } else { "calculator.add" };
                if self.stage.worker.is_connected() {
                    self.open.insert(self.next);
                }
                self.hear(&[dispatch(self.next, method, timeout.map(ms))]);
                self.next += 1;
            }
            Step::Cancel(back) => self.hear(&[cancel(self.next.saturating_sub(back))]),
            Step::Goodbye(code) => self.hear(&[code.map_or(Envelope::Goodbye(None), goodbye)]),
            Step::End { which, finished } => self.end(which, finished),
            Step::Shutdown(span) => self.event(Event::Shutdown { deadline: self.stage.now + ms(span) }),
            Step::Nonsense(bytes) => {
                let mut out = Vec::new();
                self.stage.worker.handle_message(self.stage.now, &[bytes.into()], &mut out);
                self.stage.worker.assert_invariants();
                self.take(out);
            }
        }
    }

    fn end(&mut self, which: usize, finished: bool) {
        if which < self.running.len() {
            let job = self.running.remove(which);
            self.event(if finished {
                Event::Finished { job, outcome: five() }
            } else {
                Event::Stopped { job, started: which == 0 }
            });
        }
    }

    fn disconnected(&mut self, chance: u32) {
        if std::mem::replace(&mut self.socket, false) {
            self.event(Event::Disconnected { chance });
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.stage.now + span;
        while let Some(due) = self.stage.worker.poll_timeout().filter(|&due| due <= end) {
            self.stage.now = self.stage.now.max(due);
            self.event(Event::Timeout);
            assert!(
                self.stage.worker.poll_timeout().is_none_or(|next| next > self.stage.now),
                "a wake does all that is due"
            );
        }
        self.stage.now = end;
    }
}

proptest! {
    #[test]
    fn each_dispatch_gets_one_last_word_and_a_shutdown_ends(steps in prop::collection::vec(step(), 0..150)) {
        let mut skeptic = Skeptic::new();
        for step in steps {
            skeptic.step(step);
        }
        while !skeptic.running.is_empty() {
            skeptic.end(0, true);
        }
        if skeptic.stage.worker.is_connected() {
            prop_assert!(skeptic.open.is_empty(), "all that came was answered: {:?}", skeptic.open);
        }
        skeptic.event(Event::Shutdown { deadline: skeptic.stage.now + ms(1_000) });
        skeptic.pass(ms(10_000));
        prop_assert!(skeptic.left);
        prop_assert_eq!(skeptic.stage.worker.poll_timeout(), None);
    }
}
