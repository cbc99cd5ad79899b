//! A client process: its machine, its driver, and its callers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    body,
    broker::Endpoint,
    client::{Action, Client, Event, NewCall, Ticket, Timeout, TimeoutSource},
    peer::Settings,
    time::Time,
    wire::{
        Envelope,
        affinity::AffinityKey,
        ids::{CallId, SessionId},
        limits::{BROADCAST_GRACE, EXPIRY_GRACE_MAX},
        method::MethodName,
        status::{Code, Failure},
    },
};

use super::{
    config::millis,
    context::Context,
    network::Host,
    process::Process,
    socket::{Input, Socket},
    streams::{Progress, StreamEndpoint},
    workload,
};

/// How long a closing client waits for the broker.
const CLOSE_MAX: Duration = millis(1_500);
/// The maximum open calls of one client: a driver bounds its queue, and the checks take time for each call.
const UNRESOLVED_MAX: usize = 60;

/// One incarnation of a client.
#[derive(Debug)]
pub(crate) struct ClientHost {
    host: Host,
    /// Its index and its incarnation, which identify it in the ledger.
    pub(crate) key: (usize, u64),
    session: SessionId,
    name: String,
    pub(crate) process: Process,
    pub(crate) machine: Client<u64>,
    pub(crate) socket: Socket,
    /// When the next call is made.
    next_call: Time,
    /// When each call is cancelled.
    cancels: BTreeSet<(Time, u64)>,
    /// Events of the callers that the machine has not handled yet.
    pending: Vec<Event<u64>>,
    /// The streams of calls that have not ended.
    streams: BTreeMap<u64, StreamEndpoint>,
    pub(crate) closing: bool,
    pub(crate) closed: bool,
}

impl ClientHost {
    pub(crate) fn new(index: usize, incarnation: u64, context: &mut Context) -> ClientHost {
        let session = SessionId(context.rng.bytes());
        let name = format!("client-{index}.{incarnation}");
        context.keys.client_started(&name, session.prefix());
        let heartbeat = context.config.heartbeat_peer;
        let key = context.peers.key(Host::Client(index));
        let settings = Settings { heartbeat, instance: name.clone(), key, ..Settings::new(session) };
        let ahead = Duration::from_micros(context.rng.below(1 << 40));
        let first = context.rng.span(context.config.call_every);
        ClientHost {
            host: Host::Client(index),
            key: (index, incarnation),
            session,
            name,
            process: Process::new(context.now, ahead),
            machine: Client::new(settings),
            socket: Socket::new(Host::Client(index), Endpoint::Frontend),
            next_call: context.now + first,
            cancels: BTreeSet::new(),
            pending: Vec::new(),
            streams: BTreeMap::new(),
            closing: false,
            closed: false,
        }
    }

    /// Returns when the machine runs next.
    pub(crate) fn due(&self) -> Option<Time> {
        self.process.due(self.machine.poll_timeout())
    }

    /// Returns when its callers act next.
    pub(crate) fn workload_due(&self, context: &Context) -> Option<Time> {
        let call = Some(self.next_call).filter(|_| !context.healing && !self.closing);
        let cancel = self.cancels.first().map(|&(at, _)| at);
        let read = self.streams.values().filter_map(StreamEndpoint::read_due).min();
        let due = [call, cancel, read].into_iter().flatten().min()?;
        Some(if self.process.is_paused(context.now) { due.max(self.process.resumed) } else { due })
    }

    /// Makes calls, cancels some, and reads items.
    pub(crate) fn run_workload(&mut self, context: &mut Context) {
        let credit = |(&number, stream): (&u64, &mut StreamEndpoint)| Some((number, stream.read(context.now)?));
        let read: Vec<_> = self.streams.iter_mut().filter_map(credit).collect();
        for (number, credit) in read {
            self.submit(Event::Read { ticket: Ticket(number), credit }, context);
        }
        while let Some(&(at, number)) = self.cancels.first().filter(|(at, _)| *at <= context.now) {
            self.cancels.remove(&(at, number));
            context.ledger.cancel(number);
            self.submit(Event::Cancel(Ticket(number)), context);
        }
        if self.next_call <= context.now && !context.healing && !self.closing {
            let free = UNRESOLVED_MAX.saturating_sub(self.unresolved(context)) as u64;
            for _ in 0..(1 + context.rng.below(context.config.burst)).min(free) {
                let spec = workload::draw(self.key, self.process.local(context.now), context);
                let number = self.make(spec, context);
                if let Some(at) = workload::cancel_at(number, context) {
                    context.ledger.plan_cancel(number);
                    self.cancels.insert((at, number));
                }
            }
            self.next_call = context.now + context.rng.span(context.config.call_every * 2) + millis(1);
        }
    }

