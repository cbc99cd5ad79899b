//! The broker: its machine and the driver of it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    broker::{Action, Broker, Event, Identity, Note, Settings, Side, Status},
    time::Time,
    wire::{
        Bundler, Envelope,
        ids::{BrokerId, LinkId, StartId},
        limits,
        status::Code,
    },
};

use super::{
    catalogue::SERVICES,
    network::{End, Host, Parcel},
    process::Process,
    scene::Scene,
};

/// Turns after which the broker is asked what each open call waits for.
const WHY_EVERY: u64 = 50;

/// What comes from a connection.
#[derive(Debug)]
enum Input {
    Opened(Side, Host),
    Frames(Vec<Bytes>),
    Closed,
}

/// One start of the broker.
#[derive(Debug)]
pub(crate) struct BrokerHost {
    pub(crate) process: Process,
    pub(crate) machine: Broker,
    started: Time,
    start: StartId,
    /// The workers by their connections.
    names: BTreeMap<LinkId, String>,
    inputs: VecDeque<(LinkId, Input)>,
    /// Connections that the machine knows, each with its peer.
    open: BTreeMap<LinkId, Host>,
    bundlers: BTreeMap<LinkId, Bundler>,
    shutdown: Option<Time>,
    /// It was told to end, and has.
    pub(crate) stopped: bool,
}

impl BrokerHost {
    pub(crate) fn new(scene: &mut Scene) -> BrokerHost {
        scene.start += 1;
        scene.ledger.forgotten.clear();
        scene.keys.broker_starts();
        let knobs = &scene.knobs;
        let [retry_percent, retry_floor, retry_burst] = knobs.retries;
        let settings = Settings {
            frontend: "tcp://frontend".to_owned(),
            backend: "tcp://backend".to_owned(),
            heartbeat: knobs.heartbeat_broker,
            credit_calls: knobs.credit_calls,
            credit_bytes: knobs.credit_bytes,
            queue_calls_max: knobs.queue_calls,
            queue_age_max: knobs.queue_age,
            waiting_calls_max: knobs.waiting_calls,
            outcomes_bytes_max: knobs.outcomes_bytes,
            worker_bytes_max: knobs.worker_bytes,
            retry_percent,
            retry_floor,
            retry_burst,
            service_return: knobs.service_return,
            quiet_time: knobs.quiet_time,
            keys: knobs.key().map(Into::into),
            ..Settings::default()
        };
        let start = StartId(scene.chance.bytes());
        let identity = Identity { broker: BrokerId([1; 16]), start, fences_from: scene.start << 32 };
        let process = Process::new(scene.now, Duration::from_micros(scene.chance.below(1 << 40)));
        BrokerHost {
            machine: Broker::new(settings, identity, process.local(scene.now)),
            started: process.local(scene.now),
            start,
            names: BTreeMap::new(),
            process,
            inputs: VecDeque::new(),
            open: BTreeMap::new(),
            bundlers: BTreeMap::new(),
            shutdown: None,
            stopped: false,
        }
    }

    /// When the machine is to be run.
    pub(crate) fn due(&self) -> Option<Time> {
        self.process.due(self.machine.next_deadline())
    }

    /// The broker as it stands.
    pub(crate) fn status(&self, now: Time) -> Status {
        self.machine.status(self.process.local(now))
    }

    /// The operator ends the broker.
    pub(crate) fn shut_down(&mut self, patience: Duration, scene: &mut Scene) {
        self.shutdown = Some(self.process.local(scene.now) + patience);
        let at = scene.handled();
        self.process.rouse(at);
    }

    /// Something arrived.
    pub(crate) fn arrived(&mut self, link: LinkId, peer: Host, side: Side, parcel: Parcel, scene: &mut Scene) {
        let input = match parcel {
            Parcel::Opened => {
                let at = scene.arrival();
                scene.network.send(link, End::Peer, at, Parcel::Opened);
                Input::Opened(side, peer)
            }
            Parcel::Message(frames) => Input::Frames(frames),
            Parcel::Closed => {
                scene.network.close(link, End::Broker, None, usize::MAX);
                Input::Closed
            }
        };
        self.inputs.push_back((link, input));
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
        for _ in 0..scene.knobs.turn_inputs {
            let Some((link, input)) = self.inputs.pop_front().filter(|_| !self.stopped) else { break };
            self.input(now, link, input, scene);
        }
        if self.inputs.is_empty() && !self.stopped && self.machine.next_deadline().is_some_and(|at| at <= now) {
            self.handle(now, Event::Wake, scene);
            let next = self.machine.next_deadline();
            assert!(next.is_none_or(|at| at > now), "the broker wants to be woken again and again");
        }
        self.flush(scene);
        if !self.inputs.is_empty() {
            self.process.rouse(scene.now);
        }
        self.check_retries(now, scene);
        self.check_concurrency(now);
        if self.process.turns.is_multiple_of(WHY_EVERY) {
            for why in self.machine.open_calls(now) {
                assert!(!why.reason.is_empty(), "each open call waits for something: {why:?}");
            }
        }
    }

