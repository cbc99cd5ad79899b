//! Tests of the shutdown of a worker.

use super::*;
use crate::{peer::simulated_broker::goodbye, wire::envelope::Ping};

const DRAIN: Action = Action::Send(Envelope::Drain);
/// The ping behind the drain: after its pong no more calls arrive. The first ping was sent behind the registration.
const PING: Action = Action::Send(Envelope::Ping(Ping { number: 2, done_below: None }));
const PONG: Envelope = Envelope::Pong(2);
const GOODBYE: Action = Action::Send(Envelope::Goodbye(None));

#[test]
fn a_worker_drains_finishes_its_calls_sends_goodbye_and_ends_when_it_is_answered() {
    let mut harness = Harness::connected(1, 1);
    harness.dispatch(1);
    harness.dispatch(2);
    assert_eq!(harness.shut_down_within(ms(30_000)), [DRAIN, PING, handed_back(2)]);
    assert_eq!(harness.dispatch(3), [handed_back(3)], "a call that was in flight is handed back, too");
    assert_eq!(harness.receive(&[PONG]), []);
    assert_eq!(harness.finish(1), [replied(1, result()), GOODBYE]);
    assert_eq!(harness.dispatch(4), []);
    assert_eq!(harness.receive(&[Envelope::Goodbye(None)]), [Action::Disconnect, Action::ShutdownComplete]);
    assert_eq!(harness.lose_connection(), []);
    assert_eq!(harness.worker.poll_timeout(), None);
}

#[test]
fn an_idle_worker_sends_goodbye_after_the_pong_behind_the_drain() {
    let mut harness = Harness::connected(1, 0);
    assert_eq!(harness.shut_down_within(ms(30_000)), [DRAIN, PING]);
    assert_eq!(harness.dispatch(1), [handed_back(1)], "the broker sent it before it read the drain");
    assert_eq!(harness.receive(&[Envelope::Pong(7)]), [], "the pong of another ping");
    assert_eq!(harness.receive(&[PONG]), [GOODBYE]);
}

#[test]
fn the_wait_for_the_pong_behind_the_drain_ends_at_the_deadline() {
    let mut harness = Harness::connected(1, 0);
    assert_eq!(harness.shut_down_within(ms(500)), [DRAIN, PING]);
    assert_eq!(harness.pass(ms(499)), []);
    assert_eq!(harness.pass(ms(1)), [GOODBYE]);
}

#[test]
fn at_the_drain_deadline_running_calls_are_stopped_and_goodbye_is_sent() {
    let mut harness = Harness::connected(2, 0);
    harness.dispatch(1);
    harness.dispatch(2);
    harness.receive(&[cancel(2)]);
    harness.shut_down_within(ms(500));
    harness.pass(ms(499));
    assert_eq!(harness.pass(ms(1)), [Action::Stop(first(1)), GOODBYE], "call 2 was stopped before");
    assert_eq!(harness.stopped(1), [], "after goodbye nothing is sent");
    assert_eq!(harness.pass(ms(1_999)), []);
    assert_eq!(
        harness.pass(ms(1)),
        [Action::Disconnect, Action::ShutdownComplete],
        "the wait for the answer is two seconds"
    );
}

#[test]
fn a_broker_lost_after_goodbye_completes_the_shutdown() {
    let mut harness = Harness::connected(1, 0);
    harness.shut_down_within(ms(500));
    assert_eq!(harness.receive(&[PONG]), [GOODBYE]);
    assert_eq!(harness.lose_connection(), [Action::ShutdownComplete]);
}

#[test]
fn a_disconnected_worker_finishes_its_calls_and_ends_without_reconnecting() {
    let mut harness = Harness::connected(2, 0);
    harness.dispatch(1);
    harness.lose_connection();
    assert_eq!(harness.pass(ms(10)), [Action::Connect]);
    assert_eq!(harness.shut_down_within(ms(30_000)), [Action::Disconnect]);
    assert_eq!(harness.pass(ms(10_000)), []);
    assert_eq!(harness.finish_job(first(1), result()), [Action::ShutdownComplete]);
}

#[test]
fn a_draining_worker_that_loses_its_connection_does_not_reconnect() {
    let mut harness = Harness::connected(2, 0);
    harness.dispatch(1);
    harness.dispatch(2);
    harness.shut_down_within(ms(500));
    assert_eq!(harness.lose_connection(), []);
    assert_eq!(harness.finish_job(first(1), result()), []);
    assert_eq!(harness.pass(ms(500)), [Action::Stop(first(2)), Action::ShutdownComplete]);
}

#[test]
fn a_goodbye_of_the_broker_while_draining_does_not_end_running_calls() {
    for code in [Code::Unavailable, Code::FailedPrecondition] {
        let mut harness = Harness::connected(1, 0);
        harness.dispatch(1);
        harness.shut_down_within(ms(500));
        assert_eq!(harness.receive(&[goodbye(code)])[0], Action::Disconnect);
        assert_eq!(harness.lose_connection(), []);
        assert_eq!(harness.finish_job(first(1), result()), [Action::ShutdownComplete]);
    }
}

#[test]
fn a_worker_that_never_connected_shuts_down_immediately() {
    let mut harness = Harness::new(1, 0);
    assert_eq!(harness.shut_down_within(ms(500)), [Action::ShutdownComplete]);
    assert_eq!(harness.shut_down_within(ms(500)), []);
}

#[test]
fn a_second_shutdown_can_only_make_the_deadline_earlier() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    harness.shut_down_within(ms(30_000));
    assert_eq!(harness.shut_down_within(ms(60_000)), []);
    assert_eq!(harness.shut_down_within(Duration::ZERO), [Action::Stop(first(1)), GOODBYE]);
}

#[test]
fn a_drain_of_the_broker_asks_the_driver_to_shut_down() {
    let mut harness = Harness::connected(1, 0);
    harness.dispatch(1);
    assert_eq!(harness.receive(&[Envelope::Drain]), [Action::Drain]);
    assert_eq!(harness.finish(1), [replied(1, result())], "until then nothing changes");
}