    /// Makes one quick call with an ample timeout. Returns its number.
    pub(crate) fn make_quick_call(
        &mut self,
        method: super::catalogue::Method,
        key: Option<&'static str>,
        context: &mut Context,
    ) -> u64 {
        let spec = workload::quick_call(self.key, self.process.local(context.now), method, key, context.now);
        self.make(spec, context)
    }

    fn make(&mut self, spec: super::ledger::CallSpec, context: &mut Context) -> u64 {
        let number = context.ledger.make(|number| workload::with_arguments(spec, number));
        let spec = context.ledger.spec(number);
        let call = NewCall {
            ticket: Ticket(number),
            token: number,
            method: MethodName::parse(spec.method.full()).expect("the names of the catalogue are valid"),
            body: spec.body.clone(),
            extensions: spec.extensions.clone().into(),
            made: spec.made,
            timeout: spec.timeout.map(|span| Timeout { span, source: TimeoutSource::Call }),
            effect: spec.effect,
            priority: spec.priority,
            wait_for_ready: spec.wait_for_ready,
            cast: spec.cast,
            key: spec.key.map(|key| AffinityKey::parse(key).expect("the keys of the workload are valid")),
            broadcast: spec.broadcast,
            streams: spec.streams,
        };
        if !spec.streams.style.is_unary() {
            self.streams.insert(number, StreamEndpoint::of_caller(number, spec));
        }
        context.note(self.host, || format!("makes call {number} of {}", call.method));
        self.submit(Event::Call(call), context);
        number
    }

    /// Closes the client.
    pub(crate) fn close(&mut self, context: &mut Context) {
        self.closing = true;
        context.ledger.closing.insert(self.key);
        let deadline = self.process.local(context.now) + CLOSE_MAX;
        self.submit(Event::Close { deadline }, context);
    }

    /// Drops planned cancellations once all calls have ended.
    pub(crate) fn forget_cancels(&mut self) {
        self.cancels.clear();
    }

    fn submit(&mut self, spec: Event<u64>, context: &mut Context) {
        self.pending.push(spec);
        let at = context.handled();
        self.process.wake(at);
    }

