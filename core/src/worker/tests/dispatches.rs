//! Tests of dispatches.

use super::*;
use crate::wire::kind::Kind;

#[test]
fn a_worker_registers_its_services_with_all_slots_free() {
    let mut harness = Harness::new(4, 2);
    let register = harness.connect(1);
    let offers: Vec<_> =
        register.offers.iter().map(|offer| (&*offer.service, offer.slots, offer.free, offer.prefetch)).collect();
    assert_eq!(offers, [("calculator", 4, 4, 2), ("text", 4, 4, 2)]);
}

#[test]
fn a_dispatch_runs_immediately_if_a_slot_is_free() {
    let mut harness = Harness::connected(1, 0);
    harness.now = at(1_000);
    let actions = harness.receive(&[dispatch(7, "calculator.sub", Some(ms(500)))]);
    let job = Job {
        id: first(7),
        offer: 0,
        method: 1,
        call: call(7),
        caller_name: None,
        attempt: 2,
        deadline: Some(at(1_500)),
        affinity: None,
        streams: Streams::NONE,
        extensions: Default::default(),
        body: Bytes::from_static(&[0x82, 2, 3]),
    };
    assert_eq!(actions, [Action::Run(job)]);
    assert_eq!(harness.worker.running_len(), 1);
}

#[test]
fn each_service_has_its_own_slots() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    let actions = harness.receive(&[dispatch(2, "text.reverse", None)]);
    assert!(matches!(&actions[..], [Action::Run(Job { offer: 1, method: 0, .. })]));
}

#[test]
fn a_call_of_an_unknown_method_fails_as_unimplemented() {
    let mut harness = Harness::connected(1, 0);
    let actions = harness.receive(&[dispatch(1, "calculator.div", None), dispatch(2, "unknown.add", None)]);
    assert_eq!(failed(&actions), [(1, Code::Unimplemented, Executed::No), (2, Code::Unimplemented, Executed::No)]);
    assert!(matches!(
        harness.diagnostics[..],
        [Diagnostic::Registered { .. }, Diagnostic::UnknownMethod(_), Diagnostic::UnknownMethod(_)]
    ));
}

#[test]
fn a_call_without_a_slot_is_prefetched_and_above_the_prefetch_handed_back() {
    let mut harness = Harness::connected(2, 1);
    assert_eq!(started(&harness.dispatch(1)), [1]);
    assert_eq!(started(&harness.dispatch(2)), [2]);
    assert_eq!(harness.dispatch(3), []);
    assert_eq!(harness.dispatch(4), [handed_back(4)]);
    assert_eq!((harness.worker.running_len(), harness.worker.prefetched_len()), (2, 1));
    assert_eq!(harness.diagnostics.last(), Some(&Diagnostic::Overrun(call(4))));
}

#[test]
fn prefetched_calls_run_in_order_as_slots_become_free() {
    let mut harness = Harness::connected(1, 2);
    for number in 1..=3 {
        harness.dispatch(number);
    }
    for number in 1..=2 {
        let actions = harness.finish(number);
        assert_eq!(actions[0], replied(number, result()), "the reply is sent first");
        assert_eq!(started(&actions), [number + 1]);
    }
    assert_eq!(harness.finish(3), [replied(3, result())]);
}

#[test]
fn an_expired_prefetched_call_never_starts() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    harness.dispatch_within(2, ms(10));
    assert_eq!(harness.pass(ms(9)), []);
    assert_eq!(failed(&harness.pass(ms(1))), [(2, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(harness.finish(1), [replied(1, result())]);
}

#[test]
fn a_prefetched_call_that_expired_during_a_stall_never_starts() {
    let mut harness = Harness::connected(1, 2);
    harness.dispatch(1);
    harness.dispatch_within(2, ms(500));
    harness.dispatch_within(3, ms(60_000));
    // The process was stopped, so the end of the handler is processed before the timer.
    harness.now = harness.now + ms(1_000);
    let actions = harness.finish(1);
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(started(&actions), [3]);
}

#[test]
fn a_dispatch_that_is_expired_on_arrival_never_starts() {
    let mut harness = Harness::connected(1, 1);
    assert_eq!(failed(&harness.dispatch_within(1, Duration::ZERO)), [(1, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(harness.worker.counters().expired, 1);
}

#[test]
fn a_duplicate_dispatch_runs_once() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    harness.dispatch(2);
    assert_eq!((harness.dispatch(1), harness.dispatch(2)), (vec![], vec![]));
    assert_eq!(harness.diagnostics.last(), Some(&Diagnostic::UnexpectedMessage(Kind::Request)));
    assert_eq!((harness.worker.running_len(), harness.worker.prefetched_len()), (1, 1));
}

#[test]
fn a_malformed_dispatch_is_answered_and_the_others_of_its_bundle_run() {
    let mut harness = Harness::connected(1, 0);
    // {0: 5 (request), 1: 1 (number), 40: 0 (an unknown critical key)} and an empty body.
    let mut frame = vec![0xa3, 0x00, 0x05, 0x01, 0x01, 0x18, 0x28, 0x00, 0x40];
    frame.extend_from_slice(&messages(&[dispatch(2, "calculator.add", None)])[0][0]);
    let mut out = Vec::new();
    harness.worker.handle_message(harness.now, &[frame.into()], &mut out);
    let answer = out.iter().find_map(|action| match action {
        Action::Send(Envelope::Reply(reply)) => Some((reply.number, reply.outcome.as_ref().unwrap_err().code)),
        _ => None,
    });
    assert_eq!((answer, started(&out)), (Some((1, Code::Unimplemented)), vec![2]));
}

#[test]
fn malformed_messages_about_a_running_call_do_not_change_it() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    // {0: 40 (an unknown kind), 1: 1 (number)} and an empty body.
    let frame = Bytes::from_static(&[0xa2, 0x00, 0x18, 0x28, 0x01, 0x01, 0x40]);
    let mut out = Vec::new();
    harness.worker.handle_message(harness.now, &[frame], &mut out);
    harness.worker.handle_message(harness.now, &[Bytes::from_static(b"\xff")], &mut out);
    harness.worker.handle_message(harness.now, &[], &mut out);
    assert!(out.iter().all(|action| matches!(action, Action::Log(Diagnostic::InvalidEnvelope(_)))), "{out:?}");
    assert_eq!(harness.receive(&[Envelope::Handback(DispatchNumber(1)), Envelope::Started(DispatchNumber(1))]), []);
    assert!(harness.worker.counters().invalid_envelopes >= 4);
    assert_eq!(harness.finish(1), [replied(1, result())]);
}

#[test]
fn a_ping_is_answered_while_all_slots_are_taken() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    let ping = Envelope::Ping(Ping { number: 4, done_below: None });
    assert_eq!(harness.receive(&[ping]), [Action::Send(Envelope::Pong(4))]);
}
