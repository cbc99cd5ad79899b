//! Losing the broker, and coming back to it.

use super::*;
use crate::{
    peer::{DisconnectReason, simulated_broker::goodbye},
    wire::{
        affinity::{Affinity, AffinityKey},
        envelope::{Credit, KeyFreed},
    },
};

fn slot_back(offer: u32) -> Action {
    Action::Send(Envelope::Credit(Credit { calls: 1, bytes: 0, offer }))
}

#[test]
fn what_runs_runs_on_and_its_outcome_is_dropped_and_counted() {
    let mut stage = Stage::connected(2, 0);
    stage.dispatch(1);
    assert_eq!(stage.lose_connection(), []);
    assert_eq!(stage.worker.running_len(), 1);
    assert_eq!(stage.finish_job(first(1), five()), []);
    assert_eq!((stage.worker.counters().outcomes_dropped, stage.worker.running_len()), (1, 0));
    assert_eq!(stage.notes.last(), Some(&Diagnostic::OutcomeDropped(call(1))));
}

#[test]
fn it_has_joined_when_the_broker_has_answered_what_it_asked_behind_its_registration() {
    let mut stage = Stage::new(1, 0);
    let (_, ping) = stage.join_and_register(1);
    assert_eq!(stage.notes, []);
    stage.hear(&[Envelope::Pong(ping + 1)]);
    assert_eq!(stage.notes, []);
    stage.hear(&[Envelope::Pong(ping)]);
    assert!(matches!(stage.notes[..], [Diagnostic::Registered { .. }]));
    stage.hear(&[Envelope::Pong(ping)]);
    assert_eq!(stage.notes.len(), 1);
}

#[test]
fn a_registration_that_is_refused_is_not_said_to_have_been_taken() {
    let mut stage = Stage::new(1, 0);
    let (_, ping) = stage.join_and_register(1);
    stage.hear(&[goodbye(Code::FailedPrecondition), Envelope::Pong(ping)]);
    assert!(!stage.notes.iter().any(|note| matches!(note, Diagnostic::Registered { .. })), "{:?}", stage.notes);
}

#[test]
fn it_registers_again_with_the_slots_that_are_free_and_gives_each_other_one_back_as_it_ends() {
    let mut stage = Stage::connected(3, 0);
    stage.dispatch(1);
    stage.dispatch(2);
    stage.hear(&[dispatch(3, "text.reverse", None)]);
    stage.lose_connection();
    let free: Vec<u32> = stage.join(1).offers.iter().map(|offer| offer.free).collect();
    assert_eq!(free, [1, 2]);
    assert_eq!(stage.finish_job(first(1), five()), [slot_back(0)]);
    assert_eq!(stage.finish_job(first(3), five()), [slot_back(1)]);
    assert_eq!(stage.worker.running_len(), 1);
}

#[test]
fn it_registers_again_with_the_keys_that_are_in_use_and_gives_each_back_with_its_slot() {
    let key = AffinityKey::parse("views").unwrap();
    let keyed = |number| match dispatch(number, "calculator.add", None) {
        Envelope::Dispatch(dispatch) => {
            Envelope::Dispatch(Dispatch { affinity: Some(Affinity { key: key.clone(), fence: 7 }), ..dispatch })
        }
        _ => unreachable!(),
    };
    let mut stage = Stage::connected(3, 0);
    stage.hear(&[keyed(1)]);
    stage.dispatch(2);
    stage.lose_connection();
    let offers = stage.join(1).offers;
    assert_eq!((&offers[0].keys, &offers[1].keys), (&vec![key.clone()], &vec![]));
    assert_eq!(stage.finish_job(first(2), five()), [slot_back(0)]);
    let freed = Action::Send(Envelope::KeyFreed(KeyFreed { offer: 0, key: key.clone() }));
    assert_eq!(stage.finish_job(first(1), five()), [freed]);
}

#[test]
fn numbers_of_another_connection_never_mix() {
    let mut stage = Stage::connected(2, 0);
    stage.dispatch(1);
    stage.lose_connection();
    stage.join(2);
    assert_eq!(runs(&stage.dispatch(1)), [1], "a new start of the broker counts from 1 again");
    let second = JobId { connection: ConnectionNumber(2), dispatch: DispatchNumber(1) };
    assert_eq!(stage.hear(&[cancel(1)]), [Action::Stop(second)]);
    assert_eq!(stage.finish_job(first(1), five()), [slot_back(0)], "the old one is not the new one's reply");
    assert_eq!(stage.finish_job(second, five()), [replied(1, five())]);
}

#[test]
fn held_calls_are_dropped_with_the_connection() {
    let mut stage = Stage::connected(1, 2);
    stage.dispatch(1);
    stage.dispatch_within(2, ms(5_000));
    stage.lose_connection();
    assert_eq!(stage.worker.prefetched_len(), 0);
    stage.join(1);
    assert_eq!(stage.finish_job(first(1), five()), [slot_back(0)]);
    assert_eq!(stage.pass(ms(5_000)), []);
}

#[test]
fn old_calls_and_prefetch_share_the_slots() {
    let mut stage = Stage::connected(2, 1);
    stage.dispatch(1);
    stage.lose_connection();
    stage.join(1);
    assert_eq!(runs(&stage.dispatch(2)), [2]);
    assert_eq!(stage.dispatch(3), [], "held: the old call has the other slot");
    let actions = stage.finish_job(first(1), five());
    assert_eq!((&actions[0], runs(&actions)), (&slot_back(0), vec![3]));
}

#[test]
fn a_deadline_is_kept_while_the_broker_is_gone() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch_within(1, ms(100));
    stage.lose_connection();
    let actions = stage.pass(ms(100));
    assert_eq!(actions, [Action::Connect, Action::Stop(first(1))], "and nothing is said of it to nobody");
    assert_eq!(stage.event(Event::Stopped { job: first(1), started: true }), []);
}

#[test]
fn a_call_of_an_earlier_connection_is_not_said_to_have_started() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    stage.lose_connection();
    stage.join(1);
    assert_eq!(stage.pass(ms(500)), []);
}

#[test]
fn a_worker_that_is_refused_says_so_and_stays_away() {
    let mut stage = Stage::connected(1, 1);
    stage.dispatch(1);
    stage.dispatch(2);
    let actions = stage.hear(&[goodbye(Code::AlreadyExists)]);
    assert!(matches!(&actions[..], [Action::Disconnect, Action::Rejected(why)] if why.code == Code::AlreadyExists));
    stage.lose_connection();
    assert_eq!(stage.pass(ms(60_000)), []);
    assert_eq!(stage.shut_down_within(ms(500)), [], "what runs may finish");
    assert_eq!(stage.finish_job(first(1), five()), [Action::ShutdownComplete]);
}

#[test]
fn sent_away_as_unavailable_it_comes_back() {
    let mut stage = Stage::connected(1, 0);
    assert_eq!(stage.hear(&[goodbye(Code::Unavailable)]), [Action::Disconnect]);
    assert!(matches!(
        stage.notes.last(),
        Some(Diagnostic::Disconnected { reason: DisconnectReason::Goodbye(_), running: 0 })
    ));
    stage.lose_connection();
    stage.join(2);
}
