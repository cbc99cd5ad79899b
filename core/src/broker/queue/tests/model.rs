//! The queue beside one that is slow and obvious: a list of all that waits, looked through from the front.

use proptest::prelude::*;

use super::*;

const METHODS: usize = 3;

/// What somebody does to both.
#[derive(Clone, Debug)]
enum Step {
    Push {
        whose: Whose,
        method: usize,
        bytes: usize,
    },
    /// A worker that serves these methods has room.
    Pop {
        serves: [bool; METHODS],
    },
    /// One of those that wait is given up.
    Remove(prop::sample::Index),
}

/// One that waits.
#[derive(Clone, Copy, Debug)]
struct Listed {
    call: u32,
    whose: Whose,
    method: usize,
    bytes: usize,
    place: Place,
}

fn whose() -> impl Strategy<Value = Whose> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    // A session belongs to one party.
    (0..3u64, priority, 0..3u64).prop_map(|(party, priority, nth)| Whose { party, priority, session: party * 10 + nth })
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![4 => 0..200usize, 1 => 0..200_000usize];
    prop_oneof![
        6 => (whose(), 0..METHODS, bytes).prop_map(|(whose, method, bytes)| Step::Push { whose, method, bytes }),
        5 => any::<[bool; METHODS]>().prop_map(|serves| Step::Pop { serves }),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ]
}

/// Both queues, and the methods of all calls that ever were.
#[derive(Default)]
struct Both {
    queue: FairQueue<u32>,
    list: Vec<Listed>,
    methods: Vec<usize>,
}

impl Both {
    fn take(&mut self, step: Step) {
        match step {
            Step::Push { whose, method, bytes } => self.push(whose, method, bytes),
            Step::Pop { serves } => self.pop(serves),
            Step::Remove(index) if !self.list.is_empty() => {
                let listed = self.list.remove(index.index(self.list.len()));
                assert_eq!(self.queue.remove(listed.place), Some(listed.call));
                assert_eq!(self.queue.remove(listed.place), None, "it has left");
            }
            Step::Remove(_) => {}
        }
        self.queue.check();
        assert_eq!(self.queue.len(), self.list.len());
        assert_eq!(self.queue.bytes(), self.list.iter().map(|listed| listed.bytes).sum::<usize>());
    }

    fn push(&mut self, whose: Whose, method: usize, bytes: usize) {
        let call = u32::try_from(self.methods.len()).unwrap();
        self.methods.push(method);
        let place = self.queue.push(whose, method, call, bytes);
        self.list.push(Listed { call, whose, method, bytes, place });
    }

    /// Whoever's turn it is, it is the oldest that can be served of its session and priority; and there is one if one waits.
    fn pop(&mut self, serves: [bool; METHODS]) {
        let methods = &self.methods;
        let popped = self.queue.pop_where(|call| serves[methods[call as usize]]);
        let mut served = self.list.iter().filter(|listed| serves[listed.method]);
        let Some(call) = popped else {
            return assert!(served.next().is_none(), "one that can be served is served");
        };
        let whose = self.list.iter().find(|listed| listed.call == call).expect("only what waits is served").whose;
        let oldest = served.find(|listed| listed.whose == whose).expect("only what can be served is served");
        assert_eq!(oldest.call, call, "a session's calls of one priority keep their order");
        self.list.retain(|listed| listed.call != call);
    }
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_the_queue_serves_what_a_list_would(steps in prop::collection::vec(step(), 1..200)) {
        let mut both = Both::default();
        steps.into_iter().for_each(|step| both.take(step));
    }

    #[test]
    fn parties_that_wait_all_the_time_get_the_same_but_for_a_turn_and_a_call(
        calls in prop::collection::vec((0..3u64, 0..100_000usize), 100..400),
    ) {
        let mut queue = FairQueue::default();
        let mut left = [0; 3];
        for &(party, bytes) in &calls {
            left[party as usize] += 1;
            queue.push(own(party), 0, (party, bytes), bytes);
        }
        let mut got = [0; 3];
        while left.iter().all(|&calls| calls > 0) {
            let (party, bytes) = queue.pop_where(|_| true).unwrap();
            got[party as usize] += cost(bytes);
            left[party as usize] -= 1;
            let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
            prop_assert!(most - least <= 2 * (QUANTUM + COST_MAX), "{got:?}");
        }
    }
}
