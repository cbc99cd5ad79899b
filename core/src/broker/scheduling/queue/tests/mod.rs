//! Tests of the fair queue.

use super::*;

mod model;

/// Returns the key of a session that is its own tenant.
fn own(session: u64) -> QueueKey {
    QueueKey { tenant: session, priority: Priority::Normal, session }
}

fn drain(queue: &mut FairQueue<u32>) -> Vec<u32> {
    let mut order = Vec::new();
    while let Some(call) = queue.pop_where(|_| true) {
        queue.assert_invariants();
        order.push(call);
    }
    order
}

#[test]
fn calls_of_one_client_keep_their_order() {
    let mut queue = FairQueue::default();
    for call in 0..100 {
        queue.push(own(1), 0, call, 10);
    }
    assert_eq!(drain(&mut queue), (0..100).collect::<Vec<_>>());
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}

#[test]
fn a_client_with_many_calls_delays_another_by_at_most_one_turn() {
    let mut queue = FairQueue::default();
    for call in 0..1000 {
        queue.push(own(1), 0, call, 0);
    }
    queue.push(own(2), 0, 5000, 0);
    let position = drain(&mut queue).iter().position(|&call| call == 5000).expect("the call was popped");
    assert!(position <= QUANTUM / CALL_COST, "the single call waited for {position} others");
}

#[test]
fn large_calls_cost_more_than_small_ones() {
    let mut queue = FairQueue::default();
    for call in 0..8 {
        queue.push(own(1), 0, call, 31 * 1024);
    }
    for call in 100..164 {
        queue.push(own(2), 0, call, 0);
    }
    let order = drain(&mut queue);
    let small_before_second_large = order.iter().take_while(|&&call| call != 1).filter(|&&call| call >= 100).count();
    assert!(small_before_second_large >= 32, "only {small_before_second_large} small calls came first");
}

#[test]
fn a_head_that_does_not_fit_does_not_block_other_sessions() {
    let mut queue = FairQueue::default();
    queue.push(own(1), 0, 1, 0);
    queue.push(own(2), 0, 2, 0);
    assert_eq!(queue.pop_where(|call| call == 2), Some(2));
    assert_eq!(queue.pop_where(|call| call == 2), None);
    queue.assert_invariants();
    assert_eq!(queue.pop_where(|_| true), Some(1));
}

#[test]
fn a_head_that_does_not_fit_does_not_block_other_sub_queues_of_its_session() {
    let mut queue = FairQueue::default();
    queue.push(own(1), 7, 70, 0);
    queue.push(own(1), 8, 80, 0);
    queue.push(own(1), 7, 71, 0);
    assert_eq!(queue.pop_where(|call| call == 80), Some(80));
    queue.assert_invariants();
    assert_eq!(drain(&mut queue), [70, 71]);
}

#[test]
fn each_sub_queue_reports_its_length_and_its_oldest_call() {
    let mut queue = FairQueue::default();
    for (session, sub_queue, call) in [(2, 7, 1), (1, 7, 2), (1, 8, 3), (1, 7, 4)] {
        queue.push(own(session), sub_queue, call, 0);
    }
    assert_eq!(queue.sub_queues(), BTreeMap::from([(7, (3, 1)), (8, (1, 3))]));
}

#[test]
fn a_search_for_a_sub_queue_does_not_visit_calls() {
    let mut queue = FairQueue::default();
    for call in 0..3_000 {
        queue.push(own(u64::from(call % 1_000)), 7 + call as usize % 3, call, 0);
    }
    let mut visits = 0;
    assert!(!queue.has_sub_queue_where(.., |_| {
        visits += 1;
        false
    }));
    assert_eq!(visits, 3);
    assert!(queue.has_sub_queue_where(8..=9, |sub_queue| sub_queue == 9) && !queue.has_sub_queue_where(10.., |_| true));
    drain(&mut queue);
    assert!(!queue.has_sub_queue_where(.., |_| true));
}

