//! A worker process: its machine, its driver, and its handlers.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    body,
    broker::Endpoint,
    peer::Settings,
    time::Time,
    wire::{
        Bundler, Envelope,
        bundle::{self, Recipient},
        handshake::Register,
        ids::{DispatchNumber, SessionId, StartId},
        item_batch::ItemBatch,
        status::{Code, Executed, Failure},
    },
    worker::{Action, Event, Job, JobId, Worker},
};

use super::{
    catalogue,
    config::millis,
    context::Context,
    network::Host,
    operator,
    process::Process,
    rng::Rng,
    rogue,
    socket::{Input, Socket},
    streams::{Plan, Progress, StreamEndpoint},
};

/// How long a hanging handler runs if its deadline or a cancellation stops it.
const HANG: Duration = Duration::from_secs(3_600);
/// The longest delay before a handler starts.
const START_DELAY_MAX: Duration = millis(400);
/// How long a handler runs that must make its worker unresponsive.
const UNRESPONSIVE_FOR: Duration = millis(5_000);
/// The start time of a handler that was stopped before its start.
const NEVER: Time = Time::from_micros(u64::MAX);
/// The number of a ping that no peer sends.
const UNUSED_PING: u64 = 1 << 62;
/// How long a hanging handler runs if nothing stops it.
const HANG_WITHOUT_TIMEOUT: Duration = Duration::from_secs(20);

/// One incarnation of a worker.
#[derive(Debug)]
pub(crate) struct WorkerHost {
    host: Host,
    pub(crate) name: String,
    /// Whether it declares `mix` to be `once`.
    strict: bool,
    register: Register,
    pub(crate) process: Process,
    pub(crate) machine: Worker,
    pub(crate) socket: Socket,
    handlers: BTreeMap<JobId, Handler>,
    shutdown: Option<Time>,
    pub(crate) leaving: bool,
    pub(crate) left: bool,
}

/// A running handler.
#[derive(Debug)]
struct Handler {
    offer: usize,
    /// The number of its call; `None` if the call is from the rogue.
    call: Option<u64>,
    attempt: u32,
    /// When it starts: a program may start a handler late. `None` once it has started.
    starts_at: Option<Time>,
    /// The start of the broker that dispatched it.
    start: StartId,
    job: Job,
    until: Time,
    end: HandlerEnd,
    /// Whether it reacts to being stopped.
    stoppable: bool,
    /// The handler end of its streams, if it has streams.
    stream: Option<StreamEndpoint>,
    /// The progress messages that it has sent.
    steps: u32,
    /// Whether it no longer waits for its streams.
    forced: bool,
    /// Whether its worker has reported that it has started.
    reported: bool,
}

/// How a handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandlerEnd {
    Answer,
    Fail,
    Panic,
    Stopped,
}

impl WorkerHost {
    pub(crate) fn new(index: usize, incarnation: u64, context: &mut Context) -> WorkerHost {
        let session = SessionId(context.rng.bytes());
        let heartbeat = context.config.heartbeat_peer;
        let (instance, key) = (format!("worker-{index}.{incarnation}"), context.peers.key(Host::Worker(index)));
        let settings = Settings { heartbeat, instance: instance.clone(), key, ..Settings::new(session) };
        let ahead = Duration::from_micros(context.rng.below(1 << 40));
        let strict = context.rng.percent(30);
        let register = catalogue::registration(index, strict, &context.config, &mut context.rng);
        WorkerHost {
            host: Host::Worker(index),
            name: instance,
            strict,
            register: register.clone(),
            process: Process::new(context.now, ahead),
            machine: Worker::new(settings, register),
            socket: Socket::new(Host::Worker(index), Endpoint::Backend),
            handlers: BTreeMap::new(),
            shutdown: None,
            leaving: false,
            left: false,
        }
    }

    /// Returns when the machine runs next or a handler acts.
    pub(crate) fn due(&self) -> Option<Time> {
        let handler = self.handlers.values().filter_map(Handler::due).min();
        let handler = handler.map(|at| self.process.local(at));
        let machine = self.machine.poll_timeout();
        self.process.due([handler, machine].into_iter().flatten().min())
    }

