//! The fair queue of one service. Tenants share it in turns, the priorities of a tenant share its turns, and the
//! sessions of a priority share those. So more sessions, or a high priority for all calls, do not give a client a
//! larger share.

use std::{collections::BTreeMap, num::NonZeroU64, ops::RangeBounds};

use super::{
    round_robin::{DeficitRoundRobin, QUANTUM},
    sub_queue::{SubQueue, Waiting},
};
use crate::{time::Time, wire::envelope::Priority};

/// The cost of a call in addition to the bytes of its body, so that many small calls are not free.
const CALL_COST: usize = 1024;
/// The highest cost of one call. It bounds the number of rounds until the largest call has its turn.
const COST_MAX: usize = 64 * 1024;

/// Returns what a priority may spend per turn, relative to the other priorities of its tenant. Each gets a share, so none
/// starves.
const fn share(priority: Priority) -> usize {
    match priority {
        Priority::Low => CALL_COST,
        Priority::Normal => 4 * CALL_COST,
        Priority::High => 8 * CALL_COST,
    }
}

/// A fair queue: flows by tenant, within each by priority, within each by session, and in a session one sub-queue for each kind
/// of call that may be taken separately (a method, or a method at one worker).
///
/// `C` is the type of the waiting calls. With sub-queues, a call that no worker can take now does not block the calls
/// behind it that some worker can take. Of those that can be taken, a session's oldest is taken first.
#[derive(Debug)]
pub struct FairQueue<C> {
    tenants: DeficitRoundRobin<TenantFlow<C>>,
    /// The number of calls in each sub-queue, over all sessions: where none can be taken, the sessions need not be searched.
    sub_queues: BTreeMap<usize, usize>,
    last_number: u64,
    calls: usize,
    bytes: usize,
}

/// The waiting calls of one tenant.
#[derive(Debug)]
struct TenantFlow<C> {
    priorities: DeficitRoundRobin<DeficitRoundRobin<SessionFlow<C>>>,
    /// No call here has waited since before this time. That includes new calls, because they are younger.
    none_before: Time,
    /// The oldest call at the last search for it.
    oldest: Option<(QueuePosition, C)>,
}

/// The waiting calls of one session, by sub-queue, each in order of arrival.
#[derive(Debug)]
struct SessionFlow<C>(BTreeMap<usize, SubQueue<C>>);

/// The flows that a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueKey {
    /// Its tenant.
    pub tenant: u64,
    /// Its priority, beside other calls of its tenant.
    pub priority: Priority,
    /// Its session.
    pub session: u64,
}

/// The number of a call in the order of arrival at one queue. A call keeps it when a worker hands the call back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueNumber(NonZeroU64);

/// The position of a waiting call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    key: QueueKey,
    sub_queue: usize,
    number: u64,
}

impl<C> Default for FairQueue<C> {
    fn default() -> Self {
        FairQueue {
            tenants: DeficitRoundRobin::default(),
            sub_queues: BTreeMap::new(),
            last_number: 0,
            calls: 0,
            bytes: 0,
        }
    }
}

impl<C> Default for TenantFlow<C> {
    fn default() -> Self {
        TenantFlow { priorities: DeficitRoundRobin::default(), none_before: Time::ZERO, oldest: None }
    }
}

impl<C> Default for SessionFlow<C> {
    fn default() -> Self {
        SessionFlow(BTreeMap::new())
    }
}

impl<C: Copy> FairQueue<C> {
    /// Returns the number of waiting calls.
    pub fn len(&self) -> usize {
        self.calls
    }

    /// Returns whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// Returns the bytes of the waiting bodies.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of a call that arrives now. In its session, it waits behind the calls with lower numbers.
    pub fn next_number(&mut self) -> QueueNumber {
        self.last_number += 1;
        QueueNumber(NonZeroU64::new(self.last_number).expect("it was just increased"))
    }

    /// Adds a call at the end of its session's sub-queue.
    pub fn push(&mut self, key: QueueKey, sub_queue: usize, call: C, bytes: usize) -> QueuePosition {
        let number = self.next_number();
        self.insert(key, sub_queue, number, call, bytes)
    }

