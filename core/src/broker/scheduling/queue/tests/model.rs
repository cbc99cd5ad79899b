//! A comparison of the queue with a simple, slow model: a list of all waiting calls, searched from the front.

use proptest::prelude::*;

use super::*;

const METHODS: usize = 3;

/// A change of both queues.
#[derive(Clone, Debug)]
enum Step {
    Push {
        key: QueueKey,
        method: usize,
        bytes: usize,
    },
    /// A worker that serves these methods takes a call.
    Pop {
        serves: [bool; METHODS],
    },
    /// A waiting call is removed.
    Remove(prop::sample::Index),
}

/// A waiting call.
#[derive(Clone, Copy, Debug)]
struct Listed {
    call: u32,
    key: QueueKey,
    method: usize,
    bytes: usize,
    position: QueuePosition,
}

fn key() -> impl Strategy<Value = QueueKey> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    // A session belongs to one tenant.
    (0..3u64, priority, 0..3u64).prop_map(|(tenant, priority, nth)| QueueKey {
        tenant,
        priority,
        session: tenant * 10 + nth,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![4 => 0..200usize, 1 => 0..200_000usize];
    prop_oneof![
        6 => (key(), 0..METHODS, bytes).prop_map(|(key, method, bytes)| Step::Push { key, method, bytes }),
        5 => any::<[bool; METHODS]>().prop_map(|serves| Step::Pop { serves }),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ]
}

/// Both queues, and the methods of all calls.
#[derive(Default)]
struct Both {
    queue: FairQueue<u32>,
    list: Vec<Listed>,
    methods: Vec<usize>,
}

impl Both {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Push { key, method, bytes } => self.push(key, method, bytes),
            Step::Pop { serves } => self.pop(serves),
            Step::Remove(index) if !self.list.is_empty() => {
                let listed = self.list.remove(index.index(self.list.len()));
                assert_eq!(self.queue.remove(listed.position), Some(listed.call));
                assert_eq!(self.queue.remove(listed.position), None, "a call is removed once");
            }
            Step::Remove(_) => {}
        }
        self.queue.assert_invariants();
        assert_eq!(self.queue.len(), self.list.len());
        assert_eq!(self.queue.bytes(), self.list.iter().map(|listed| listed.bytes).sum::<usize>());
    }

    fn push(&mut self, key: QueueKey, method: usize, bytes: usize) {
        let call = u32::try_from(self.methods.len()).unwrap();
        self.methods.push(method);
        let position = self.queue.push(key, method, call, bytes);
        self.list.push(Listed { call, key, method, bytes, position });
    }

    /// The popped call is the oldest of its session and priority that the worker can take. If a call can be taken, one is popped.
    fn pop(&mut self, serves: [bool; METHODS]) {
        let methods = &self.methods;
        let popped = self.queue.pop_where(|call| serves[methods[call as usize]]);
        let mut served = self.list.iter().filter(|listed| serves[listed.method]);
        let Some(call) = popped else {
            return assert!(served.next().is_none(), "a call that can be taken is popped");
        };
        let key = self.list.iter().find(|listed| listed.call == call).expect("only a waiting call is popped").key;
        let oldest = served.find(|listed| listed.key == key).expect("only a call that can be taken is popped");
        assert_eq!(oldest.call, call, "a session's calls of one priority keep their order");
        self.list.retain(|listed| listed.call != call);
    }
}

proptest! {
    #[test]
    fn the_queue_agrees_with_a_list_after_any_steps(steps in prop::collection::vec(step(), 1..200)) {
        let mut both = Both::default();
        steps.into_iter().for_each(|step| both.apply(step));
    }

    #[test]
    fn tenants_with_a_backlog_get_equal_service_within_a_turn_and_a_call(
        calls in prop::collection::vec((0..3u64, 0..100_000usize), 100..400),
    ) {
        let mut queue = FairQueue::default();
        let mut left = [0; 3];
        for &(tenant, bytes) in &calls {
            left[tenant as usize] += 1;
            queue.push(own(tenant), 0, (tenant, bytes), bytes);
        }
        let mut got = [0; 3];
        while left.iter().all(|&calls| calls > 0) {
            let (tenant, bytes) = queue.pop_where(|_| true).unwrap();
            got[tenant as usize] += cost(bytes);
            left[tenant as usize] -= 1;
            let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
            prop_assert!(most - least <= 2 * (QUANTUM + COST_MAX), "{got:?}");
        }
    }
}
