//! What clients say.

use bytes::Bytes;

use super::{
    Action, Broker,
    call::{Call, CallKey, Caller, State},
    client::{ClientKey, Standing},
    own,
    retries::Retries,
    service::{Service, ServiceKey},
};
use crate::{
    time::Time,
    wire::{
        bundle::{EnvelopeError, EnvelopeErrorReason},
        envelope::{Cancel, Envelope, Ping, Request},
        ids::{CallNumber, ConnectionId},
        kind::Kind,
        status::{Code, Executed, Failure},
        streams::Style,
    },
};

impl Broker {
    pub(super) fn request(&mut self, now: Time, key: ClientKey, request: Request, out: &mut Vec<Action>) {
        self.acknowledged(now, key, request.done_below, out);
        let client = self.clients.get_mut(&key).expect("a connection that is a client's has a client");
        let bytes = request.body.len() as u64;
        if !client.credit.pay(bytes) {
            return self.over_credit(now, key, out);
        }
        if let Some(presence) = &mut client.presence {
            presence.calls += 1;
        }
        match client.standing(request.number, request.flags.resend) {
            Standing::New => self.accept(now, key, request, false, out),
            Standing::Unknown => self.accept(now, key, request, true, out),
            Standing::Open => self.known_already(now, key, request.number, bytes, out),
            Standing::Answered(outcome, extensions) => {
                self.counters.duplicates += 1;
                self.clients.get_mut(&key).expect("seen above").credit.owe(bytes);
                self.tell(now, key, request.number, outcome, extensions, out);
            }
            Standing::Done => {
                self.counters.duplicates += 1;
                self.clients.get_mut(&key).expect("seen above").credit.owe(bytes);
                self.grant(now, key, out);
            }
        }
    }

    fn over_credit(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(connection) = self.client_connection(key) else { return };
        let message = "more calls or bytes were sent than there was credit for";
        self.send_away(now, connection, Failure::new(Code::ResourceExhausted, Executed::No, message), out);
    }

    /// An open call came again: after a reconnect it is paid for anew, otherwise the second payment goes back.
    fn known_already(&mut self, now: Time, key: ClientKey, number: CallNumber, bytes: u64, out: &mut Vec<Action>) {
        self.counters.duplicates += 1;
        let client = self.clients.get_mut(&key).expect("the caller looked it up");
        let Some(&call) = client.open.get(number.0) else { return };
        let open = &mut self.calls[call.0];
        if open.paid_on == client.connection_number {
            client.credit.owe(bytes);
            return self.grant(now, key, out);
        }
        open.paid_on = client.connection_number;
        open.bytes = bytes;
        if open.flows.is_some() {
            self.resume_streams(now, key, call, out);
        }
    }

    fn accept(&mut self, now: Time, key: ClientKey, mut request: Request, uncertain: bool, out: &mut Vec<Action>) {
        self.counters.calls += 1;
        self.counters.casts += u64::from(request.flags.cast);
        let paid = request.body.len() as u64;
        self.resend_dead(key, &mut request);
        if request.method.service() == own::SERVICE {
            return self.own_request(now, key, &request, out);
        }
        let client = self.clients.get_mut(&key).expect("the caller looked it up");
        let denied = own::is_for_operators(&request.method) && !client.principal.operator;
        let from = Caller {
            client: key,
            party: client.party,
            tag: client.session.tag(),
            connection_number: client.connection_number,
            uncertain,
        };
        let service = self.service_key(now, request.method.service());
        let call = CallKey(self.calls.insert(Call::new(now, from, service, request)));
        self.calls[call.0].bytes = paid;
        let service = self.services.get_mut(&service).expect("just looked up or made");
        service.calls += 1;
        service.arrived.count(now);
        if !self.calls[call.0].cast {
            let number = self.calls[call.0].id.number;
            self.clients.get_mut(&key).expect("seen above").open.insert(number.0, call);
        }
        if denied {
            let failure = own::not_an_operator(&self.calls[call.0].method.to_string());
            return self.end(now, call, Err(Box::new(failure)), out);
        }
        if let Some(text) = self.calls[call.0].contradiction() {
            return self.fail(now, call, Code::InvalidArgument, text, out);
        }
        if self.leaving.is_some() {
            return self.fail(now, call, Code::Unavailable, "the broker is shutting down", out);
        }
        self.place(now, call, out);
    }

    /// A call to the broker itself is answered on the spot.
    fn own_request(&mut self, now: Time, key: ClientKey, request: &Request, out: &mut Vec<Action>) {
        let client = self.clients.get_mut(&key).expect("the caller looked it up");
        client.credit.owe(request.body.len() as u64);
        if request.flags.cast {
            // Nobody wants the answer, so nobody has to find it.
            return self.grant(now, key, out);
        }
        let caller = client.principal.clone();
        let outcome = match request.streams.style() {
            _ if request.flags.broadcast => Err(Box::new(own::no_broadcast(&request.method))),
            Style::Unary => self.own_call(now, &caller, request),
            style => Err(Box::new(own::wrong_style(&request.method, style))),
        };
        match &outcome {
            Ok(_) => self.counters.answered += 1,
            Err(_) => self.counters.failed += 1,
        }
        self.remember(key, request.number, &outcome, &Bytes::new());
        self.tell(now, key, request.number, outcome, Bytes::new(), out);
    }

