//! Properties that hold for any order of events: each dispatch has one final message on its connection, no slot is lost, and
//! the socket actions match its state.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::peer::simulated_broker::goodbye;

/// An event, whether or not it fits the state.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Disconnected(u32),
    /// A whole handshake, if a socket exists.
    Join(u8),
    Dispatch {
        text: bool,
        timeout: Option<u64>,
    },
    Cancel(u64),
    Goodbye(Option<Code>),
    /// The handler that started first, or another one, ends.
    End {
        which: usize,
        finished: bool,
    },
    Shutdown(u64),
    Malformed(Vec<u8>),
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
        5 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Malformed),
    ]
}

/// A driver and broker that check each action of the worker.
struct StrictDriver {
    harness: Harness,
    /// Dispatches of this connection without a final message.
    open: BTreeSet<u64>,
    next: u64,
    /// The running handlers, and those that were asked to stop.
    running: Vec<JobId>,
    stopped: BTreeSet<JobId>,
    socket: bool,
    dropped: bool,
    ended: bool,
}

impl StrictDriver {
    fn new(shared: Option<u32>) -> StrictDriver {
        let (open, stopped) = (BTreeSet::new(), BTreeSet::new());
        let harness = Harness::sharing(2, 1, shared, 1);
        StrictDriver {
            harness,
            open,
            next: 1,
            running: Vec::new(),
            stopped,
            socket: false,
            dropped: false,
            ended: false,
        }
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
                    assert!(self.socket && !self.dropped, "only an existing socket is dropped");
                    self.dropped = true;
                }
                Action::Send(envelope) => self.check_message(&envelope),
                Action::Run(job) => self.running.push(job.id),
                Action::Stop(id) => {
                    assert!(self.running.contains(&id) && self.stopped.insert(id), "a running handler is stopped once");
                }
                Action::ShutdownComplete => assert!(!std::mem::replace(&mut self.ended, true), "a worker ends once"),
                Action::QueryStarted(id) => {
                    assert!(self.running.contains(&id), "only a running handler is queried");
                    if id.dispatch.0.is_multiple_of(2) {
                        self.event(Event::Started { job: id });
                    }
                }
                Action::Drain | Action::Rejected(_) | Action::Log(_) => {}
                Action::StreamCredit { .. } | Action::Items { .. } | Action::End { .. } => {
                    unreachable!("no call has streams")
                }
            }
        }
        assert_eq!(
            self.harness.worker.running_len(),
            self.running.len(),
            "the running calls were started and have not ended"
        );
    }

    fn check_message(&mut self, envelope: &Envelope) {
        assert!(self.socket && !self.dropped, "messages are sent only on an existing socket");
        let number = match envelope {
            Envelope::Reply(reply) => reply.number,
            Envelope::Handback(number) => number.0,
            _ => return,
        };
        assert!(self.open.remove(&number), "a dispatch has one final message, on its own connection");
    }

    fn event(&mut self, event: Event) {
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
            Step::Disconnected(chance) => self.disconnected(chance),
            Step::Join(start) => {
                self.event(Event::Connected { nonce: Nonce([9; 32]), channel: None });
                self.receive(&[Envelope::Challenge(Bytes::new()), welcome(start, 0, 0)]);
            }
            Step::Dispatch { text, timeout } => {
                let method = if text { "text.reverse" } else { "calculator.add" };
                if self.harness.worker.is_connected() {
                    self.open.insert(self.next);
                }
                self.receive(&[dispatch(self.next, method, timeout.map(ms))]);
                self.next += 1;
            }
            Step::Cancel(back) => self.receive(&[cancel(self.next.saturating_sub(back))]),
            Step::Goodbye(code) => self.receive(&[code.map_or(Envelope::Goodbye(None), goodbye)]),
            Step::End { which, finished } => self.end(which, finished),
            Step::Shutdown(span) => self.event(Event::Shutdown { deadline: self.harness.now + ms(span) }),
            Step::Malformed(bytes) => {
                let mut out = Vec::new();
                self.harness.worker.handle_message(self.harness.now, &[bytes.into()], &mut out);
                self.harness.worker.assert_invariants();
                self.take(out);
            }
        }
    }

    fn end(&mut self, which: usize, finished: bool) {
        if which < self.running.len() {
            let job = self.running.remove(which);
            self.event(if finished {
                Event::Finished { job, outcome: result(), handler_time: None }
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
        let end = self.harness.now + span;
        while let Some(due) = self.harness.worker.poll_timeout().filter(|&due| due <= end) {
            self.harness.now = self.harness.now.max(due);
            self.event(Event::Timeout);
            assert!(
                self.harness.worker.poll_timeout().is_none_or(|next| next > self.harness.now),
                "a timeout handles everything that is due"
            );
        }
        self.harness.now = end;
    }
}

proptest! {
    #[test]
    fn each_dispatch_has_one_final_message_and_a_shutdown_completes(
        shared in prop::option::of(1..5u32),
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut driver = StrictDriver::new(shared);
        for step in steps {
            driver.step(step);
        }
        while !driver.running.is_empty() {
            driver.end(0, true);
        }
        if driver.harness.worker.is_connected() {
            prop_assert!(driver.open.is_empty(), "every dispatch was answered: {:?}", driver.open);
        }
        driver.event(Event::Shutdown { deadline: driver.harness.now + ms(1_000) });
        driver.pass(ms(10_000));
        prop_assert!(driver.ended);
        prop_assert_eq!(driver.harness.worker.poll_timeout(), None);
    }
}