#[test]
fn a_removed_call_is_not_popped() {
    let mut queue = FairQueue::default();
    let position = queue.push(own(1), 0, 1, 7);
    queue.push(own(1), 0, 2, 0);
    assert_eq!(queue.remove(position), Some(1));
    assert_eq!(queue.remove(position), None);
    queue.assert_invariants();
    assert_eq!(drain(&mut queue), [2]);
}

#[test]
fn a_tenant_gains_nothing_from_more_sessions() {
    let mut queue = FairQueue::default();
    for call in 0..4_000 {
        queue.push(QueueKey { tenant: 1, priority: Priority::Normal, session: u64::from(call % 1_000) }, 0, call, 0);
    }
    for call in 5_000..5_100 {
        queue.push(own(2), 0, call, 0);
    }
    let order = drain(&mut queue);
    let last = order.iter().rposition(|&call| call >= 5_000).expect("all calls were popped");
    assert!(last < 200 + 2 * QUANTUM / CALL_COST, "a hundred calls of the other tenant ended at position {last}");
    let first = order.iter().filter(|&&call| call < 5_000).take(1_000).map(|call| call % 1_000);
    assert!(first.collect::<std::collections::BTreeSet<_>>().len() >= 500, "the sessions of a tenant take turns");
}

#[test]
fn the_oldest_call_of_each_tenant_is_found() {
    let mut queue = FairQueue::default();
    let (time, since) = (|at: u32| Time::from_micros(u64::from(at)), |at: u32| Some(Time::from_micros(u64::from(at))));
    let first = queue.push(QueueKey { tenant: 1, priority: Priority::Normal, session: 10 }, 0, 5, 0);
    queue.push(QueueKey { tenant: 1, priority: Priority::Normal, session: 11 }, 0, 7, 0);
    queue.push(own(2), 0, 3, 0);
    assert_eq!(queue.waiting_since(1, time(5), since), None);
    assert_eq!(queue.waiting_since(1, time(6), since), Some(5));
    assert_eq!(queue.waiting_since(2, time(6), since), Some(3));
    queue.remove(first);
    assert_eq!(queue.waiting_since(1, time(6), since), None, "the oldest was removed");
    assert_eq!(queue.waiting_since(1, time(8), since), Some(7));
    assert_eq!(queue.waiting_since(1, time(9), |_| None), None, "the call does not count");
    assert_eq!(queue.waiting_since(3, time(9), since), None);
}

#[test]
fn priorities_of_a_tenant_are_served_8_to_4_to_1() {
    let mut queue = FairQueue::default();
    for (kind, priority) in [Priority::Low, Priority::Normal, Priority::High].into_iter().enumerate() {
        let key = QueueKey { tenant: 1, priority, session: 1 };
        (0..1_000).for_each(|_| {
            queue.push(key, 0, u32::try_from(kind).unwrap(), 0);
        });
    }
    let order = drain(&mut queue);
    let count = |kind| order[..130].iter().filter(|&&call| call == kind).count();
    assert_eq!([count(0), count(1), count(2)], [10, 40, 80]);
}

#[test]
fn a_tenant_gains_nothing_from_high_priority() {
    let mut queue = FairQueue::default();
    for call in 0..1_000 {
        queue.push(QueueKey { tenant: 1, priority: Priority::High, session: 1 }, 0, call, 0);
        queue.push(QueueKey { tenant: 2, priority: Priority::Low, session: 2 }, 0, 5_000 + call, 0);
    }
    let low = drain(&mut queue)[..100].iter().filter(|&&call| call >= 5_000).count();
    assert_eq!(low, 50);
}

#[test]
fn calls_ahead_are_counted_by_tenant_and_session() {
    let mut queue = FairQueue::default();
    for call in 0..40u32 {
        queue.push(QueueKey { tenant: 1, priority: Priority::Normal, session: 10 + u64::from(call % 4) }, 0, call, 0);
    }
    queue.push(own(2), 0, 100, 0);
    let position = queue.push(own(2), 0, 101, 0);
    let ahead = queue.ahead(position);
    assert_eq!(ahead.range(10..).map(|(_, calls)| calls).sum::<usize>(), 2);
    assert_eq!(ahead.get(&2), Some(&1), "{ahead:?}");
}
