//! What becomes of a dispatch.

use super::*;
use crate::wire::kind::Kind;

#[test]
fn a_worker_registers_what_it_serves_with_all_slots_free() {
    let mut stage = Stage::new(4, 2);
    let register = stage.join(1);
    let offers: Vec<_> =
        register.offers.iter().map(|offer| (&*offer.service, offer.slots, offer.free, offer.prefetch)).collect();
    assert_eq!(offers, [("calculator", 4, 4, 2), ("text", 4, 4, 2)]);
}

#[test]
fn a_dispatch_runs_at_once_where_a_slot_is_free() {
    let mut stage = Stage::connected(1, 0);
    stage.now = at(1_000);
    let actions = stage.hear(&[dispatch(7, "calculator.sub", Some(ms(500)))]);
    let job = Job {
        id: first(7),
        offer: 0,
        method: 1,
        call: call(7),
        attempt: 2,
        deadline: Some(at(1_500)),
        affinity: None,
        streams: Streams::NONE,
        extensions: Bytes::new(),
        body: Bytes::from_static(&[0x82, 2, 3]),
    };
    assert_eq!(actions, [Action::Run(job)]);
    assert_eq!(stage.worker.running_len(), 1);
}

#[test]
fn each_service_has_slots_of_its_own() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    let actions = stage.hear(&[dispatch(2, "text.reverse", None)]);
    assert!(matches!(&actions[..], [Action::Run(Job { offer: 1, method: 0, .. })]));
}

#[test]
fn a_method_that_the_worker_does_not_have_is_unimplemented() {
    let mut stage = Stage::connected(1, 0);
    let actions = stage.hear(&[dispatch(1, "calculator.div", None), dispatch(2, "nobody.add", None)]);
    assert_eq!(failed(&actions), [(1, Code::Unimplemented, Executed::No), (2, Code::Unimplemented, Executed::No)]);
    assert!(matches!(
        stage.notes[..],
        [Diagnostic::Registered { .. }, Diagnostic::UnknownMethod(_), Diagnostic::UnknownMethod(_)]
    ));
}

#[test]
fn what_finds_no_slot_is_held_and_what_finds_no_room_is_handed_back() {
    let mut stage = Stage::connected(2, 1);
    assert_eq!(runs(&stage.dispatch(1)), [1]);
    assert_eq!(runs(&stage.dispatch(2)), [2]);
    assert_eq!(stage.dispatch(3), []);
    assert_eq!(stage.dispatch(4), [handed_back(4)]);
    assert_eq!((stage.worker.running_len(), stage.worker.prefetched_len()), (2, 1));
    assert_eq!(stage.notes.last(), Some(&Diagnostic::Overrun(call(4))));
}

#[test]
fn held_calls_run_in_order_as_slots_become_free() {
    let mut stage = Stage::connected(1, 2);
    for number in 1..=3 {
        stage.dispatch(number);
    }
    for number in 1..=2 {
        let actions = stage.finish(number);
        assert_eq!(actions[0], replied(number, five()), "the reply goes first");
        assert_eq!(runs(&actions), [number + 1]);
    }
    assert_eq!(stage.finish(3), [replied(3, five())]);
}

#[test]
fn a_held_call_whose_time_is_up_never_starts() {
    let mut stage = Stage::connected(1, 1);
    stage.dispatch(1);
    stage.dispatch_within(2, ms(10));
    assert_eq!(stage.pass(ms(9)), []);
    assert_eq!(failed(&stage.pass(ms(1))), [(2, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(stage.finish(1), [replied(1, five())]);
}

#[test]
fn a_held_call_that_expired_while_the_worker_was_not_run_never_starts() {
    let mut stage = Stage::connected(1, 2);
    stage.dispatch(1);
    stage.dispatch_within(2, ms(500));
    stage.dispatch_within(3, ms(60_000));
    // The process was stopped: the handler's end is seen before the timer.
    stage.now = stage.now + ms(1_000);
    let actions = stage.finish(1);
    assert_eq!(failed(&actions), [(2, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(runs(&actions), [3]);
}

#[test]
fn a_dispatch_that_arrives_expired_never_starts() {
    let mut stage = Stage::connected(1, 1);
    assert_eq!(failed(&stage.dispatch_within(1, Duration::ZERO)), [(1, Code::DeadlineExceeded, Executed::No)]);
    assert_eq!(stage.worker.counters().expired, 1);
}

#[test]
fn a_dispatch_that_comes_twice_runs_once() {
    let mut stage = Stage::connected(1, 1);
    stage.dispatch(1);
    stage.dispatch(2);
    assert_eq!((stage.dispatch(1), stage.dispatch(2)), (vec![], vec![]));
    assert_eq!(stage.notes.last(), Some(&Diagnostic::UnexpectedMessage(Kind::Request)));
    assert_eq!((stage.worker.running_len(), stage.worker.prefetched_len()), (1, 1));
}

#[test]
fn a_dispatch_that_cannot_be_read_is_answered_and_the_others_of_its_bundle_run() {
    let mut stage = Stage::connected(1, 0);
    // {0: 5 (request), 1: 1 (number), 40: 0 (a critical key that nobody knows)} and an empty body.
    let mut frame = vec![0xa3, 0x00, 0x05, 0x01, 0x01, 0x18, 0x28, 0x00, 0x40];
    frame.extend_from_slice(&messages(&[dispatch(2, "calculator.add", None)])[0][0]);
    let mut out = Vec::new();
    stage.worker.handle_message(stage.now, &[frame.into()], &mut out);
    let answer = out.iter().find_map(|action| match action {
        Action::Send(Envelope::Reply(reply)) => Some((reply.number, reply.outcome.as_ref().unwrap_err().code)),
        _ => None,
    });
    assert_eq!((answer, runs(&out)), (Some((1, Code::Unimplemented)), vec![2]));
}

#[test]
fn nonsense_about_a_call_that_runs_leaves_it_as_it_is() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    // {0: 40 (a kind that nobody knows), 1: 1 (number)} and an empty body.
    let frame = Bytes::from_static(&[0xa2, 0x00, 0x18, 0x28, 0x01, 0x01, 0x40]);
    let mut out = Vec::new();
    stage.worker.handle_message(stage.now, &[frame], &mut out);
    stage.worker.handle_message(stage.now, &[Bytes::from_static(b"\xff")], &mut out);
    stage.worker.handle_message(stage.now, &[], &mut out);
    assert!(out.iter().all(|action| matches!(action, Action::Log(Diagnostic::InvalidEnvelope(_)))), "{out:?}");
    assert_eq!(stage.hear(&[Envelope::Drain, Envelope::Started(DispatchNumber(1))]), []);
    assert!(stage.worker.counters().invalid_envelopes >= 4);
    assert_eq!(stage.finish(1), [replied(1, five())]);
}

#[test]
fn a_ping_is_answered_while_every_slot_is_taken() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    let ping = Envelope::Ping(Ping { number: 4, done_below: None });
    assert_eq!(stage.hear(&[ping]), [Action::Send(Envelope::Pong(4))]);
}