    /// Adds a call to its session's sub-queue, in the order of the numbers.
    pub fn insert(
        &mut self,
        key: QueueKey,
        sub_queue: usize,
        number: QueueNumber,
        call: C,
        bytes: usize,
    ) -> QueuePosition {
        let tenant = self.tenants.flow_mut(key.tenant, QUANTUM);
        let priority = tenant.priorities.flow_mut(key.class(), share(key.priority));
        let session = priority.flow_mut(key.session, QUANTUM);
        let waiting = Waiting::new(call, bytes);
        self.bytes += waiting.bytes();
        session.0.entry(sub_queue).or_default().insert(number.0.get(), waiting);
        *self.sub_queues.entry(sub_queue).or_default() += 1;
        self.calls += 1;
        QueuePosition::new(key, sub_queue, number)
    }

    /// Returns whether a call waits in one of these sub-queues that `fits`. The cost grows with the number of such sub-queues,
    /// not with the number of calls in them.
    pub fn has_sub_queue_where(&self, range: impl RangeBounds<usize>, mut fits: impl FnMut(usize) -> bool) -> bool {
        self.sub_queues.range(range).any(|(&sub_queue, _)| fits(sub_queue))
    }

    /// Removes and returns the call that has the turn, among those at the head of a sub-queue that `fits`.
    pub fn pop_where(&mut self, mut fits: impl FnMut(C) -> bool) -> Option<C> {
        let next = self.tenants.next(|tenant| {
            let next = tenant.priorities.next(|sessions| {
                let next = sessions.next(|session| session.oldest(&mut fits));
                next.map(|(session, head, cost)| ((session, head), cost))
            });
            next.map(|(class, head, cost)| ((class, head), cost))
        });
        let (tenant, (class, (session, (sub_queue, number))), cost) = next?;
        self.tenants.pay(tenant, cost);
        let priorities = &mut self.tenants.get_mut(tenant)?.priorities;
        priorities.pay(class, cost);
        priorities.get_mut(class)?.pay(session, cost);
        let priority = Priority::from_number(class)?;
        self.remove(QueuePosition { key: QueueKey { tenant, priority, session }, sub_queue, number })
    }

    /// Removes and returns the call at a position, whether or not it has the turn. Returns `None` if it no longer waits there.
    pub fn remove(&mut self, position: QueuePosition) -> Option<C> {
        let QueueKey { tenant, session, .. } = position.key;
        let priorities = &mut self.tenants.get_mut(tenant)?.priorities;
        let sessions = priorities.get_mut(position.key.class())?;
        let flow = sessions.get_mut(session)?;
        let sub_queue = flow.0.get_mut(&position.sub_queue)?;
        let waiting = sub_queue.remove(position.number)?;
        self.calls -= 1;
        self.bytes -= waiting.bytes();
        let calls = self.sub_queues.get_mut(&position.sub_queue)?;
        *calls -= 1;
        if *calls == 0 {
            self.sub_queues.remove(&position.sub_queue);
        }
        if sub_queue.is_empty() {
            flow.0.remove(&position.sub_queue);
        }
        if flow.0.is_empty() {
            sessions.remove(session);
        }
        if sessions.is_empty() {
            priorities.remove(position.key.class());
        }
        if priorities.is_empty() {
            self.tenants.remove(tenant);
        }
        Some(waiting.call)
    }

