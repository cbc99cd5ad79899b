//! Tests of slots that all services of a worker share.

use super::*;

/// Returns a connected worker with two slots and a prefetch of two for each service, and these shared slots.
fn connected(shared: u32, prefetch: u32) -> Harness {
    let mut harness = Harness::sharing(2, 2, Some(shared), prefetch);
    harness.connect(1);
    harness
}

impl Harness {
    /// Dispatches a call of text.reverse.
    fn dispatch_text(&mut self, number: u64) -> Vec<Action> {
        self.receive(&[dispatch(number, "text.reverse", None)])
    }
}

#[test]
fn a_worker_registers_its_shared_slots() {
    let mut harness = Harness::sharing(2, 2, Some(3), 1);
    let register = harness.connect(1);
    assert_eq!((register.slots, register.prefetch), (Some(3), 1));
}

#[test]
fn a_call_without_a_free_shared_slot_is_prefetched_and_above_the_prefetch_handed_back() {
    let mut harness = connected(1, 1);
    assert_eq!(started(&harness.dispatch(1)), [1]);
    assert_eq!(harness.dispatch_text(2), [], "its service has a free slot, and the worker has none");
    assert_eq!(harness.dispatch_text(3), [handed_back(3)]);
    assert_eq!(harness.diagnostics.last(), Some(&Diagnostic::Overrun(call(3))));
}

#[test]
fn a_call_without_a_free_slot_of_its_service_is_prefetched_although_shared_slots_are_free() {
    let mut harness = connected(4, 4);
    for number in 1..=4 {
        harness.dispatch(number);
    }
    assert_eq!((harness.worker.running_len(), harness.worker.prefetched_len()), (2, 2));
    assert_eq!(harness.dispatch(5), [handed_back(5)]);
    assert_eq!(started(&harness.dispatch_text(6)), [6]);
}

#[test]
fn the_oldest_prefetched_call_of_any_service_runs_in_a_slot_that_becomes_free() {
    let mut harness = connected(1, 3);
    harness.dispatch(1);
    harness.dispatch_text(2);
    harness.dispatch(3);
    harness.dispatch_text(4);
    for (ended, next) in [(1, 2), (2, 3), (3, 4)] {
        assert_eq!(started(&harness.finish(ended)), [next]);
    }
}

#[test]
fn a_prefetched_call_whose_service_has_no_free_slot_does_not_block_later_calls_of_others() {
    let mut harness = connected(3, 3);
    harness.dispatch(1);
    harness.dispatch(2);
    harness.dispatch_text(3);
    harness.dispatch(4);
    harness.dispatch_text(5);
    assert_eq!((harness.worker.running_len(), harness.worker.prefetched_len()), (3, 2));
    assert_eq!(started(&harness.finish(3)), [5], "both slots of the service of call 4 are taken");
    assert_eq!(started(&harness.finish(1)), [4]);
}

#[test]
fn a_call_of_an_earlier_connection_holds_a_shared_slot() {
    let mut harness = connected(1, 0);
    harness.dispatch(1);
    harness.lose_connection();
    let register = harness.connect(1);
    assert_eq!(register.offers.iter().map(|offer| offer.free).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(harness.dispatch_text(2), [handed_back(2)]);
    let credit = Envelope::Credit(crate::wire::envelope::Credit { calls: 1, bytes: 0, offer: 0 });
    assert_eq!(harness.finish_job(first(1), result()), [Action::Send(credit)]);
    assert_eq!(started(&harness.dispatch_text(3)), [3]);
}
