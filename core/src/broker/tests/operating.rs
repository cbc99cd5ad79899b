//! What operators change: pauses, limits, drains, cancels and purges.

use std::time::Duration;

use super::harness::{Harness, calc, millis, request, seconds};
use crate::{
    body,
    broker::{Diagnostic, Event, LimitsStatus, Operation, OperatorLimit},
    wire::{
        Envelope,
        envelope::{Request, RequestFlags},
        ids::ConnectionId,
        status::{Code, Executed, Failure},
    },
};

/// A worker with ten slots, a second one, and a client.
fn harness() -> (Harness, [ConnectionId; 2], ConnectionId) {
    let mut harness = Harness::new();
    let workers = [harness.worker(1, calc(10)), harness.worker(2, calc(10))];
    let client = harness.client(3);
    (harness, workers, client)
}

impl Harness {
    /// Performs an operation that must succeed. Returns how many calls or workers it concerns.
    fn operate(&mut self, operation: Operation) -> usize {
        self.try_operate(operation).unwrap()
    }

    fn try_operate(&mut self, operation: Operation) -> Result<usize, Box<Failure>> {
        let mut out = Vec::new();
        let result = self.broker.operate(self.now, operation, &mut out);
        self.apply(out);
        result
    }

    fn limits(&self) -> LimitsStatus {
        self.broker.operator_limits()
    }

    fn dispatched_to_all(&mut self, workers: [ConnectionId; 2]) -> usize {
        workers.map(|worker| self.dispatches(worker).len()).iter().sum()
    }

    fn name_of(&self, number: usize) -> String {
        self.broker.status(self.now).workers[number].name.clone()
    }

    fn reason(&self, number: u64) -> String {
        let open = self.broker.open_calls(self.now);
        open.into_iter().find(|why| why.call.ends_with(&format!("-{number}"))).unwrap().reason
    }
}

fn pause(target: &str) -> Operation {
    Operation::Pause { target: target.to_owned() }
}

fn resume(target: &str) -> Operation {
    Operation::Resume { target: target.to_owned() }
}

fn limit(target: &str, limit: OperatorLimit) -> Operation {
    Operation::Limit { target: target.to_owned(), limit }
}

#[test]
fn calls_of_a_paused_service_wait_and_continue_in_their_order() {
    let (mut harness, workers, client) = harness();
    assert_eq!(harness.operate(pause("calc")), 0);
    (1..=3).for_each(|number| harness.call(client, number, "calc.add"));
    assert_eq!(harness.dispatched_to_all(workers), 0);
    assert!(harness.reason(1).starts_with("an operator has paused calc; 0 calls are ahead"), "{}", harness.reason(1));
    assert!(harness.broker.open_calls(harness.now).iter().all(|why| why.estimate_ms.is_none()));
    assert_eq!(harness.operate(resume("calc")), 3);
    assert_eq!(harness.dispatched_to_all(workers), 3);
    assert!(harness.limits().limits.is_empty());
}

#[test]
fn the_pause_of_a_method_lets_calls_of_other_methods_pass() {
    let (mut harness, workers, client) = harness();
    harness.operate(pause("calc.add"));
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.push");
    assert_eq!(harness.dispatched_to_all(workers), 1);
    assert!(harness.reason(1).starts_with("an operator has paused calc.add"), "{}", harness.reason(1));
}

#[test]
fn a_pause_lasts_while_the_service_has_no_workers() {
    let (mut harness, workers, client) = harness();
    harness.operate(pause("calc"));
    for worker in workers {
        harness.handle(Event::Closed { connection: worker });
    }
    harness.advance_with(seconds(600), &[client]);
    let worker = harness.worker(4, calc(1));
    harness.call(client, 1, "calc.add");
    assert!(harness.dispatches(worker).is_empty(), "the pause is remembered");
    harness.operate(resume("calc"));
    assert_eq!(harness.dispatches(worker).len(), 1);
    harness.handle(Event::Closed { connection: worker });
    harness.advance_with(seconds(600), &[client]);
    assert!(harness.broker.status(harness.now).services.is_empty());
}

