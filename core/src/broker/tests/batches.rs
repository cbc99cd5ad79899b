//! Batches: calls that go to one worker although others are free.

use std::time::Duration;

use super::harness::{Harness, calc};
use crate::{
    broker::Settings,
    wire::{
        envelope::{Dispatch, Envelope, Reply},
        handshake::Offer,
        ids::ConnectionId,
    },
};

/// Two workers and a client of a service, whose handlers take a known time.
struct Scene {
    harness: Harness,
    workers: [ConnectionId; 2],
    client: ConnectionId,
    next_number: u64,
}

impl Scene {
    fn new(offer: &Offer, settings: Settings) -> Scene {
        let mut harness = Harness::just_started(settings);
        let workers = [harness.worker(1, offer.clone()), harness.worker(2, offer.clone())];
        let client = harness.client(3);
        Scene { harness, workers, client, next_number: 1 }
    }

    /// Makes one call after the other, whose workers report this handler time.
    fn measure(&mut self, handler_time: Duration) {
        for _ in 0..50 {
            self.call(1);
            for worker in self.workers {
                for dispatch in self.harness.dispatches(worker) {
                    self.reply(worker, &dispatch, Some(handler_time));
                }
            }
            // Another turn.
            self.harness.advance(Duration::from_micros(1));
        }
    }

    /// Makes calls in one turn.
    fn call(&mut self, calls: u64) {
        (0..calls).for_each(|_| self.call_method("calc.add"));
    }

    fn call_method(&mut self, method: &str) {
        self.harness.call(self.client, self.next_number, method);
        self.next_number += 1;
    }

    fn reply(&mut self, worker: ConnectionId, dispatch: &Dispatch, handler_time: Option<Duration>) {
        let (number, outcome) = (dispatch.number.0, Ok(b"\x00".as_slice().into()));
        let reply = Reply { number, outcome, credit: None, handler_time, extensions: Default::default() };
        self.harness.send(worker, Envelope::Reply(reply));
    }

    /// Returns how many calls each worker got, the fewest first.
    fn got(&mut self) -> [usize; 2] {
        let mut got = self.workers.map(|worker| self.harness.dispatches(worker).len());
        got.sort_unstable();
        got
    }
}

#[test]
fn short_calls_of_one_turn_go_to_one_worker() {
    let mut scene = Scene::new(&calc(100), Settings::default());
    scene.measure(Duration::from_micros(10));
    scene.call(10);
    assert_eq!(scene.got(), [0, 10], "ten handlers take 100 us");
    scene.harness.advance(Duration::from_micros(1));
    scene.call(10);
    assert_eq!(scene.got(), [0, 10], "the calls of the next turn go to the worker with fewer calls");
    scene.call(15);
    assert_eq!(scene.got(), [5, 10], "a batch has at most 20 calls, so the other worker gets the next ones");
}

#[test]
fn calls_of_unknown_or_long_handlers_are_spread() {
    let mut scene = Scene::new(&calc(100), Settings::default());
    scene.call(10);
    assert_eq!(scene.got(), [5, 5], "no worker has reported a time");
    let mut scene = Scene::new(&calc(100), Settings::default());
    scene.measure(Duration::from_millis(1));
    scene.call(10);
    assert_eq!(scene.got(), [5, 5]);
    let mut scene = Scene::new(&calc(100), Settings { batch_time: Duration::ZERO, ..Settings::default() });
    scene.measure(Duration::from_micros(10));
    scene.call(10);
    assert_eq!(scene.got(), [5, 5], "batches are off");
}

#[test]
fn a_handler_that_becomes_slow_ends_the_batches() {
    let mut scene = Scene::new(&calc(100), Settings::default());
    scene.measure(Duration::from_micros(2));
    scene.measure(Duration::from_millis(1));
    scene.call(2);
    assert_eq!(scene.got(), [1, 1]);
}

#[test]
fn a_call_of_an_unmeasured_method_joins_no_batch_of_short_calls() {
    let mut scene = Scene::new(&calc(100), Settings::default());
    scene.measure(Duration::from_micros(2));
    scene.call(1);
    scene.call_method("calc.push");
    assert_eq!(scene.got(), [1, 1]);
    scene.harness.advance(Duration::from_micros(1));
    scene.call_method("calc.push");
    scene.call(1);
    assert_eq!(scene.got(), [1, 1], "nor does a short call wait behind it");
}

#[test]
fn a_batch_takes_free_slots_only() {
    let mut offer = calc(3);
    offer.prefetch = 8;
    let mut scene = Scene::new(&offer, Settings::default());
    scene.measure(Duration::from_micros(2));
    scene.call(6);
    assert_eq!(scene.got(), [3, 3], "no call waits at a worker while another has a free slot");
}
