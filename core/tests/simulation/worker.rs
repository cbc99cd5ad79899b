//! A worker: its machine, the driver of it, and its handlers.

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
        status::{Code, Executed, Failure},
    },
    worker::{Action, Event, Job, JobId, Worker},
};

use super::{
    catalogue,
    knobs::millis,
    network::Host,
    process::Process,
    rogue,
    scene::Scene,
    socket::{Input, Socket},
    streams::{Line, Plan, Progress},
};

/// How long a handler that hangs runs if something stops it: its deadline, or its caller, who will give it up.
const HANGS: Duration = Duration::from_secs(3_600);
/// The longest that a program lets a call wait before it runs its handler.
const DAWDLE_MAX: Duration = millis(400);
/// How long one runs that is to be found stuck.
const DEAF: Duration = millis(5_000);
/// When a handler begins that was stopped before it did.
const NEVER: Time = Time::from_micros(u64::MAX);
/// The number of a ping that nobody sends.
const NOBODYS_PING: u64 = 1 << 62;
/// How long one hangs that nothing stops.
const HANGS_TIMELESS: Duration = Duration::from_secs(20);

/// One life of a worker.
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

/// A handler that runs.
#[derive(Debug)]
struct Handler {
    offer: usize,
    /// The call that it serves; `None` if that is a rogue's.
    call: Option<u64>,
    attempt: u32,
    /// When it begins: a program may be slow to let a handler run. `None` once it has.
    begins: Option<Time>,
    /// Of the broker that sent it.
    start: StartId,
    job: Job,
    until: Time,
    ending: Ending,
    /// Whether it looks out for being stopped.
    stoppable: bool,
    /// Its streams, if it has some.
    line: Option<Line>,
    /// Words on its progress so far.
    steps: u32,
    /// It does not wait for its streams any more.
    forced: bool,
}

/// How a handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Answer,
    Fail,
    Panic,
    Stopped,
}

impl WorkerHost {
    pub(crate) fn new(seat: usize, life: u64, scene: &mut Scene) -> WorkerHost {
        let session = SessionId(scene.chance.bytes());
        let heartbeat = scene.knobs.heartbeat_peer;
        let (instance, key) = (format!("worker-{seat}.{life}"), scene.knobs.key());
        let settings = Settings { heartbeat, instance: instance.clone(), key, ..Settings::new(session) };
        let ahead = Duration::from_micros(scene.chance.below(1 << 40));
        let strict = scene.chance.percent(30);
        let register = catalogue::registration(seat, strict, &scene.knobs, &mut scene.chance);
        WorkerHost {
            host: Host::Worker(seat),
            name: instance,
            strict,
            register: register.clone(),
            process: Process::new(scene.now, ahead),
            machine: Worker::new(settings, register),
            socket: Socket::new(Host::Worker(seat), Endpoint::Backend),
            handlers: BTreeMap::new(),
            shutdown: None,
            leaving: false,
            left: false,
        }
    }

    /// When the machine is to be run, or a handler ends.
    pub(crate) fn due(&self) -> Option<Time> {
        let handler = self.handlers.values().filter_map(Handler::due).min();
        let handler = handler.map(|at| self.process.local(at));
        let machine = self.machine.poll_timeout();
        self.process.due([handler, machine].into_iter().flatten().min())
    }

    /// Services that it offers.
    pub(crate) fn offers_len(&self) -> usize {
        self.register.offers.len()
    }

    /// Handlers that run.
    pub(crate) fn handlers_len(&self) -> usize {
        self.handlers.len()
    }

    /// The operator ends the worker.
    pub(crate) fn drain(&mut self, patience: Duration, scene: &mut Scene) {
        self.leaving = true;
        self.shutdown = Some(self.process.local(scene.now) + patience);
        let at = scene.handled();
        self.process.rouse(at);
    }

