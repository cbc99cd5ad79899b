//! A client: its machine, the driver of it, and the callers who use it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
    },
};

use super::{
    callers,
    knobs::millis,
    network::Host,
    process::Process,
    scene::Scene,
    socket::{Input, Socket},
    streams::{Line, Progress},
};

/// How long a client that closes waits for the broker.
const CLOSE_MAX: Duration = millis(1_500);
/// Calls that callers of one client have at once: a driver bounds its queue, and checks take time for each call.
const UNRESOLVED_MAX: usize = 60;

/// One life of a client.
#[derive(Debug)]
pub(crate) struct ClientHost {
    host: Host,
    /// Its seat, and which life this is: what the ledger knows it by.
    pub(crate) key: (usize, u64),
    session: SessionId,
    name: String,
    pub(crate) process: Process,
    pub(crate) machine: Client<u64>,
    pub(crate) socket: Socket,
    /// When the next call is made.
    next_call: Time,
    /// When which call is given up.
    cancels: BTreeSet<(Time, u64)>,
    /// What callers want and the machine does not know yet.
    wishes: Vec<Event<u64>>,
    /// The streams of calls that have not ended.
    lines: BTreeMap<u64, Line>,
    pub(crate) closing: bool,
    pub(crate) closed: bool,
}

impl ClientHost {
    pub(crate) fn new(seat: usize, life: u64, scene: &mut Scene) -> ClientHost {
        let session = SessionId(scene.chance.bytes());
        let name = format!("client-{seat}.{life}");
        scene.keys.client(&name, session.tag());
        let heartbeat = scene.knobs.heartbeat_peer;
        let key = scene.knobs.key();
        let settings = Settings { heartbeat, instance: name.clone(), key, ..Settings::new(session) };
        let ahead = Duration::from_micros(scene.chance.below(1 << 40));
        let first = scene.chance.span(scene.knobs.call_every);
        ClientHost {
            host: Host::Client(seat),
            key: (seat, life),
            session,
            name,
            process: Process::new(scene.now, ahead),
            machine: Client::new(settings),
            socket: Socket::new(Host::Client(seat), Endpoint::Frontend),
            next_call: scene.now + first,
            cancels: BTreeSet::new(),
            wishes: Vec::new(),
            lines: BTreeMap::new(),
            closing: false,
            closed: false,
        }
    }

    /// When the machine is to be run.
    pub(crate) fn due(&self) -> Option<Time> {
        self.process.due(self.machine.poll_timeout())
    }

    /// When its callers do something.
    pub(crate) fn callers_due(&self, scene: &Scene) -> Option<Time> {
        let call = Some(self.next_call).filter(|_| !scene.healing && !self.closing);
        let cancel = self.cancels.first().map(|&(at, _)| at);
        let read = self.lines.values().filter_map(Line::read_due).min();
        let due = [call, cancel, read].into_iter().flatten().min()?;
        Some(if self.process.is_stopped(scene.now) { due.max(self.process.resumed) } else { due })
    }

    /// Callers make calls, and give some up.
    pub(crate) fn callers_act(&mut self, scene: &mut Scene) {
        let room = |(&number, line): (&u64, &mut Line)| Some((number, line.read(scene.now)?));
        let read: Vec<_> = self.lines.iter_mut().filter_map(room).collect();
        for (number, credit) in read {
            self.want(Event::Read { ticket: Ticket(number), credit }, scene);
        }
        while let Some(&(at, number)) = self.cancels.first().filter(|(at, _)| *at <= scene.now) {
            self.cancels.remove(&(at, number));
            scene.ledger.cancel(number);
            self.want(Event::Cancel(Ticket(number)), scene);
        }
        if self.next_call <= scene.now && !scene.healing && !self.closing {
            let room = UNRESOLVED_MAX.saturating_sub(self.unresolved(scene)) as u64;
            for _ in 0..(1 + scene.chance.below(scene.knobs.burst)).min(room) {
                let wish = callers::draw(self.key, self.process.local(scene.now), scene);
                let number = self.make(wish, scene);
                if let Some(at) = callers::gives_up(number, scene) {
                    scene.ledger.will_cancel(number);
                    self.cancels.insert((at, number));
                }
            }
            self.next_call = scene.now + scene.chance.span(scene.knobs.call_every * 2) + millis(1);
        }
    }