#[test]
fn the_pause_of_a_method_that_no_worker_offers_any_more_can_be_removed() {
    let (mut harness, workers, client) = harness();
    harness.operate(pause("calc.add"));
    for worker in workers {
        harness.handle(Event::Closed { connection: worker });
    }
    harness.advance_with(seconds(600), &[client]);
    harness.operate(resume("calc.add"));
    assert!(harness.limits().limits.is_empty());
}

#[test]
fn a_call_of_a_paused_service_ends_at_its_deadline() {
    let (mut harness, workers, client) = harness();
    harness.operate(pause("calc"));
    harness.send(client, Envelope::Request(Request { timeout: Some(millis(500)), ..request(1, "calc.add") }));
    harness.advance_with(seconds(1), &[workers[0], workers[1], client]);
    let failure = harness.failure(client);
    assert_eq!((failure.code, failure.executed), (Code::DeadlineExceeded, Executed::No));
    assert!(failure.message.ends_with("while it waited: an operator has paused calc"), "{failure}");
}

#[test]
fn an_operator_limits_the_calls_of_a_service_that_run_at_once() {
    let (mut harness, workers, client) = harness();
    harness.operate(limit("calc", OperatorLimit { concurrency: Some(2), ..OperatorLimit::default() }));
    (1..=5).for_each(|number| harness.call(client, number, if number % 2 == 0 { "calc.add" } else { "calc.push" }));
    let first = harness.dispatches(workers[0]);
    assert_eq!(first.len() + harness.dispatches(workers[1]).len(), 2);
    assert!(harness.reason(5).starts_with("2 calls of calc run, the maximum that an operator has set"));
    harness.reply(workers[0], &first[0], &[0]);
    assert_eq!(harness.dispatched_to_all(workers), 1);
    harness.operate(limit("calc", OperatorLimit::default()));
    assert_eq!(harness.dispatched_to_all(workers), 2, "without a limit all run");
}

#[test]
fn an_operator_limits_the_calls_of_a_method_that_start_in_a_second() {
    let (mut harness, workers, client) = harness();
    let ten = OperatorLimit { rate: Some(10.0), burst: Some(2), ..OperatorLimit::default() };
    harness.operate(limit("calc.add", ten));
    (1..=6).for_each(|number| harness.call(client, number, "calc.add"));
    harness.call(client, 7, "calc.push");
    assert_eq!(harness.dispatched_to_all(workers), 3, "a burst of two, and the other method");
    assert!(harness.reason(6).starts_with("an operator has limited calc.add to 10 calls per second"));
    let mut started = Vec::new();
    for _ in 0..2 {
        harness.advance_with(millis(200), &[workers[0], workers[1], client]);
        started.push(harness.dispatched_to_all(workers));
    }
    assert_eq!(started, [2, 2]);
}

#[test]
fn a_limit_keeps_a_pause_and_a_pause_keeps_a_limit() {
    let (mut harness, workers, client) = harness();
    let one = OperatorLimit { concurrency: Some(1), ..OperatorLimit::default() };
    harness.operate(pause("calc"));
    harness.operate(limit("calc", one));
    harness.call(client, 1, "calc.add");
    harness.call(client, 2, "calc.add");
    assert_eq!(harness.limits().limits[0].limit, OperatorLimit { paused: true, ..one });
    assert_eq!(harness.dispatched_to_all(workers), 0);
    harness.operate(resume("calc"));
    assert_eq!(harness.dispatched_to_all(workers), 1);
}

#[test]
fn a_paused_worker_gets_no_calls_even_after_a_reconnect() {
    let mut harness = Harness::new();
    let (worker, client) = (harness.worker(1, calc(10)), harness.client(3));
    let worker_name = harness.name_of(0);
    assert_eq!(harness.operate(Operation::PauseWorker { worker: worker_name.clone() }), 1);
    harness.call(client, 1, "calc.add");
    assert!(harness.dispatches(worker).is_empty());
    assert!(harness.reason(1).contains("1 of its workers are paused by an operator"), "{}", harness.reason(1));
    harness.handle(Event::Closed { connection: worker });
    let again = harness.worker(1, calc(10));
    assert!(harness.dispatches(again).is_empty());
    assert_eq!(harness.operate(Operation::ResumeWorker { worker: worker_name }), 1);
    assert_eq!(harness.dispatches(again).len(), 1);
}

