//! Tests of disconnects and reconnects.

use super::*;
use crate::{
    peer::{DisconnectReason, simulated_broker::goodbye},
    wire::{
        affinity::{Affinity, AffinityKey},
        envelope::{Credit, KeyFreed},
    },
};

fn slot_freed(offer: u32) -> Action {
    Action::Send(Envelope::Credit(Credit { calls: 1, bytes: 0, offer }))
}

#[test]
fn running_calls_continue_after_a_disconnect_and_their_outcomes_are_dropped() {
    let mut harness = Harness::connected(2, 0);
    harness.dispatch(1);
    assert_eq!(harness.lose_connection(), []);
    assert_eq!(harness.worker.running_len(), 1);
    assert_eq!(harness.finish_job(first(1), result()), []);
    assert_eq!((harness.worker.counters().outcomes_dropped, harness.worker.running_len()), (1, 0));
    assert_eq!(harness.diagnostics.last(), Some(&Diagnostic::OutcomeDropped(call(1))));
}

#[test]
fn a_worker_is_registered_when_the_ping_behind_its_registration_is_answered() {
    let mut harness = Harness::new(1, 0);
    let (_, ping) = harness.connect_and_register(1);
    assert_eq!(harness.diagnostics, []);
    harness.receive(&[Envelope::Pong(ping + 1)]);
    assert_eq!(harness.diagnostics, []);
    harness.receive(&[Envelope::Pong(ping)]);
    assert!(matches!(harness.diagnostics[..], [Diagnostic::Registered { .. }]));
    harness.receive(&[Envelope::Pong(ping)]);
    assert_eq!(harness.diagnostics.len(), 1);
}

#[test]
fn a_rejected_registration_is_not_logged_as_registered() {
    let mut harness = Harness::new(1, 0);
    let (_, ping) = harness.connect_and_register(1);
    harness.receive(&[goodbye(Code::FailedPrecondition), Envelope::Pong(ping)]);
    assert!(
        !harness.diagnostics.iter().any(|diagnostic| matches!(diagnostic, Diagnostic::Registered { .. })),
        "{:?}",
        harness.diagnostics
    );
}

#[test]
fn a_reconnected_worker_registers_its_free_slots_and_returns_the_others_as_calls_end() {
    let mut harness = Harness::connected(3, 0);
    harness.dispatch(1);
    harness.dispatch(2);
    harness.receive(&[dispatch(3, "text.reverse", None)]);
    harness.lose_connection();
    let free: Vec<u32> = harness.connect(1).offers.iter().map(|offer| offer.free).collect();
    assert_eq!(free, [1, 2]);
    assert_eq!(harness.finish_job(first(1), result()), [slot_freed(0)]);
    assert_eq!(harness.finish_job(first(3), result()), [slot_freed(1)]);
    assert_eq!(harness.worker.running_len(), 1);
}

#[test]
fn a_reconnected_worker_registers_its_keys_in_use_and_returns_each_with_its_slot() {
    let key = AffinityKey::parse("views").unwrap();
    let keyed = |number| match dispatch(number, "calculator.add", None) {
        Envelope::Dispatch(dispatch) => Envelope::Dispatch(Dispatch {
            affinity: Some(Box::new(Affinity { key: key.clone(), fence: 7 })),
            ..dispatch
        }),
        _ => unreachable!(),
    };
    let mut harness = Harness::connected(3, 0);
    harness.receive(&[keyed(1)]);
    harness.dispatch(2);
    harness.lose_connection();
    let offers = harness.connect(1).offers;
    assert_eq!((&offers[0].keys, &offers[1].keys), (&vec![key.clone()], &vec![]));
    assert_eq!(harness.finish_job(first(2), result()), [slot_freed(0)]);
    let freed = Action::Send(Envelope::KeyFreed(KeyFreed { offer: 0, key: key.clone() }));
    assert_eq!(harness.finish_job(first(1), result()), [freed]);
}

#[test]
fn dispatch_numbers_of_different_connections_are_separate() {
    let mut harness = Harness::connected(2, 0);
    harness.dispatch(1);
    harness.lose_connection();
    harness.connect(2);
    assert_eq!(started(&harness.dispatch(1)), [1], "a new start of the broker begins with number 1");
    let second = JobId { connection: ConnectionNumber(2), dispatch: DispatchNumber(1) };
    assert_eq!(harness.receive(&[cancel(1)]), [Action::Stop(second)]);
    assert_eq!(
        harness.finish_job(first(1), result()),
        [slot_freed(0)],
        "the old call does not answer the new dispatch"
    );
    assert_eq!(harness.finish_job(second, result()), [replied(1, result())]);
}

#[test]
fn prefetched_calls_are_dropped_with_the_connection() {
    let mut harness = Harness::connected(1, 2);
    harness.dispatch(1);
    harness.dispatch_within(2, ms(5_000));
    harness.lose_connection();
    assert_eq!(harness.worker.prefetched_len(), 0);
    harness.connect(1);
    assert_eq!(harness.finish_job(first(1), result()), [slot_freed(0)]);
    assert_eq!(harness.pass(ms(5_000)), []);
}

#[test]
fn calls_of_earlier_connections_keep_their_slots() {
    let mut harness = Harness::connected(2, 1);
    harness.dispatch(1);
    harness.lose_connection();
    harness.connect(1);
    assert_eq!(started(&harness.dispatch(2)), [2]);
    assert_eq!(harness.dispatch(3), [], "prefetched, because the old call has the other slot");
    let actions = harness.finish_job(first(1), result());
    assert_eq!((&actions[0], started(&actions)), (&slot_freed(0), vec![3]));
}

#[test]
fn calls_expire_while_the_worker_is_disconnected() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch_within(1, ms(100));
    harness.lose_connection();
    let actions = harness.pass(ms(100));
    assert_eq!(actions, [Action::Connect, Action::Stop(first(1))], "nothing is sent");
    assert_eq!(harness.event(Event::Stopped { job: first(1), started: true }), []);
}

#[test]
fn a_call_of_an_earlier_connection_is_not_reported_as_started() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    harness.lose_connection();
    harness.connect(1);
    assert_eq!(harness.pass(ms(500)), []);
}

#[test]
fn a_rejected_worker_does_not_reconnect() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    harness.dispatch(2);
    let actions = harness.receive(&[goodbye(Code::AlreadyExists)]);
    assert!(matches!(&actions[..], [Action::Disconnect, Action::Rejected(why)] if why.code == Code::AlreadyExists));
    harness.lose_connection();
    assert_eq!(harness.pass(ms(60_000)), []);
    assert_eq!(harness.shut_down_within(ms(500)), [], "running calls may finish");
    assert_eq!(harness.finish_job(first(1), result()), [Action::ShutdownComplete]);
}

#[test]
fn after_an_unavailable_goodbye_the_worker_reconnects() {
    let mut harness = Harness::connected(1, 0);
    assert_eq!(harness.receive(&[goodbye(Code::Unavailable)]), [Action::Disconnect]);
    assert!(matches!(
        harness.diagnostics.last(),
        Some(Diagnostic::Disconnected { reason: DisconnectReason::Goodbye(_), running: 0 })
    ));
    harness.lose_connection();
    harness.connect(2);
}