    /// Of a limited method no more calls are at workers than may be.
    fn check_concurrency(&self, now: Time) {
        for method in self.machine.service_statuses(now).iter().flat_map(|service| &service.methods) {
            let max = method.concurrency.unwrap_or(u32::MAX);
            assert!(method.running <= max, "{} calls of {} run, and {max} may", method.running, method.name);
        }
    }

    /// A storm of losses costs no more than the budget, whatever it meets: a share of the calls, a floor a second, and a burst,
    /// for each service.
    fn check_retries(&self, now: Time, scene: &Scene) {
        let [percent, floor, burst] = scene.knobs.retries.map(u64::from);
        let counters = self.machine.counters();
        let services = SERVICES.len() as u64 + u64::from(scene.knobs.rogue);
        let seconds = now.since(self.started).as_secs() + 1;
        let most = counters.calls * percent / 100 + services * (burst + floor * seconds);
        assert!(counters.repeated <= most, "{} retries, and the budgets allow {most}", counters.repeated);
    }

    fn input(&mut self, now: Time, link: LinkId, input: Input, scene: &mut Scene) {
        match input {
            Input::Opened(side, peer) => {
                self.open.insert(link, peer);
                let (nonce, until) = (Nonce(scene.chance.bytes()), now + limits::HANDSHAKE_MAX);
                let (address, origin) = ("somewhere".into(), scene.origin(peer).into());
                self.handle(now, Event::Opened { link, side, address, origin, nonce, until }, scene);
            }
            Input::Closed => {
                if self.open.remove(&link).is_some() {
                    self.handle(now, Event::Closed { link }, scene);
                }
            }
            Input::Frames(frames) => {
                if frames.iter().map(Bytes::len).sum::<usize>() > 10_000 {
                    self.handle(now, Event::Heard { link }, scene);
                }
                let mut out = Vec::new();
                self.machine.receive(now, link, &frames, &mut out);
                self.perform(out, scene);
            }
        }
    }

    fn handle(&mut self, now: Time, event: Event, scene: &mut Scene) {
        let mut out = Vec::new();
        self.machine.handle(now, event, &mut out);
        self.perform(out, scene);
    }

    fn perform(&mut self, out: Vec<Action>, scene: &mut Scene) {
        for action in out {
            scene.note(Host::Broker, || format!("{action:?}"));
            match action {
                Action::Send(link, envelope) => {
                    assert!(self.open.contains_key(&link), "the broker speaks on link {link}, which is closed");
                    self.count_credit(link, &envelope, scene);
                    if let (Envelope::Dispatch(dispatch), Some(worker)) = (&envelope, self.names.get(&link)) {
                        scene.keys.dispatch(self.start, worker, dispatch);
                    }
                    self.bundlers.entry(link).or_default().push(&envelope);
                }
                Action::Admit(link) => assert!(self.open.contains_key(&link), "who is let in is there"),
                Action::Close(link) => self.close(link, scene),
                Action::Note(note) => self.noted(note, scene),
                Action::Stopped => self.stopped = true,
            }
        }
        if !self.stopped {
            self.machine.check();
        }
    }

    fn count_credit(&self, link: LinkId, envelope: &Envelope, scene: &mut Scene) {
        let credit = match envelope {
            Envelope::Reply(reply) => reply.credit,
            Envelope::Credit(credit) => Some(*credit),
            _ => None,
        };
        if let Some(credit) = credit.filter(|_| self.open.get(&link) != Some(&Host::Rogue)) {
            scene.credit_granted(link, credit);
        }
    }

    fn close(&mut self, link: LinkId, scene: &mut Scene) {
        assert!(self.open.contains_key(&link), "the broker closes link {link} twice");
        self.flush(scene);
        self.open.remove(&link);
        let (at, lost) = (scene.arrival(), scene.lost_at_close());
        scene.network.close(link, End::Broker, Some(at), lost);
    }

    fn noted(&mut self, note: Note, scene: &mut Scene) {
        match note {
            Note::ClientGone { name, .. } => {
                scene.keys.client_gone(&name);
                *scene.ledger.forgotten.entry(name).or_default() += 1;
            }
            Note::WorkerJoined { link, name, .. } if self.open.get(&link) != Some(&Host::Rogue) => {
                scene.keys.joined(&name);
                self.names.insert(link, name.to_string());
            }
            // One that leaves when its time is up may still stop what it ran for an earlier connection.
            Note::WorkerLost { name, .. } | Note::WorkerLeft { name } => scene.keys.lost(&name),
            Note::SentAway { link, code, message } => {
                let good = self.open.get(&link).is_some_and(|&peer| peer != Host::Rogue);
                assert!(!good || code != Code::ResourceExhausted, "a peer that keeps to its credit: {message}");
            }
            _ => {}
        }
    }

    fn flush(&mut self, scene: &mut Scene) {
        for (&link, bundler) in &mut self.bundlers {
            for frames in bundler.take() {
                let at = scene.arrival();
                scene.network.send(link, End::Peer, at, Parcel::Message(frames.to_vec()));
            }
        }
        self.bundlers.clear();
    }
}