    /// Returns the number of its offers.
    pub(crate) fn offers_len(&self) -> usize {
        self.register.offers.len()
    }

    /// Returns the number of running handlers.
    pub(crate) fn handlers_len(&self) -> usize {
        self.handlers.len()
    }

    /// Shuts the worker down.
    pub(crate) fn drain(&mut self, drain_time: Duration, context: &mut Context) {
        self.leaving = true;
        self.shutdown = Some(self.process.local(context.now) + drain_time);
        let at = context.handled();
        self.process.wake(at);
    }

    /// Runs the driver once.
    pub(crate) fn run_once(&mut self, context: &mut Context) {
        self.process.begin_run();
        let now = self.process.local(context.now);
        if let Some(deadline) = self.shutdown.take() {
            self.handle(now, Event::Shutdown { deadline }, context);
        }
        let handlers_first = context.rng.percent(50);
        if handlers_first {
            self.start_handlers(context);
            self.end_handlers(now, context);
        }
        for _ in 0..context.config.inputs_per_run {
            let Some(input) = self.socket.next_input() else { break };
            self.input(now, input, context);
        }
        self.start_handlers(context);
        self.run_streams(now, context);
        self.end_handlers(now, context);
        if !self.socket.has_input() && self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.handle(now, Event::Timeout, context);
            let next = self.machine.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "the timeout of {} must be later than now", self.host);
        }
        self.check_prefetched(context);
        self.socket.flush(context);
        if self.socket.has_input() {
            self.process.wake(context.now);
        }
        assert!(
            self.left || self.machine.running_len() == self.handlers.len(),
            "the machine of {} has all running handlers",
            self.host
        );
    }

    /// Checks that no call is held behind long ones: as soon as every slot that it could use has a handler that was reported as
    /// started, it is handed back. A handler that has started by the time of a query is reported then.
    fn check_prefetched(&self, context: &mut Context) {
        let is_full = |slots: u32, offer: Option<usize>| {
            let reported = self.handlers.values().filter(|handler| handler.reported);
            reported.filter(|handler| offer.is_none_or(|offer| handler.offer == offer)).count() >= slots as usize
        };
        let is_shared_full = self.register.slots.is_some_and(|slots| is_full(slots, None));
        for offer in self.machine.prefetched_offers() {
            let blocked = is_shared_full || is_full(self.register.offers[offer].slots, Some(offer));
            assert!(!blocked, "{} holds a call of {} behind long ones", self.host, self.register.offers[offer].service);
            context.ledger.stats.prefetched += 1;
        }
    }

    fn input(&mut self, now: Time, input: Input, context: &mut Context) {
        match input {
            Input::Connected => {
                let nonce = Nonce(context.rng.bytes());
                self.handle(now, Event::Connected { nonce, channel: None }, context);
            }
            Input::Disconnected => {
                self.shorten_handlers(context);
                let jitter = context.rng.next() as u32;
                self.handle(now, Event::Disconnected { chance: jitter }, context);
            }
            Input::Frames(frames) => {
                for frames in self.hand_back_some(frames, context) {
                    let mut out = Vec::new();
                    self.machine.handle_message(now, &frames, &mut out);
                    self.perform(now, out, context);
                }
            }
        }
    }

    /// Hands some calls back before the machine sees them, as another implementation may. Returns the remaining frames.
    fn hand_back_some(&mut self, frames: Vec<Bytes>, context: &mut Context) -> Vec<Vec<Bytes>> {
        if context.config.handback_percent == 0 || !self.machine.is_connected() {
            return vec![frames];
        }
        let mut kept = Bundler::new();
        for envelope in bundle::read(&frames, Recipient::Peer).flatten() {
            match envelope {
                Envelope::Dispatch(dispatch) if context.rng.percent(context.config.handback_percent) => {
                    context.note(self.host, || format!("hands back {}", dispatch.number));
                    self.socket.send(&Envelope::Handback(dispatch.number));
                    context.keys.ended(self.start(), dispatch.number);
                }
                other => kept.push(&other),
            }
        }
        // A dispatch that was handed back still counts as activity of the broker.
        kept.push(&Envelope::Pong(UNUSED_PING));
        kept.take().map(|frames| frames.to_vec()).collect()
    }

    fn handle(&mut self, now: Time, event: Event, context: &mut Context) {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(now, out, context);
    }

    fn perform(&mut self, now: Time, out: Vec<Action>, context: &mut Context) {
        for action in out {
            context.note(self.host, || format!("{action:?}"));
            match action {
                Action::Connect => self.socket.connect(context),
                Action::Disconnect => self.socket.disconnect(context),
                Action::Send(envelope) => {
                    self.record_end(&envelope, context);
                    self.socket.send(&envelope);
                }
                Action::Run(job) => self.run(now, &job, context),
                Action::Stop(job) => self.stop(job, context),
                Action::StreamCredit { job, credit } => self.stream_of(job).grant(credit),
                Action::Items { job, batch } => {
                    let handler = &self.handlers[&job];
                    if let Some(number) = handler.call {
                        context.ledger.items_arrived(number, batch.items(), Some(handler.attempt));
                    }
                    self.stream_of(job).arrived(batch, context);
                }
                Action::End { job } => self.stream_of(job).end_arrived(),
                Action::QueryStarted(job) => self.report_started(now, job, context),
                Action::Drain => self.drain(operator::DRAIN_TIME, context),
                Action::Rejected(failure) => panic!("{} is rejected permanently: {failure}", self.host),
                Action::ShutdownComplete => self.left = true,
                Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
    }

    /// Returns the start of the broker with which it last registered.
    fn start(&self) -> StartId {
        self.machine.welcome().expect("the worker has registered once").start
    }

    /// Records the final message on a call.
    fn record_end(&self, envelope: &Envelope, context: &mut Context) {
        match envelope {
            Envelope::Handback(number) => context.keys.ended(self.start(), *number),
            Envelope::Reply(reply) => context.keys.ended(self.start(), DispatchNumber(reply.number)),
            _ => {}
        }
    }

    /// Starts a handler.
    fn run(&mut self, now: Time, job: &Job, context: &mut Context) {
        let offer = &self.register.offers[job.offer];
        let running = self.handlers.values().filter(|handler| handler.offer == job.offer).count();
        assert!(running < offer.slots as usize, "{} runs more calls than {} has slots", self.host, offer.service);
        let shared = self.register.slots.is_none_or(|slots| self.handlers.len() < slots as usize);
        assert!(shared, "{} runs more calls than its services have shared slots", self.host);
        assert!(job.deadline.is_none_or(|at| at > now), "{} starts an expired call", self.host);
        context.keys.handler_started(self.start(), job.id.dispatch);
        // Calls that the ledger does not know come from the rogue.
        let arguments = body::decode::<(u64, serde_bytes::ByteBuf)>(&job.body);
        let call = arguments.ok().map(|(number, _)| number).filter(|&number| context.ledger.contains(number));
        let mut handler = Handler {
            offer: job.offer,
            call,
            attempt: job.attempt,
            starts_at: Some(context.now),
            start: self.start(),
            job: job.clone(),
            until: context.now,
            end: HandlerEnd::Answer,
            stoppable: true,
            stream: (!job.streams.style.is_unary())
                .then(|| StreamEndpoint::of_handler(rogue::NUMBER, job.streams, Plan::plain())),
            steps: 0,
            forced: false,
            reported: false,
        };
        if let Some(number) = call {
            let spec = context.ledger.spec(number);
            let asked = (spec.method.service, spec.method.name);
            assert_eq!(asked, (&*offer.service, &*offer.methods[job.method].name), "call {number} runs another method");
            context.peers.check_start(spec.client.0, job.caller_name.as_deref(), spec.method, spec.made_world);
            handler.draw(number, context);
            let plan = context.ledger.spec(number).plan;
            handler.stream = handler.stream.map(|_| StreamEndpoint::of_handler(number, job.streams, plan));
        }
        handler.start_if_due(self.strict, self.host, context);
        let before = self.handlers.insert(job.id, handler);
        assert!(before.is_none(), "{} uses a job id twice", self.host);
    }

    /// Stops a handler, unless it ignores that.
    fn stop(&mut self, job: JobId, context: &mut Context) {
        let handler = self.handlers.get_mut(&job).expect("the machine stops what runs");
        handler.forced = true;
        if handler.starts_at.is_some() {
            // A handler that has not started never will: its program checks that before the start.
            handler.until = handler.until.min(context.now + context.rng.span(millis(30)));
            handler.starts_at = Some(NEVER);
            handler.end = HandlerEnd::Stopped;
            return;
        }
        if !handler.stoppable {
            return;
        }
        handler.until = handler.until.min(context.now + context.rng.span(millis(30)));
        // A handler that is about to end may still return its outcome.
        if context.rng.percent(80) {
            handler.end = HandlerEnd::Stopped;
        }
    }

    fn stream_of(&mut self, job: JobId) -> &mut StreamEndpoint {
        self.handlers
            .get_mut(&job)
            .and_then(|handler| handler.stream.as_mut())
            .expect("the handler runs and has streams")
    }

    /// Lets started handlers send items and progress, and read received items.
    fn run_streams(&mut self, now: Time, context: &mut Context) {
        let started = self.handlers.iter().filter(|(_, handler)| handler.starts_at.is_none());
        let jobs: Vec<JobId> = started.map(|(&job, _)| job).collect();
        for job in jobs {
            if context.rng.percent(10) {
                let body = self.handlers.get_mut(&job).expect("the handler exists").progress();
                self.handle(now, Event::Progress { job, body }, context);
            }
            let handler = self.handlers.get_mut(&job);
            for batch in handler.map(|handler| handler.next_batches(&mut context.rng)).unwrap_or_default() {
                self.handle(now, Event::Items { job, latest: None, batch }, context);
            }
            let stream = self.handlers.get_mut(&job).and_then(|handler| handler.stream.as_mut());
            if let Some(credit) = stream.and_then(|stream| stream.read(context.now)) {
                self.handle(now, Event::Read { job, credit }, context);
            }
        }
    }

    /// Reports to the machine if a handler has started.
    fn report_started(&mut self, now: Time, job: JobId, context: &mut Context) {
        if self.handlers[&job].starts_at.is_none() {
            self.handlers.get_mut(&job).expect("the handler exists").reported = true;
            self.handle(now, Event::Started { job }, context);
        }
    }

    /// Limits the time of handlers after the connection is lost, as the broker can no longer stop them.
    fn shorten_handlers(&mut self, context: &Context) {
        let latest = context.now + HANG_WITHOUT_TIMEOUT;
        self.handlers.values_mut().for_each(|handler| handler.until = handler.until.min(latest));
    }

    /// Starts the handlers that are due.
    fn start_handlers(&mut self, context: &mut Context) {
        let host = self.host;
        self.handlers.values_mut().for_each(|handler| handler.start_if_due(self.strict, host, context));
    }

    /// Ends the handlers that are due.
    fn end_handlers(&mut self, now: Time, context: &mut Context) {
        let ended = |handler: &Handler| handler.is_done() && handler.until <= context.now;
        let jobs: Vec<JobId> = self.handlers.iter().filter(|(_, handler)| ended(handler)).map(|(&id, _)| id).collect();
        for job in jobs {
            let handler = self.handlers.remove(&job).expect("the handler exists");
            context.keys.ended(handler.start, job.dispatch);
            if let Some(number) = handler.call.filter(|_| handler.end != HandlerEnd::Stopped) {
                context.ledger.finished(number, handler.end == HandlerEnd::Answer);
            }
            let event = match handler.outcome() {
                Some(outcome) => Event::Finished { job, outcome, handler_time: reported_time(job) },
                None => Event::Stopped { job, started: handler.starts_at.is_none() },
            };
            self.handle(now, event, context);
        }
    }
}

/// Returns the handler time that a worker reports: none, a short or a long one, so that the broker forms batches of all sizes.
fn reported_time(job: JobId) -> Option<Duration> {
    let micros = job.dispatch.0 % 300;
    (micros > 30).then(|| Duration::from_micros(micros / 8))
}

impl Handler {
    /// Returns when it acts next.
    fn due(&self) -> Option<Time> {
        if let Some(starts_at) = self.starts_at {
            return Some(starts_at.min(self.until));
        }
        let end = Some(self.until).filter(|_| self.is_done());
        let read = self.stream.as_ref().and_then(StreamEndpoint::read_due);
        [end, read].into_iter().flatten().min()
    }

    fn start_if_due(&mut self, strict: bool, who: Host, context: &mut Context) {
        if self.starts_at.is_none_or(|at| at > context.now) {
            return;
        }
        self.starts_at = None;
        if let Some(number) = self.call {
            context.ledger.started(context.now, number, &self.job, strict, format!("{who:?}"));
        }
    }

    /// Returns whether it waits only for its end time.
    fn is_done(&self) -> bool {
        self.forced || self.end != HandlerEnd::Answer || self.stream.as_ref().is_none_or(StreamEndpoint::is_done)
    }

    fn next_batches(&mut self, rng: &mut Rng) -> Vec<ItemBatch> {
        let stream = self.stream.as_mut().filter(|_| !self.forced);
        stream.map(|stream| stream.next_batches(rng)).unwrap_or_default()
    }

    fn progress(&mut self) -> Bytes {
        self.steps += 1;
        let progress: Progress = (self.call.unwrap_or(rogue::NUMBER), self.attempt, self.steps);
        body::encode(&progress).expect("numbers have a CBOR form")
    }

    /// Draws the duration and the end of the handler.
    fn draw(&mut self, number: u64, context: &mut Context) {
        let spec = context.ledger.spec(number);
        let quick = spec.quick || context.healing;
        let will_be_cancelled = spec.timeout.is_none() && context.ledger.will_be_cancelled(number);
        let limited = spec.timeout.is_some() || will_be_cancelled;
        let rng = &mut context.rng;
        let slow = rng.percent(context.config.slow_percent);
        let hangs = if limited { HANG } else { HANG_WITHOUT_TIMEOUT };
        let span = match rng.below(10) {
            _ if quick => rng.span(millis(5)),
            0..=2 if will_be_cancelled => HANG,
            0 if slow => hangs,
            // Ignores being stopped, and runs past any hard limit and its grace period.
            1 if slow && context.config.hard_ms.is_some() => UNRESPONSIVE_FOR,
            _ if slow => rng.span(millis(1_500)),
            1..=4 => Duration::ZERO,
            _ => rng.span(millis(30)),
        };
        let starts_late = !quick && rng.percent(context.config.late_start_percent);
        let starts_at = context.now + if starts_late { rng.span(START_DELAY_MAX) } else { Duration::ZERO };
        self.starts_at = Some(starts_at);
        self.until = starts_at + span;
        self.stoppable = span != UNRESPONSIVE_FOR && (span == hangs || rng.percent(70));
        self.end = match rng.below(20) {
            _ if quick => HandlerEnd::Answer,
            0 => HandlerEnd::Panic,
            1 | 2 => HandlerEnd::Fail,
            _ => HandlerEnd::Answer,
        };
    }

    /// Returns its outcome; `None` if it was stopped.
    fn outcome(&self) -> Option<Result<Bytes, Box<Failure>>> {
        let number = self.call.unwrap_or(rogue::NUMBER);
        let fail = |code, type_name: &'static str| {
            let details = body::encode(&number).expect("a number has a CBOR form");
            let failure = Failure::new(code, Executed::Yes, "a drawn failure");
            Some(Err(Box::new(Failure { type_name: type_name.into(), details, ..failure })))
        };
        match self.end {
            HandlerEnd::Answer => {
                let sent = self.stream.as_ref().map_or(0, StreamEndpoint::sent);
                Some(Ok(body::encode(&(number, self.attempt, sent)).expect("numbers have a CBOR form")))
            }
            HandlerEnd::Fail => fail(Code::Unknown, "Oops"),
            HandlerEnd::Panic => fail(Code::Internal, "Panic"),
            HandlerEnd::Stopped => None,
        }
    }
}