    /// A turn of the driver.
    pub(crate) fn turn(&mut self, scene: &mut Scene) {
        self.process.begin_turn();
        let now = self.process.local(scene.now);
        if let Some(deadline) = self.shutdown.take() {
            self.handle(now, Event::Shutdown { deadline }, scene);
        }
        let handlers_first = scene.chance.percent(50);
        if handlers_first {
            self.begin_handlers(scene);
            self.end_handlers(now, scene);
        }
        for _ in 0..scene.knobs.turn_inputs {
            let Some(input) = self.socket.next_input() else { break };
            self.input(now, input, scene);
        }
        self.begin_handlers(scene);
        self.stream(now, scene);
        self.end_handlers(now, scene);
        if !self.socket.has_input() && self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.handle(now, Event::Timeout, scene);
            let next = self.machine.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "{} wants to be woken again and again", self.host);
        }
        self.socket.flush(scene);
        if self.socket.has_input() {
            self.process.rouse(scene.now);
        }
        assert!(self.left || self.machine.running_len() == self.handlers.len(), "{} knows what runs", self.host);
    }

    fn input(&mut self, now: Time, input: Input, scene: &mut Scene) {
        match input {
            Input::Connected => {
                let nonce = Nonce(scene.chance.bytes());
                self.handle(now, Event::Connected { nonce }, scene);
            }
            Input::Disconnected => {
                self.shorten_handlers(scene);
                let chance = scene.chance.next() as u32;
                self.handle(now, Event::Disconnected { chance }, scene);
            }
            Input::Frames(frames) => {
                for frames in self.shun(frames, scene) {
                    let mut out = Vec::new();
                    self.machine.handle_message(now, &frames, &mut out);
                    self.perform(now, out, scene);
                }
            }
        }
    }

    /// Gives some calls back before the machine sees them, as a worker of another make may. Returns what is left.
    fn shun(&mut self, frames: Vec<Bytes>, scene: &mut Scene) -> Vec<Vec<Bytes>> {
        if scene.knobs.shun_percent == 0 || !self.machine.is_connected() {
            return vec![frames];
        }
        let mut kept = Bundler::new();
        for envelope in bundle::read(&frames, Recipient::Peer).flatten() {
            match envelope {
                Envelope::Dispatch(dispatch) if scene.chance.percent(scene.knobs.shun_percent) => {
                    scene.note(self.host, || format!("shuns {}", dispatch.number));
                    self.socket.send(&Envelope::Handback(dispatch.number));
                    scene.keys.over(self.start(), dispatch.number);
                }
                other => kept.push(&other),
            }
        }
        // What is shunned has been heard all the same: the broker is not silent.
        kept.push(&Envelope::Pong(NOBODYS_PING));
        kept.take().map(|frames| frames.to_vec()).collect()
    }

    fn handle(&mut self, now: Time, event: Event, scene: &mut Scene) {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(now, out, scene);
    }

    fn perform(&mut self, now: Time, out: Vec<Action>, scene: &mut Scene) {
        for action in out {
            scene.note(self.host, || format!("{action:?}"));
            match action {
                Action::Connect => self.socket.connect(scene),
                Action::Disconnect => self.socket.disconnect(scene),
                Action::Send(envelope) => {
                    self.over(&envelope, scene);
                    self.socket.send(&envelope);
                }
                Action::Run(job) => self.run(now, &job, scene),
                Action::Stop(job) => self.stop(job, scene),
                Action::StreamCredit { job, credit } => self.line(job).grant(credit),
                Action::Item { job, body } => {
                    let handler = &self.handlers[&job];
                    if let Some(number) = handler.call {
                        scene.ledger.touched(number, Some(handler.attempt));
                    }
                    self.line(job).arrived(&body, scene);
                }
                Action::End { job } => self.line(job).end_came(),
                Action::QueryStarted(job) => self.look(now, job, scene),
                Action::Rejected(failure) => panic!("{} is refused for ever: {failure}", self.host),
                Action::ShutdownComplete => self.left = true,
                Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
    }

    /// The start of the broker that it has joined, or had.
    fn start(&self) -> StartId {
        self.machine.welcome().expect("it has joined once").start
    }

    /// The last word on a call.
    fn over(&self, envelope: &Envelope, scene: &mut Scene) {
        match envelope {
            Envelope::Handback(number) => scene.keys.over(self.start(), *number),
            Envelope::Reply(reply) => scene.keys.over(self.start(), DispatchNumber(reply.number)),
            _ => {}
        }
    }

    /// A handler starts.
    fn run(&mut self, now: Time, job: &Job, scene: &mut Scene) {
        let offer = &self.register.offers[job.offer];
        let running = self.handlers.values().filter(|handler| handler.offer == job.offer).count();
        assert!(running < offer.slots as usize, "{} runs more than {} has slots", self.host, offer.service);
        assert!(job.deadline.is_none_or(|at| at > now), "{} starts a call whose time is up", self.host);
        scene.keys.runs(self.start(), job.id.dispatch);
        // What is not a caller's is a rogue's.
        let arguments = body::decode::<(u64, serde_bytes::ByteBuf)>(&job.body);
        let call = arguments.ok().map(|(number, _)| number).filter(|&number| scene.ledger.knows(number));
        let mut handler = Handler {
            offer: job.offer,
            call,
            attempt: job.attempt,
            begins: Some(scene.now),
            start: self.start(),
            job: job.clone(),
            until: scene.now,
            ending: Ending::Answer,
            stoppable: true,
            line: (!job.streams.style().is_unary())
                .then(|| Line::of_handler(rogue::NUMBER, job.streams, Plan::plain())),
            steps: 0,
            forced: false,
        };
        if let Some(number) = call {
            let wish = scene.ledger.wish(number);
            let asked = (wish.method.service, wish.method.name);
            assert_eq!(asked, (&*offer.service, &*offer.methods[job.method].name), "call {number} is run as asked");
            handler.draw(number, scene);
            let plan = scene.ledger.wish(number).plan;
            handler.line = handler.line.map(|_| Line::of_handler(number, job.streams, plan));
        }
        handler.begin_if_due(self.strict, self.host, scene);
        let before = self.handlers.insert(job.id, handler);
        assert!(before.is_none(), "{} uses the name of a job twice", self.host);
    }

    /// A handler is told to stop: it does, or does not look out for that.
    fn stop(&mut self, job: JobId, scene: &mut Scene) {
        let handler = self.handlers.get_mut(&job).expect("the machine stops what runs");
        handler.forced = true;
        if handler.begins.is_some() {
            // What has not begun never will: its program sees that when it comes to it.
            handler.until = handler.until.min(scene.now + scene.chance.span(millis(30)));
            handler.begins = Some(NEVER);
            handler.ending = Ending::Stopped;
            return;
        }
        if !handler.stoppable {
            return;
        }
        handler.until = handler.until.min(scene.now + scene.chance.span(millis(30)));
        // One that is just about to end may still have its say.
        if scene.chance.percent(80) {
            handler.ending = Ending::Stopped;
        }
    }

    fn line(&mut self, job: JobId) -> &mut Line {
        self.handlers.get_mut(&job).and_then(|handler| handler.line.as_mut()).expect("it runs and has streams")
    }

    /// Handlers that have begun send what there is room for, read what came, and tell how far they are.
    fn stream(&mut self, now: Time, scene: &mut Scene) {
        let begun = self.handlers.iter().filter(|(_, handler)| handler.begins.is_none());
        let jobs: Vec<JobId> = begun.map(|(&job, _)| job).collect();
        for job in jobs {
            if scene.chance.percent(10) {
                let body = self.handlers.get_mut(&job).expect("it was just seen").progress();
                self.handle(now, Event::Progress { job, body }, scene);
            }
            while let Some(body) = self.handlers.get_mut(&job).and_then(Handler::next_item) {
                self.handle(now, Event::Item { job, latest: None, body }, scene);
            }
            let line = self.handlers.get_mut(&job).and_then(|handler| handler.line.as_mut());
            if let Some(credit) = line.and_then(|line| line.read(scene.now)) {
                self.handle(now, Event::Read { job, credit }, scene);
            }
        }
    }

    /// The machine wants to know whether a handler has begun.
    fn look(&mut self, now: Time, job: JobId, scene: &mut Scene) {
        if self.handlers[&job].begins.is_none() {
            self.handle(now, Event::Started { job }, scene);
        }
    }

    /// The broker has lost this worker, and stops nothing of what runs here any more.
    fn shorten_handlers(&mut self, scene: &Scene) {
        let latest = scene.now + HANGS_TIMELESS;
        self.handlers.values_mut().for_each(|handler| handler.until = handler.until.min(latest));
    }

    /// Handlers whose time has come begin.
    fn begin_handlers(&mut self, scene: &mut Scene) {
        let host = self.host;
        self.handlers.values_mut().for_each(|handler| handler.begin_if_due(self.strict, host, scene));
    }

    /// Handlers whose time has come end.
    fn end_handlers(&mut self, now: Time, scene: &mut Scene) {
        let ended = |handler: &Handler| handler.is_done() && handler.until <= scene.now;
        let jobs: Vec<JobId> = self.handlers.iter().filter(|(_, handler)| ended(handler)).map(|(&id, _)| id).collect();
        for job in jobs {
            let handler = self.handlers.remove(&job).expect("it was just seen");
            scene.keys.over(handler.start, job.dispatch);
            if let Some(number) = handler.call.filter(|_| handler.ending != Ending::Stopped) {
                scene.ledger.finished(number, handler.ending == Ending::Answer);
            }
            let event = match handler.outcome() {
                Some(outcome) => Event::Finished { job, outcome },
                None => Event::Stopped { job, started: handler.begins.is_none() },
            };
            self.handle(now, event, scene);
        }
    }
}

impl Handler {
    /// When it does something by itself.
    fn due(&self) -> Option<Time> {
        if let Some(begins) = self.begins {
            return Some(begins.min(self.until));
        }
        let end = Some(self.until).filter(|_| self.is_done());
        let read = self.line.as_ref().and_then(Line::read_due);
        [end, read].into_iter().flatten().min()
    }

    fn begin_if_due(&mut self, strict: bool, who: Host, scene: &mut Scene) {
        if self.begins.is_none_or(|at| at > scene.now) {
            return;
        }
        self.begins = None;
        if let Some(number) = self.call {
            scene.ledger.started(scene.now, number, &self.job, strict, format!("{who:?}"));
        }
    }

    /// Whether it waits for nothing but the time that it takes.
    fn is_done(&self) -> bool {
        self.forced || self.ending != Ending::Answer || self.line.as_ref().is_none_or(Line::is_done)
    }

    fn next_item(&mut self) -> Option<Bytes> {
        self.line.as_mut().filter(|_| !self.forced).and_then(Line::next_item)
    }

    fn progress(&mut self) -> Bytes {
        self.steps += 1;
        let progress: Progress = (self.call.unwrap_or(rogue::NUMBER), self.attempt, self.steps);
        body::encode(&progress).expect("numbers have a CBOR form")
    }

    /// Chance decides how long the handler takes and how it ends.
    fn draw(&mut self, number: u64, scene: &mut Scene) {
        let wish = scene.ledger.wish(number);
        let plain = wish.plain || scene.healing;
        let fickle = wish.timeout.is_none() && scene.ledger.is_fickle(number);
        let limited = wish.timeout.is_some() || fickle;
        let chance = &mut scene.chance;
        let slow = chance.percent(scene.knobs.slow_percent);
        let hangs = if limited { HANGS } else { HANGS_TIMELESS };
        let span = match chance.below(10) {
            _ if plain => chance.span(millis(5)),
            0..=2 if fickle => HANGS,
            0 if slow => hangs,
            // Deaf to being stopped, and past any hard limit and the grace after it.
            1 if slow && scene.knobs.hard_ms.is_some() => DEAF,
            _ if slow => chance.span(millis(1_500)),
            1..=4 => Duration::ZERO,
            _ => chance.span(millis(30)),
        };
        let dawdles = !plain && chance.percent(scene.knobs.dawdle_percent);
        let begins = scene.now + if dawdles { chance.span(DAWDLE_MAX) } else { Duration::ZERO };
        self.begins = Some(begins);
        self.until = begins + span;
        self.stoppable = span != DEAF && (span == hangs || chance.percent(70));
        self.ending = match chance.below(20) {
            _ if plain => Ending::Answer,
            0 => Ending::Panic,
            1 | 2 => Ending::Fail,
            _ => Ending::Answer,
        };
    }

    /// What it came to; `None` if it was stopped.
    fn outcome(&self) -> Option<Result<Bytes, Box<Failure>>> {
        let number = self.call.unwrap_or(rogue::NUMBER);
        let fail = |code, type_name: &'static str| {
            let details = body::encode(&number).expect("a number has a CBOR form");
            let failure = Failure::new(code, Executed::Yes, "as it should");
            Some(Err(Box::new(Failure { type_name: type_name.into(), details, ..failure })))
        };
        match self.ending {
            Ending::Answer => {
                let sent = self.line.as_ref().map_or(0, Line::sent);
                Some(Ok(body::encode(&(number, self.attempt, sent)).expect("numbers have a CBOR form")))
            }
            Ending::Fail => fail(Code::Unknown, "Oops"),
            Ending::Panic => fail(Code::Internal, "Panic"),
            Ending::Stopped => None,
        }
    }
}
