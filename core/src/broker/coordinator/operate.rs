//! Calls to the broker's own service, and what operators change by them: pauses and limits of services, methods and workers, and the
//! end of single calls.
//!
//! | method of `callboard` | effect |
//! |---|---|
//! | `pause`, `resume` | calls of a service or method wait, and continue |
//! | `limit` | calls of a service or method run at most so many at once, or start at most so many in a second |
//! | `pause_worker`, `resume_worker` | a worker gets no calls, and gets calls again |
//! | `drain_worker` | a worker is asked to finish its calls and to leave |
//! | `cancel` | one call ends |
//! | `purge` | the waiting calls of a service end |
//!
//! Calls that are at workers continue, except for `cancel`. Pauses and limits last until the broker ends or an operator removes them.

use super::{
    super::{
        admin,
        deferred::DeferredWork,
        interface::{Action, Diagnostic, Operation},
        keys::{CallKey, ClientKey, ServiceKey, WorkerKey},
        outcome::Outcome,
        registry::{OperatorLimit, Service, similar},
        reserved,
        timers::Timer,
    },
    state::Broker,
};
use crate::{
    body,
    time::Time,
    wire::{
        envelope::{Envelope, Request},
        extensions::Extensions,
        ids::CallId,
        limits::OPERATOR_LIMITS_MAX,
        status::{Code, Executed, Failure},
    },
};

/// A service, or one of its methods.
#[derive(Debug)]
struct Target {
    service: ServiceKey,
    method: Option<String>,
}

impl Broker {
    /// Performs a change that an operator requests. Returns how many calls or workers it concerns: the waiting calls of a paused or
    /// limited service, the workers of a name, or the calls that ended.
    ///
    /// # Errors
    /// The failure that answers the operator, if there is no such target, or a limit is not valid.
    pub fn operate(&mut self, now: Time, operation: Operation, out: &mut Vec<Action>) -> Result<usize, Box<Failure>> {
        if self.lifecycle.stopped {
            return Err(Box::new(Failure::new(Code::Unavailable, Executed::No, "the broker has stopped")));
        }
        self.detect_stall(now);
        let result = self.perform(now, operation, out);
        self.finish_step(now, out);
        result
    }

    /// Handles a call to the broker's own service, which is answered at once.
    pub(super) fn on_admin_request(
        &mut self,
        now: Time,
        key: ClientKey,
        request: &Request,
        denied: Option<String>,
        out: &mut Vec<Action>,
    ) {
        let client = self.sessions.client_mut(key);
        client.release_credit(request.body.len() as u64);
        if request.flags.cast {
            // Its outcome would be dropped, so it is not computed.
            return self.sessions.grant_credit(now, key, out);
        }
        let caller = client.principal().clone();
        let outcome = match denied {
            Some(text) => {
                self.log_denial(key, &text, out);
                Err(Box::new(Failure::new(Code::PermissionDenied, Executed::No, text)))
            }
            None => admin::check_admin_call(&caller, request).and_then(|()| {
                if !admin::is_operation(request.method.method()) {
                    return admin::handle_admin_call(self, now, &caller, request);
                }
                self.on_operation(now, key, request, out)
            }),
        };
        match &outcome {
            Ok(_) => self.counters.answered += 1,
            Err(_) => self.counters.failed += 1,
        }
        self.admin_metrics.count(outcome.as_ref().err().map(|failure| failure.code));
        let max = self.settings.outcomes_bytes_max;
        self.sessions.cache_reply(key, request.number, &outcome, &Extensions::NONE, max);
        self.sessions.deliver(now, key, request.number, outcome, Extensions::NONE, out);
    }