#[test]
fn a_worker_that_is_asked_to_drain_receives_that() {
    let (mut harness, workers, _) = harness();
    let worker = harness.name_of(0);
    assert_eq!(harness.operate(Operation::DrainWorker { worker }), 1);
    assert_eq!(harness.received(workers[0]), [Envelope::Drain]);
}

#[test]
fn an_operator_cancels_a_waiting_and_a_running_call() {
    let (mut harness, workers, client) = harness();
    harness.call(client, 1, "calc.pay");
    harness.operate(pause("calc"));
    harness.call(client, 2, "calc.add");
    let ids: Vec<_> = harness.broker.open_calls(harness.now).into_iter().map(|why| why.call.parse().unwrap()).collect();
    ids.iter().for_each(|&call| assert_eq!(harness.operate(Operation::Cancel { call }), 1));
    let failed: Vec<_> = harness.replies(client).into_iter().map(|(_, outcome)| outcome.unwrap_err()).collect();
    assert!(failed.iter().all(|failure| failure.code == Code::Cancelled), "{failed:?}");
    assert_eq!(failed.iter().map(|failure| failure.executed).collect::<Vec<_>>(), [Executed::Maybe, Executed::No]);
    let received: Vec<_> = workers.iter().flat_map(|&worker| harness.received(worker)).collect();
    assert!(received.iter().any(|envelope| matches!(envelope, Envelope::Cancel(_))), "{received:?}");
    let again = harness.try_operate(Operation::Cancel { call: ids[1] }).unwrap_err();
    assert_eq!(again.code, Code::FailedPrecondition, "{again}");
}

#[test]
fn a_purge_ends_the_waiting_calls_of_its_target_only() {
    let (mut harness, workers, client) = harness();
    harness.call(client, 1, "calc.add");
    harness.operate(pause("calc"));
    (2..=4).for_each(|number| harness.call(client, number, "calc.add"));
    harness.call(client, 5, "calc.push");
    assert_eq!(harness.operate(Operation::Purge { target: "calc.add".to_owned() }), 3);
    let ended: Vec<_> = harness.replies(client).into_iter().map(|(number, _)| number).collect();
    assert_eq!(ended, [2, 3, 4]);
    harness.operate(resume("calc"));
    assert_eq!(harness.dispatched_to_all(workers), 2, "the running call, and that of the other method");
}

#[test]
fn each_unknown_target_and_invalid_limit_has_its_sentence() {
    let (mut harness, ..) = harness();
    let rate = |rate| OperatorLimit { rate: Some(rate), ..OperatorLimit::default() };
    let mut sentence = |operation| harness.try_operate(operation).unwrap_err().message.to_string();
    assert!(sentence(pause("cacl")).contains("no worker serves cacl"));
    assert!(sentence(pause("calc.ad")).contains("calc has no method ad; did you mean add"));
    assert!(sentence(pause("callboard.pool.p")).contains("cannot be paused"));
    assert!(sentence(Operation::PauseWorker { worker: "x".to_owned() }).contains("no worker x is connected"));
    assert!(sentence(limit("calc", rate(f64::NAN))).contains("not between 0.001 and 1000000"));
    assert!(sentence(limit("calc", rate(0.0))).contains("not between"));
    assert!(sentence(limit("calc", OperatorLimit { burst: Some(1), ..OperatorLimit::default() })).contains("a burst"));
}

#[test]
fn operations_are_calls_of_operators_and_are_logged() {
    let (mut harness, workers, client) = harness();
    let arguments = |values: &[&str]| body::encode(&values).unwrap();
    harness.send(client, Envelope::Request(Request { body: arguments(&["calc"]), ..request(1, "callboard.pause") }));
    assert!(harness.replies(client).pop().unwrap().1.is_ok());
    let logged =
        |diagnostic: &Diagnostic| matches!(diagnostic, Diagnostic::Operated { what, .. } if what == "pause calc");
    assert!(harness.diagnostics.iter().any(logged));
    let flags = RequestFlags { cast: true, ..RequestFlags::default() };
    harness.send(
        client,
        Envelope::Request(Request { flags, body: arguments(&["calc"]), ..request(2, "callboard.resume") }),
    );
    harness.call(client, 3, "calc.add");
    harness.advance(Duration::ZERO);
    assert_eq!(harness.dispatched_to_all(workers), 0, "a cast to the broker does nothing");
}
