//! Shutting down.

use super::*;
use crate::{peer::simulated_broker::goodbye, wire::envelope::Ping};

const DRAIN: Action = Action::Send(Envelope::Drain);
/// Behind the drain: its pong tells that nothing is on its way any more. The first ping went behind the registration.
const PING: Action = Action::Send(Envelope::Ping(Ping { number: 2, done_below: None }));
const PONG: Envelope = Envelope::Pong(2);
const GOODBYE: Action = Action::Send(Envelope::Goodbye(None));

#[test]
fn a_worker_drains_finishes_says_goodbye_and_leaves_when_it_is_answered() {
    let mut stage = Stage::connected(1, 1);
    stage.dispatch(1);
    stage.dispatch(2);
    assert_eq!(stage.shut_down_within(ms(30_000)), [DRAIN, PING, handed_back(2)]);
    assert_eq!(stage.dispatch(3), [handed_back(3)], "one that was on its way goes back, too");
    assert_eq!(stage.hear(&[PONG]), []);
    assert_eq!(stage.finish(1), [replied(1, five()), GOODBYE]);
    assert_eq!(stage.dispatch(4), []);
    assert_eq!(stage.hear(&[Envelope::Goodbye(None)]), [Action::Disconnect, Action::ShutdownComplete]);
    assert_eq!(stage.lose_connection(), []);
    assert_eq!(stage.worker.poll_timeout(), None);
}

#[test]
fn a_worker_that_runs_nothing_says_goodbye_when_nothing_is_on_its_way_any_more() {
    let mut stage = Stage::connected(1, 0);
    assert_eq!(stage.shut_down_within(ms(30_000)), [DRAIN, PING]);
    assert_eq!(stage.dispatch(1), [handed_back(1)], "the broker had not read the drain yet");
    assert_eq!(stage.hear(&[Envelope::Pong(7)]), [], "of another ping");
    assert_eq!(stage.hear(&[PONG]), [GOODBYE]);
}

#[test]
fn a_broker_that_does_not_answer_the_drain_delays_the_end_no_longer_than_the_drain_may_take() {
    let mut stage = Stage::connected(1, 0);
    assert_eq!(stage.shut_down_within(ms(500)), [DRAIN, PING]);
    assert_eq!(stage.pass(ms(499)), []);
    assert_eq!(stage.pass(ms(1)), [GOODBYE]);
}

#[test]
fn at_the_drain_deadline_what_runs_is_stopped_and_goodbye_is_said() {
    let mut stage = Stage::connected(2, 0);
    stage.dispatch(1);
    stage.dispatch(2);
    stage.hear(&[cancel(2)]);
    stage.shut_down_within(ms(500));
    stage.pass(ms(499));
    assert_eq!(stage.pass(ms(1)), [Action::Stop(first(1)), GOODBYE], "2 was told before");
    assert_eq!(stage.stopped(1), [], "after goodbye nothing is said");
    assert_eq!(stage.pass(ms(1_999)), []);
    assert_eq!(
        stage.pass(ms(1)),
        [Action::Disconnect, Action::ShutdownComplete],
        "two seconds are enough for the answer"
    );
}

#[test]
fn a_broker_lost_after_goodbye_completes_the_shutdown() {
    let mut stage = Stage::connected(1, 0);
    stage.shut_down_within(ms(500));
    assert_eq!(stage.hear(&[PONG]), [GOODBYE]);
    assert_eq!(stage.lose_connection(), [Action::ShutdownComplete]);
}

#[test]
fn apart_from_the_broker_what_runs_finishes_and_the_worker_leaves_without_coming_back() {
    let mut stage = Stage::connected(2, 0);
    stage.dispatch(1);
    stage.lose_connection();
    assert_eq!(stage.pass(ms(10)), [Action::Connect]);
    assert_eq!(stage.shut_down_within(ms(30_000)), [Action::Disconnect]);
    assert_eq!(stage.pass(ms(10_000)), []);
    assert_eq!(stage.finish_job(first(1), five()), [Action::ShutdownComplete]);
}

#[test]
fn a_broker_lost_while_draining_is_not_looked_for() {
    let mut stage = Stage::connected(2, 0);
    stage.dispatch(1);
    stage.dispatch(2);
    stage.shut_down_within(ms(500));
    assert_eq!(stage.lose_connection(), []);
    assert_eq!(stage.finish_job(first(1), five()), []);
    assert_eq!(stage.pass(ms(500)), [Action::Stop(first(2)), Action::ShutdownComplete]);
}

#[test]
fn a_broker_that_ends_while_the_worker_drains_is_let_go() {
    for code in [Code::Unavailable, Code::FailedPrecondition] {
        let mut stage = Stage::connected(1, 0);
        stage.dispatch(1);
        stage.shut_down_within(ms(500));
        assert_eq!(stage.hear(&[goodbye(code)])[0], Action::Disconnect);
        assert_eq!(stage.lose_connection(), []);
        assert_eq!(stage.finish_job(first(1), five()), [Action::ShutdownComplete]);
    }
}

#[test]
fn a_worker_that_never_connected_leaves_at_once() {
    let mut stage = Stage::new(1, 0);
    assert_eq!(stage.shut_down_within(ms(500)), [Action::ShutdownComplete]);
    assert_eq!(stage.shut_down_within(ms(500)), []);
}

#[test]
fn a_second_shutdown_can_only_hurry_the_first() {
    let mut stage = Stage::connected(1, 0);
    stage.dispatch(1);
    stage.shut_down_within(ms(30_000));
    assert_eq!(stage.shut_down_within(ms(60_000)), []);
    assert_eq!(stage.shut_down_within(Duration::ZERO), [Action::Stop(first(1)), GOODBYE]);
}