    /// Runs the driver once.
    pub(crate) fn run_once(&mut self, context: &mut Context) {
        self.process.begin_run();
        let now = self.process.local(context.now);
        for spec in std::mem::take(&mut self.pending) {
            self.handle(now, spec, context);
        }
        self.send_items(now, context);
        for _ in 0..context.config.inputs_per_run {
            let Some(input) = self.socket.next_input() else { break };
            self.input(now, input, context);
        }
        self.send_items(now, context);
        if !self.socket.has_input() && self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.handle(now, Event::Timeout, context);
            let next = self.machine.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "the timeout of {} must be later than now", self.host);
            self.check_deadlines(now, context);
        }
        self.socket.flush(context);
        if self.socket.has_input() {
            self.process.wake(context.now);
        }
        self.check(context);
    }

    fn input(&mut self, now: Time, input: Input, context: &mut Context) {
        match input {
            Input::Connected => {
                let nonce = Nonce(context.rng.bytes());
                self.handle(now, Event::Connected { nonce, channel: None }, context);
            }
            Input::Disconnected => {
                let jitter = context.rng.next() as u32;
                self.handle(now, Event::Disconnected { chance: jitter }, context);
            }
            Input::Frames(frames) => {
                let mut out = Vec::new();
                self.machine.handle_message(now, &frames, &mut out);
                self.perform(now, out, context);
            }
        }
    }

    fn handle(&mut self, now: Time, event: Event<u64>, context: &mut Context) {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(now, out, context);
    }

    fn perform(&mut self, now: Time, out: Vec<Action<u64>>, context: &mut Context) {
        for action in out {
            context.note(self.host, || format!("{action:?}"));
            match action {
                Action::Connect => self.socket.connect(context),
                Action::Disconnect => self.socket.disconnect(context),
                Action::Send(envelope) => self.send(&envelope, context),
                Action::StreamCredit { ticket, credit } => {
                    self.streams.get_mut(&ticket.0).expect("the call has streams").grant(credit)
                }
                Action::Items { ticket, batch, .. } => {
                    context.ledger.items_arrived(ticket.0, batch.items(), None);
                    self.streams.get_mut(&ticket.0).expect("the call has streams").arrived(batch, context);
                }
                Action::Progress { ticket, body } => {
                    let (number, attempt, step): Progress = body::decode(&body).expect("a handler encoded it");
                    assert_eq!(number, ticket.0, "progress of another call arrived");
                    context.ledger.progressed(number, attempt, step);
                }
                Action::Complete { token, outcome } => {
                    check_denial(token, &outcome, context);
                    context.ledger.completed(token, now, &outcome);
                    if let Some(stream) = self.streams.remove(&token) {
                        stream.check_end(&outcome);
                    }
                    self.check_in_time(now, token, context);
                }
                Action::Release { token } => {
                    self.streams.remove(&token);
                    context.ledger.released(token);
                }
                Action::Rejected(failure) => panic!("{} is rejected permanently: {failure}", self.host),
                Action::Closed => self.closed = true,
                Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
    }

    /// Sends the items for which there is credit.
    fn send_items(&mut self, now: Time, context: &mut Context) {
        let numbers: Vec<u64> = self.streams.keys().copied().collect();
        for number in numbers {
            let ticket = Ticket(number);
            let stream = self.streams.get_mut(&number);
            for batch in stream.map(|stream| stream.next_batches(&mut context.rng)).unwrap_or_default() {
                self.handle(now, Event::Items { ticket, batch }, context);
            }
            if self.streams.get_mut(&number).is_some_and(StreamEndpoint::take_end) {
                self.handle(now, Event::End(ticket), context);
            }
        }
    }

    fn send(&mut self, envelope: &Envelope, context: &mut Context) {
        if let Envelope::Request(request) = envelope {
            let (number, _): (u64, serde_bytes::ByteBuf) =
                body::decode(&request.body).expect("the workload encoded it");
            let id = CallId { caller: self.session.prefix(), number: request.number };
            let memory = (context.start, context.ledger.removed_sessions.get(&self.name).copied().unwrap_or(0));
            context.ledger.sent(number, id, request.flags.resend, memory);
            context.credit_used(self.socket.connection(), request.body.len());
        }
        self.socket.send(envelope);
    }

    /// Checks that an outcome arrives in time, unless the client itself was paused.
    fn check_in_time(&self, now: Time, number: u64, context: &Context) {
        let Some(last) = context.ledger.latest_end(number) else { return };
        let excused = self.process.local(self.process.resumed);
        let latest = last.max(excused) + context.config.lag;
        assert!(now <= latest, "call {number} ends {:?} too late", now.since(latest));
    }

    /// Checks that no open call is overdue.
    fn check_deadlines(&self, now: Time, context: &Context) {
        for &number in context.ledger.unresolved.get(&self.key).into_iter().flatten() {
            let spec = context.ledger.spec(number);
            let grace =
                |timeout: Duration| if spec.broadcast { BROADCAST_GRACE } else { EXPIRY_GRACE_MAX.min(timeout / 10) };
            let overdue = spec.timeout.is_some_and(|timeout| spec.made + timeout + grace(timeout) <= now);
            assert!(!overdue, "call {number} is overdue, and its client has not ended it");
        }
    }

    /// Checks that the machine has exactly the calls whose tokens it has not returned.
    fn check(&self, context: &Context) {
        assert_eq!(
            self.machine.waiting_len() + self.machine.open_len(),
            self.unresolved(context),
            "{} loses calls",
            self.host
        );
    }

    /// Returns the number of calls and casts whose tokens have not been returned.
    fn unresolved(&self, context: &Context) -> usize {
        let made = context.ledger.unresolved.get(&self.key).map_or(0, BTreeSet::len);
        made - self.pending.iter().filter(|spec| matches!(spec, Event::Call(_))).count()
    }
}

/// Checks the outcome of a call that its client may not make.
fn check_denial(number: u64, outcome: &Result<Bytes, Box<Failure>>, context: &mut Context) {
    if outcome.as_ref().is_err_and(|failure| failure.code == Code::PermissionDenied) {
        let spec = context.ledger.spec(number);
        let (client, method, since) = (spec.client.0, spec.method, spec.made_world);
        context.peers.check_denial(client, method, since);
    }
}