    /// Returns by session how many calls have their turn before the one at a position. It is an estimate, because turns are
    /// measured in bytes.
    pub fn ahead(&self, position: QueuePosition) -> BTreeMap<u64, usize> {
        let QueueKey { tenant, priority, session } = position.key;
        let mut ahead = BTreeMap::new();
        let Some(own) = self.tenants.get(tenant) else { return ahead };
        let Some(beside) = own.priorities.get(position.key.class()) else { return ahead };
        let before = |calls: &SubQueue<C>| calls.iter().take_while(|&(number, _)| number < position.number).count();
        let own_ahead: usize = beside.get(session).map_or(0, |flow| flow.0.values().map(before).sum());
        let turns = |(key, flow): (u64, &SessionFlow<C>)| {
            (key, if key == session { own_ahead } else { flow.len().min(own_ahead + 1) })
        };
        ahead.extend(beside.flows().map(turns));
        let of_class: usize = ahead.values().sum();
        for (class, sessions) in own.priorities.flows().filter(|&(class, _)| class != position.key.class()) {
            let other = Priority::from_number(class).map_or(0, share);
            distribute(sessions.flows(), ((of_class + 1) * other).div_ceil(share(priority)), &mut ahead);
        }
        let of_tenant: usize = ahead.values().sum();
        for (_, flow) in self.tenants.flows().filter(|&(key, _)| key != tenant) {
            distribute(flow.priorities.flows().flat_map(|(_, sessions)| sessions.flows()), of_tenant + 1, &mut ahead);
        }
        ahead.retain(|_, calls| *calls > 0);
        ahead
    }

    /// Returns a call of a tenant that has waited since before `then`. `since` returns since when a call waits, or `None` if it
    /// does not count. The tenant's sessions are searched only after the oldest call has left.
    pub fn waiting_since(&mut self, tenant: u64, then: Time, since: impl Fn(C) -> Option<Time>) -> Option<C> {
        let flow = self.tenants.get_mut(tenant).filter(|flow| flow.none_before < then)?;
        let known = flow.oldest.filter(|(at, call)| flow.contains(*at) && since(*call).is_some_and(|at| at < then));
        if let Some((_, call)) = known {
            return Some(call);
        }
        let heads = flow.heads(tenant).filter_map(|(at, call)| Some((since(call)?, at, call)));
        let oldest = heads.min_by_key(|&(time, at, _)| (time, at.number));
        flow.oldest = oldest.map(|(_, at, call)| (at, call));
        flow.none_before = oldest.map_or(then, |(time, ..)| time);
        oldest.filter(|&(time, ..)| time < then).map(|(.., call)| call)
    }

    /// Returns for each sub-queue the number of calls and the oldest one. The cost grows with the number of sub-queues of all
    /// sessions.
    pub fn sub_queues(&self) -> BTreeMap<usize, (usize, C)> {
        let mut all = BTreeMap::<usize, (usize, u64, C)>::new();
        for (&sub_queue, calls) in self.sessions().flat_map(|session| &session.0) {
            let Some((number, waiting)) = calls.first() else { continue };
            let entry = all.entry(sub_queue).or_insert((0, number, waiting.call));
            entry.0 += calls.len();
            if number < entry.1 {
                (entry.1, entry.2) = (number, waiting.call);
            }
        }
        all.into_iter().map(|(sub_queue, (calls, _, oldest))| (sub_queue, (calls, oldest))).collect()
    }

    /// Returns all waiting calls, session by session and sub-queue by sub-queue.
    pub fn iter(&self) -> impl Iterator<Item = C> + '_ {
        self.all().map(|waiting| waiting.call)
    }

    fn sessions(&self) -> impl Iterator<Item = &SessionFlow<C>> {
        self.tenants.flows().flat_map(|(_, tenant)| tenant.sessions()).map(|(_, _, session)| session)
    }

    fn all(&self) -> impl Iterator<Item = Waiting<C>> {
        self.sessions().flat_map(|session| session.0.values()).flat_map(SubQueue::iter).map(|(_, waiting)| waiting)
    }

    /// Asserts that calls and bytes are counted, and that flows without calls are removed.
    ///
    /// # Panics
    /// If an invariant does not hold.
    pub fn assert_invariants(&self) {
        assert_eq!(self.calls, self.all().count(), "calls are counted");
        assert_eq!(self.bytes, self.all().map(|waiting| waiting.bytes()).sum::<usize>(), "bytes are counted");
        let sub_queues = self.sub_queues().into_iter().map(|(sub_queue, (calls, _))| (sub_queue, calls));
        assert_eq!(self.sub_queues, sub_queues.collect(), "the calls of each sub-queue are counted");
        self.tenants.assert_invariants();
        for (_, tenant) in self.tenants.flows() {
            tenant.priorities.assert_invariants();
            tenant.priorities.flows().for_each(|(_, sessions)| sessions.assert_invariants());
            let empty = tenant.priorities.flows().any(|(_, sessions)| sessions.is_empty());
            assert!(!empty && !tenant.priorities.is_empty(), "a tenant or priority without calls is removed");
        }
        let full =
            |session: &SessionFlow<C>| !session.0.is_empty() && session.0.values().all(|queue| !queue.is_empty());
        assert!(self.sessions().all(full), "a session or sub-queue without calls is removed");
    }
}