    /// A caller makes one quick call, for which there is time enough. Returns its number.
    pub(crate) fn make_plain(
        &mut self,
        method: super::catalogue::Method,
        key: Option<&'static str>,
        scene: &mut Scene,
    ) -> u64 {
        let wish = callers::plain(self.key, self.process.local(scene.now), method, key, scene.now);
        self.make(wish, scene)
    }

    fn make(&mut self, wish: super::ledger::Wish, scene: &mut Scene) -> u64 {
        let number = scene.ledger.make(|number| callers::with_arguments(wish, number));
        let wish = scene.ledger.wish(number);
        let call = NewCall {
            ticket: Ticket(number),
            token: number,
            method: MethodName::parse(wish.method.full()).expect("the catalogue has good names"),
            body: wish.body.clone(),
            extensions: wish.extensions.clone(),
            made: wish.made,
            timeout: wish.timeout.map(|span| Timeout { span, source: TimeoutSource::Call }),
            effect: wish.effect,
            priority: wish.priority,
            wait_for_ready: wish.wait_for_ready,
            cast: wish.cast,
            key: wish.key.map(|key| AffinityKey::parse(key).expect("callers have good keys")),
            broadcast: wish.broadcast,
            streams: wish.streams,
        };
        if !wish.streams.style().is_unary() {
            self.lines.insert(number, Line::of_caller(number, wish));
        }
        scene.note(self.host, || format!("makes call {number} of {}", call.method));
        self.want(Event::Call(call), scene);
        number
    }

    /// The program closes the client.
    pub(crate) fn close(&mut self, scene: &mut Scene) {
        self.closing = true;
        scene.ledger.closing.insert(self.key);
        let deadline = self.process.local(scene.now) + CLOSE_MAX;
        self.want(Event::Close { deadline }, scene);
    }

    /// No caller waits any more: none gives up either.
    pub(crate) fn forget_cancels(&mut self) {
        self.cancels.clear();
    }

    fn want(&mut self, wish: Event<u64>, scene: &mut Scene) {
        self.wishes.push(wish);
        let at = scene.handled();
        self.process.rouse(at);
    }