    /// The number of a service by its name; a new one if nobody named it yet.
    pub(super) fn service_key(&mut self, now: Time, name: &str) -> ServiceKey {
        if let Some(&key) = self.service_names.get(name) {
            return key;
        }
        let key = ServiceKey(self.fresh_key());
        let quiet = self.started + self.settings.quiet_time;
        self.service_names.insert(name.to_owned(), key);
        self.services.insert(key, Service::new(name, quiet, Retries::new(now, &self.settings)));
        key
    }

    /// The caller is no longer interested: a waiting call is dropped, a running one is asked to stop. Nobody is answered.
    pub(super) fn cancel(&mut self, now: Time, key: ClientKey, cancel: Cancel, out: &mut Vec<Action>) {
        self.acknowledged(now, key, cancel.done_below, out);
        let client = self.clients.get_mut(&key).expect("a connection that is a client's has a client");
        let number = CallNumber(cancel.number);
        let Some(&call) = client.open.get(number.0) else { return };
        client.open.remove(number.0);
        self.abandon(now, call, out);
        self.grant(now, key, out);
    }

    /// A client says below which number it waits for nothing any more. A call that is open below it was cancelled, and the word of
    /// that was lost with its connection.
    fn acknowledged(&mut self, now: Time, key: ClientKey, below: Option<CallNumber>, out: &mut Vec<Action>) {
        let unwanted = self.acknowledge(key, below);
        if unwanted.is_empty() {
            return;
        }
        for call in unwanted {
            self.abandon(now, call, out);
        }
        self.grant(now, key, out);
    }

    /// Nobody waits for this call any more.
    pub(super) fn abandon(&mut self, now: Time, key: CallKey, out: &mut Vec<Action>) {
        self.counters.cancelled += 1;
        self.pay_back(key);
        self.close_streams(key);
        self.calls[key.0].client = None;
        match self.calls[key.0].state {
            State::Running { worker, dispatch, .. } => self.stop_running(now, key, worker, dispatch, out),
            State::Gathering => {
                self.stop_parts(now, key, out);
                self.take(key);
            }
            State::New | State::Blocked | State::Waiting { .. } => self.take(key),
        }
    }

    pub(super) fn client_ping(&mut self, now: Time, key: ClientKey, ping: Ping, out: &mut Vec<Action>) {
        self.acknowledged(now, key, ping.done_below, out);
        self.speak_to_client(now, key, Envelope::Pong(ping.number), out);
    }

    /// A request that could not be read is answered if its number could, and so is what a later version may mean by one.
    pub(super) fn refuse_request(&mut self, now: Time, key: ClientKey, refused: &EnvelopeError, out: &mut Vec<Action>) {
        if self.refuse_caller_item(now, key, refused, out) {
            return;
        }
        let request = refused.kind == Some(u64::from(Kind::Request.number()));
        let answerable = request || matches!(refused.reason, EnvelopeErrorReason::UnknownKind(_));
        let Some(number) = refused.number.filter(|_| answerable) else { return };
        let number = CallNumber(number);
        let failure = Failure::new(refused.code(), Executed::No, refused.to_string());
        if request {
            // Its sender has counted it as sent; what it used comes back at once.
            let client = self.clients.get_mut(&key).expect("a connection that is a client's has a client");
            if !client.credit.pay(refused.body_bytes) {
                return self.over_credit(now, key, out);
            }
            client.credit.owe(refused.body_bytes);
        }
        // A call of that number will have, or has had, an answer of its own.
        match self.clients.get(&key).is_some_and(|client| client.knows(number)) {
            true => self.grant(now, key, out),
            false => self.tell(now, key, number, Err(Box::new(failure)), Bytes::new(), out),
        }
    }

    pub(super) fn client_connection(&self, key: ClientKey) -> Option<ConnectionId> {
        self.clients.get(&key)?.presence.as_ref().map(|presence| presence.connection)
    }

    /// Sends to a client, if it is there.
    pub(super) fn speak_to_client(&mut self, now: Time, key: ClientKey, envelope: Envelope, out: &mut Vec<Action>) {
        let Some(presence) = self.clients.get_mut(&key).and_then(|client| client.presence.as_mut()) else { return };
        presence.speaks(now, &envelope);
        out.push(Action::Send(presence.connection, envelope));
    }

    /// Sends credit that is due and found no reply to ride on.
    pub(super) fn grant(&mut self, now: Time, key: ClientKey, out: &mut Vec<Action>) {
        let Some(client) = self.clients.get_mut(&key).filter(|client| client.presence.is_some()) else { return };
        if let Some(credit) = client.credit.grant() {
            self.speak_to_client(now, key, Envelope::Credit(credit), out);
        }
    }
}