impl<C: Copy> TenantFlow<C> {
    fn contains(&self, position: QueuePosition) -> bool {
        let sessions = self.priorities.get(position.key.class());
        let session = sessions.and_then(|sessions| sessions.get(position.key.session));
        session.and_then(|flow| flow.0.get(&position.sub_queue)).is_some_and(|queue| queue.contains(position.number))
    }

    /// Returns the first call of each sub-queue.
    fn heads(&self, tenant: u64) -> impl Iterator<Item = (QueuePosition, C)> {
        self.sessions().flat_map(move |(class, session, flow)| {
            let key = QueueKey { tenant, priority: Priority::from_number(class).unwrap_or_default(), session };
            flow.0.iter().filter_map(move |(&sub_queue, calls)| {
                let (number, waiting) = calls.first()?;
                Some((QueuePosition { key, sub_queue, number }, waiting.call))
            })
        })
    }
}

impl<C> TenantFlow<C> {
    /// Returns its sessions, each with its class and key.
    fn sessions(&self) -> impl Iterator<Item = (u64, u64, &SessionFlow<C>)> {
        let priorities = self.priorities.flows();
        priorities.flat_map(|(class, sessions)| sessions.flows().map(move |(session, flow)| (class, session, flow)))
    }
}

impl QueuePosition {
    /// Returns the position of a call that was added with these arguments.
    pub fn new(key: QueueKey, sub_queue: usize, QueueNumber(number): QueueNumber) -> QueuePosition {
        QueuePosition { key, sub_queue, number: number.get() }
    }
}

impl QueueKey {
    fn class(self) -> u64 {
        self.priority.number().into()
    }
}

impl<C: Copy> SessionFlow<C> {
    fn len(&self) -> usize {
        self.0.values().map(SubQueue::len).sum()
    }

    /// Returns the sub-queue, number and cost of the oldest call at the head of a sub-queue that fits.
    fn oldest(&self, fits: &mut impl FnMut(C) -> bool) -> Option<((usize, u64), usize)> {
        let heads = self.0.iter().filter_map(|(&at, calls)| calls.first().map(|head| (at, head)));
        let fitting = heads.filter(|(_, (_, waiting))| fits(waiting.call));
        let (sub_queue, (number, waiting)) = fitting.min_by_key(|&(_, (number, _))| number)?;
        Some(((sub_queue, number), cost(waiting.bytes())))
    }
}

/// Distributes this number of calls equally over these sessions, up to the calls of each, and adds them to `ahead`.
fn distribute<'a, C: Copy + 'a>(
    sessions: impl Iterator<Item = (u64, &'a SessionFlow<C>)>,
    calls: usize,
    ahead: &mut BTreeMap<u64, usize>,
) {
    let sessions: Vec<_> = sessions.map(|(session, flow)| (session, flow.len())).collect();
    let (each, mut left) = (calls.div_ceil(sessions.len().max(1)), calls);
    for (session, waiting) in sessions {
        let turns = waiting.min(each).min(left);
        left -= turns;
        *ahead.entry(session).or_default() += turns;
    }
}

fn cost(bytes: usize) -> usize {
    (CALL_COST + bytes).min(COST_MAX)
}

#[cfg(test)]
mod tests;