    /// A turn of the driver.
    pub(crate) fn turn(&mut self, scene: &mut Scene) {
        self.process.begin_turn();
        let now = self.process.local(scene.now);
        for wish in std::mem::take(&mut self.wishes) {
            self.handle(now, wish, scene);
        }
        self.send_items(now, scene);
        for _ in 0..scene.knobs.turn_inputs {
            let Some(input) = self.socket.next_input() else { break };
            self.input(now, input, scene);
        }
        self.send_items(now, scene);
        if !self.socket.has_input() && self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.handle(now, Event::Timeout, scene);
            let next = self.machine.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "{} wants to be woken again and again", self.host);
            self.check_deadlines(now, scene);
        }
        self.socket.flush(scene);
        if self.socket.has_input() {
            self.process.rouse(scene.now);
        }
        self.check(scene);
    }

    fn input(&mut self, now: Time, input: Input, scene: &mut Scene) {
        match input {
            Input::Connected => {
                let nonce = Nonce(scene.chance.bytes());
                self.handle(now, Event::Connected { nonce }, scene);
            }
            Input::Disconnected => {
                let chance = scene.chance.next() as u32;
                self.handle(now, Event::Disconnected { chance }, scene);
            }
            Input::Frames(frames) => {
                let mut out = Vec::new();
                self.machine.handle_message(now, &frames, &mut out);
                self.perform(now, out, scene);
            }
        }
    }

    fn handle(&mut self, now: Time, event: Event<u64>, scene: &mut Scene) {
        let mut out = Vec::new();
        self.machine.handle_event(now, event, &mut out);
        self.perform(now, out, scene);
    }

    fn perform(&mut self, now: Time, out: Vec<Action<u64>>, scene: &mut Scene) {
        for action in out {
            scene.note(self.host, || format!("{action:?}"));
            match action {
                Action::Connect => self.socket.connect(scene),
                Action::Disconnect => self.socket.disconnect(scene),
                Action::Send(envelope) => self.send(&envelope, scene),
                Action::StreamCredit { ticket, credit } => {
                    self.lines.get_mut(&ticket.0).expect("it has streams").grant(credit)
                }
                Action::Item { ticket, body, .. } => {
                    scene.ledger.touched(ticket.0, None);
                    self.lines.get_mut(&ticket.0).expect("it has streams").arrived(&body, scene);
                }
                Action::Progress { ticket, body } => {
                    let (number, attempt, step): Progress = body::decode(&body).expect("handlers wrote it");
                    assert_eq!(number, ticket.0, "progress of another call");
                    scene.ledger.progressed(number, attempt, step);
                }
                Action::Complete { token, outcome } => {
                    scene.ledger.resolved(token, now, &outcome);
                    if let Some(line) = self.lines.remove(&token) {
                        line.check_end(&outcome);
                    }
                    self.check_in_time(now, token, scene);
                }
                Action::Release { token } => {
                    self.lines.remove(&token);
                    scene.ledger.done(token);
                }
                Action::Rejected(failure) => panic!("{} is refused for ever: {failure}", self.host),
                Action::Closed => self.closed = true,
                Action::Log(_) => {}
            }
        }
        self.machine.assert_invariants();
    }

    /// Callers send what there is room for.
    fn send_items(&mut self, now: Time, scene: &mut Scene) {
        let numbers: Vec<u64> = self.lines.keys().copied().collect();
        for number in numbers {
            let ticket = Ticket(number);
            while let Some(body) = self.lines.get_mut(&number).and_then(Line::next_item) {
                self.handle(now, Event::Item { ticket, body }, scene);
            }
            if self.lines.get_mut(&number).is_some_and(Line::ends_now) {
                self.handle(now, Event::End(ticket), scene);
            }
        }
    }

    fn send(&mut self, envelope: &Envelope, scene: &mut Scene) {
        if let Envelope::Request(request) = envelope {
            let (number, _): (u64, serde_bytes::ByteBuf) = body::decode(&request.body).expect("callers wrote it");
            let id = CallId { caller: self.session.tag(), number: request.number };
            let memory = (scene.start, scene.ledger.forgotten.get(&self.name).copied().unwrap_or(0));
            scene.ledger.sent(number, id, request.flags.resend, memory);
            scene.credit_used(self.socket.connection(), request.body.len());
        }
        self.socket.send(envelope);
    }

    /// An outcome comes in time, unless the client itself was not run.
    fn check_in_time(&self, now: Time, number: u64, scene: &Scene) {
        let Some(last) = scene.ledger.last_moment(number) else { return };
        let excused = self.process.local(self.process.resumed);
        let latest = last.max(excused) + scene.knobs.lag;
        assert!(now <= latest, "call {number} ends {:?} too late", now.since(latest));
    }

    /// No call that it still waits for is overdue.
    fn check_deadlines(&self, now: Time, scene: &Scene) {
        for &number in scene.ledger.unresolved.get(&self.key).into_iter().flatten() {
            let wish = scene.ledger.wish(number);
            let grace =
                |timeout: Duration| if wish.broadcast { BROADCAST_GRACE } else { EXPIRY_GRACE_MAX.min(timeout / 10) };
            let overdue = wish.timeout.is_some_and(|timeout| wish.made + timeout + grace(timeout) <= now);
            assert!(!overdue, "call {number} is overdue, and its client does not notice");
        }
    }

    /// The machine has exactly the calls whose tokens it has not given back.
    fn check(&self, scene: &Scene) {
        assert_eq!(
            self.machine.waiting_len() + self.machine.open_len(),
            self.unresolved(scene),
            "{} loses calls",
            self.host
        );
    }

    /// Calls and casts whose tokens have not come back.
    fn unresolved(&self, scene: &Scene) -> usize {
        let made = scene.ledger.unresolved.get(&self.key).map_or(0, BTreeSet::len);
        made - self.wishes.iter().filter(|wish| matches!(wish, Event::Call(_))).count()
    }
}