    /// Handles a call of one of the methods that change something for operators. The right to call it was checked.
    fn on_operation(&mut self, now: Time, client: ClientKey, request: &Request, out: &mut Vec<Action>) -> Outcome {
        let operation = Operation::read(request.method.method(), &request.body)?;
        let what = operation.to_string();
        let result = self.perform(now, operation, out)?;
        let connection = self.sessions.connection_of(client);
        let key = self.sessions.get(client).and_then(|client| client.principal().name().map(ToString::to_string));
        out.extend(connection.map(|connection| Action::Log(Diagnostic::Operated { connection, key, what })));
        body::encode(&result).map_err(|error| Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string())))
    }

    fn perform(&mut self, now: Time, operation: Operation, out: &mut Vec<Action>) -> Result<usize, Box<Failure>> {
        operation.check()?;
        self.admin.clear();
        match operation {
            Operation::Pause { target } => self.change_limit(now, &target, |limit| limit.paused = true),
            Operation::Resume { target } => self.change_limit(now, &target, |limit| limit.paused = false),
            Operation::Limit { target, limit } => self.change_limit(now, &target, |old| {
                *old = OperatorLimit { paused: old.paused, ..limit };
            }),
            Operation::PauseWorker { worker } => self.pause_worker(now, &worker, true, out),
            Operation::ResumeWorker { worker } => self.pause_worker(now, &worker, false, out),
            Operation::DrainWorker { worker } => self.ask_to_drain(now, &worker, out),
            Operation::Cancel { call } => self.cancel_for_operator(now, call, out),
            Operation::Purge { target } => self.purge(now, &target, out),
        }
    }

    /// Changes a limit. Returns how many calls of the service wait.
    fn change_limit(
        &mut self,
        now: Time,
        target: &str,
        change: impl FnOnce(&mut OperatorLimit),
    ) -> Result<usize, Box<Failure>> {
        let Target { service: key, method } = self.target(target)?;
        let limited = |(_, service): &(ServiceKey, &Service)| !service.operator_limits.is_empty();
        let limited = self.registry.services().filter(limited).count();
        let service = self.registry.service_mut(key);
        let mut limit = service.operator_limits.get(method.as_deref());
        change(&mut limit);
        if !limit.is_none() && service.operator_limits.is_empty() && limited >= OPERATOR_LIMITS_MAX {
            let text = format!("{limited} services have limits, and more are not allowed: remove some");
            return Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::No, text)));
        }
        service.operator_limits.set(method.as_deref(), limit);
        let waiting = service.queue.len();
        self.deferred.add(DeferredWork::FillService(key));
        // A service without workers and calls is remembered for as long as it has limits.
        if self.registry.service(key).offers == 0 {
            self.registry.schedule_expiry(now + self.settings.service_return, key, &mut self.timers);
        }
        Ok(waiting)
    }

    /// Lets calls of a service start whose rate an operator has limited, when a token has returned.
    pub(super) fn on_rate_refill(&mut self, now: Time, key: ServiceKey) {
        let Some(service) = self.registry.find_service_mut(key) else { return };
        if let Some(change) = service.operator_limits.refill(now) {
            self.timers.replace(change.cancel, change.set, Timer::OperatorRate(key));
        }
        self.deferred.add(DeferredWork::FillService(key));
    }

    /// Pauses or resumes the workers of a name. Returns how many are connected.
    fn pause_worker(
        &mut self,
        now: Time,
        name: &str,
        paused: bool,
        out: &mut Vec<Action>,
    ) -> Result<usize, Box<Failure>> {
        let known = self.registry.paused_workers();
        if !known.contains(name) {
            self.operable_workers(name)?;
        }
        if paused && known.len() >= OPERATOR_LIMITS_MAX && !known.contains(name) {
            let text = format!("{} workers are paused, and more are not allowed: resume some", known.len());
            return Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::No, text)));
        }
        let workers = self.registry.set_paused(name, paused);
        for &worker in &workers {
            if paused {
                self.unbind(worker);
            } else {
                self.fill_worker(now, worker, out);
            }
        }
        Ok(workers.len())
    }

    /// Asks the workers of a name to drain. Returns how many there are.
    fn ask_to_drain(&mut self, now: Time, name: &str, out: &mut Vec<Action>) -> Result<usize, Box<Failure>> {
        let workers = self.operable_workers(name)?;
        workers.iter().for_each(|&worker| self.registry.send(now, worker, Envelope::Drain, out));
        Ok(workers.len())
    }

    /// Ends a call for an operator.
    fn cancel_for_operator(&mut self, now: Time, id: CallId, out: &mut Vec<Action>) -> Result<usize, Box<Failure>> {
        let refused = |text: String| Box::new(Failure::new(Code::FailedPrecondition, Executed::No, text));
        let key = self.calls.find(id).ok_or_else(|| refused(admin::explain_not_open(self, id)))?;
        let call = &self.calls[key];
        if !call.is_wanted() {
            return Err(refused(format!("{id} was ended before, and its worker was asked to stop it")));
        }
        let failure = call.failure(Code::Cancelled, "an operator cancelled it");
        self.counters.cancelled += 1;
        self.end_anywhere(now, key, Err(Box::new(failure)), out);
        Ok(1)
    }

    /// Ends the calls of a service or method that wait. Returns their number.
    fn purge(&mut self, now: Time, target: &str, out: &mut Vec<Action>) -> Result<usize, Box<Failure>> {
        let target = self.target(target)?;
        let service = self.registry.service(target.service);
        let is_meant = |call: &CallKey| {
            let method = self.calls[*call].method.method();
            target.method.as_ref().is_none_or(|target| target == method)
        };
        let waiting = service.queue.iter().chain(self.affinity.waiting_calls(target.service));
        let calls: Vec<CallKey> = waiting.filter(is_meant).collect();
        for &call in &calls {
            // A call of the list may have ended with another one: a broadcast ends with its last subcall.
            if self.calls.get(call).is_some() {
                self.counters.cancelled += 1;
                self.fail(now, call, Code::Cancelled, "an operator purged the queue of its service", out);
            }
        }
        Ok(calls.len())
    }

    /// Returns the service or method that an operator means: `SERVICE` or `SERVICE.METHOD`.
    fn target(&self, text: &str) -> Result<Target, Box<Failure>> {
        if reserved::is_reserved(text) {
            let text = format!("{text} serves operators: it cannot be paused, limited or purged");
            return Err(Box::new(Failure::new(Code::InvalidArgument, Executed::No, text)));
        }
        if let Some(service) = self.registry.find(text) {
            return Ok(Target { service, method: None });
        }
        let of_method =
            text.rsplit_once('.').and_then(|(service, method)| Some((self.registry.find(service)?, method)));
        let (code, message) = match of_method {
            Some((service, method)) if self.registry.service(service).knows(method) => {
                return Ok(Target { service, method: Some(method.to_owned()) });
            }
            Some((service, method)) => self.registry.explain_unserved(service, method),
            None => (Code::FailedPrecondition, self.registry.explain_no_workers(text)),
        };
        Err(Box::new(Failure::new(code, Executed::No, message)))
    }

    /// Returns the connected workers of a name, unless they serve operators.
    fn operable_workers(&self, name: &str) -> Result<Vec<WorkerKey>, Box<Failure>> {
        let workers = self.registry.workers_named(name);
        let refused = |code, text| Err(Box::new(Failure::new(code, Executed::No, text)));
        if workers.is_empty() {
            let names = self.registry.workers().map(|(_, worker)| &**worker.name);
            let meant = match similar(name, names).join(" or ") {
                meant if meant.is_empty() => String::new(),
                meant => format!("; did you mean {meant}?"),
            };
            return refused(Code::FailedPrecondition, format!("no worker {name} is connected{meant}"));
        }
        let serves_operators = |worker: &WorkerKey| {
            let offers = self.registry.worker(*worker).offers();
            offers.iter().any(|offer| reserved::is_reserved(&self.registry.service(offer.service).name))
        };
        if workers.iter().any(serves_operators) {
            return refused(Code::InvalidArgument, format!("worker {name} serves operators: stop its pool instead"));
        }
        Ok(workers)
    }
}
