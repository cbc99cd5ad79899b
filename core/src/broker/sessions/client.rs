//! The session of one client: its open calls, its reply cache and its credit.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        calls::Caller,
        keys::{CallKey, ClientKey, TenantKey},
        outcome::Outcome,
    },
    connection::PeerConnection,
    credit::CreditAccount,
    disconnected::EvictionRank,
    reply_cache::{BufferPool, ReplyCache},
};
use crate::{
    auth::Principal,
    sequence_map::SequenceMap,
    time::Time,
    wire::{
        envelope::Credit,
        extensions::Extensions,
        handshake::Hello,
        ids::{CallNumber, ConnectionNumber, SessionId},
    },
};

/// One client's session.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) session: SessionId,
    pub(super) name: String,
    /// The principal that the last connection authenticated.
    pub(super) principal: Principal,
    /// What the calls of the session share: it has the tenant and the name of the principal.
    caller: Arc<Caller>,
    pub(super) pid: Option<u32>,
    pub(super) host: String,
    pub(super) connection_number: ConnectionNumber,
    /// The connection. `None` while the client is disconnected: its calls are kept for a while.
    pub(super) connection: Option<PeerConnection>,
    /// The heartbeat interval that the client announced last.
    pub(super) interval: Duration,
    /// When a disconnected client can no longer resume its session.
    pub(super) expires_at: Time,
    /// The place of a disconnected session in the order of eviction.
    pub(super) eviction_rank: Option<EvictionRank>,
    pub(super) credit: CreditAccount,
    /// Open calls by number, from `done_below` on.
    open: SequenceMap<CallKey>,
    highest: CallNumber,
    /// Whether a request arrived that was sent for the first time. Numbers above it were then first sent to this start of the broker.
    has_new_requests: bool,
    done_below: CallNumber,
    replies: ReplyCache,
}

/// The status of the number of an incoming request.
#[derive(Debug)]
pub(crate) enum RequestStatus {
    /// The number was never seen.
    New,
    /// The call is open.
    Open,
    /// The call was answered: its outcome, and the extensions of its reply.
    Answered(Outcome, Extensions),
    /// The client has acknowledged the outcome.
    Acknowledged,
    /// The request was sent before, and the broker has no record (any more) of its call.
    Unknown,
}

impl Client {
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// Returns the client's name, which may be empty.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the principal that the last connection authenticated.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Replaces the principal, after the rights of the peer changed.
    pub(crate) fn set_principal(&mut self, principal: Principal) {
        self.authenticate(principal, self.tenant());
    }

    /// Sets the principal and the tenant of a new connection.
    pub(super) fn authenticate(&mut self, principal: Principal, tenant: TenantKey) {
        self.caller = new_caller(self.session, tenant, &principal);
        self.principal = principal;
    }

    pub(crate) fn tenant(&self) -> TenantKey {
        self.caller.tenant
    }

    /// Returns what the calls of the session share.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the number of the last connection.
    pub(crate) fn connection_number(&self) -> ConnectionNumber {
        self.connection_number
    }

    /// Returns the connection. `None` while the client is disconnected.
    pub(crate) fn connection(&self) -> Option<&PeerConnection> {
        self.connection.as_ref()
    }

    pub(crate) fn connection_mut(&mut self) -> Option<&mut PeerConnection> {
        self.connection.as_mut()
    }

    /// Returns the heartbeat interval that the client announced last.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns when a disconnected client can no longer resume its session.
    pub(crate) fn expires_at(&self) -> Time {
        self.expires_at
    }

    /// Counts a request that arrived on the connection.
    pub(crate) fn count_request(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.calls += 1;
        }
    }

    /// Returns the credit that the client has left.
    pub(crate) fn available_credit(&self) -> Credit {
        self.credit.available()
    }

    /// Spends the credit of a call with a body of so many bytes. Returns false if there was not enough.
    #[must_use]
    pub(crate) fn spend_credit(&mut self, bytes: u64) -> bool {
        self.credit.spend(bytes)
    }

    /// Releases the credit of a call that has ended.
    pub(crate) fn release_credit(&mut self, bytes: u64) {
        self.credit.release(bytes);
    }

    /// Creates the session of a client that connects for the first time.
    pub(crate) fn new(hello: &Hello, tenant: TenantKey, interval: Duration, credit: CreditAccount) -> Client {
        Client {
            session: hello.session,
            name: hello.instance.clone(),
            principal: Principal::anonymous(),
            caller: new_caller(hello.session, tenant, &Principal::anonymous()),
            pid: hello.pid,
            host: hello.host.clone(),
            connection_number: hello.connection,
            connection: None,
            interval,
            expires_at: Time::ZERO,
            eviction_rank: None,
            credit,
            open: SequenceMap::default(),
            highest: CallNumber(0),
            has_new_requests: false,
            done_below: CallNumber(0),
            replies: ReplyCache::default(),
        }
    }

    /// Returns the status of a request's number, and records that it was seen.
    pub(crate) fn record_request(&mut self, number: CallNumber, resend: bool) -> RequestStatus {
        let above = number > self.highest;
        let certain = self.has_new_requests || !resend;
        self.highest = self.highest.max(number);
        self.has_new_requests |= !resend;
        if self.open.contains(number.0) {
            return RequestStatus::Open;
        }
        match self.replies.get(number) {
            Some((outcome, extensions)) => RequestStatus::Answered(outcome, extensions),
            None if number < self.done_below => RequestStatus::Acknowledged,
            None if above && certain => RequestStatus::New,
            None if resend => RequestStatus::Unknown,
            // Not flagged as a resend, not new, and without a record: a request that the network repeated after its
            // outcome was evicted.
            None => RequestStatus::Acknowledged,
        }
    }

    /// Adds an open call.
    pub(crate) fn open(&mut self, number: CallNumber, call: CallKey) {
        self.open.insert(number.0, call);
    }

    /// Removes an open call.
    pub(crate) fn close(&mut self, number: CallNumber) -> Option<CallKey> {
        self.open.remove(number.0)
    }

    /// Returns the open call of a number.
    pub(crate) fn open_call(&self, number: u64) -> Option<CallKey> {
        self.open.get(number).copied()
    }

    /// Returns the open calls with their numbers, in order.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = (u64, CallKey)> + '_ {
        self.open.iter().map(|(number, &call)| (number, call))
    }

    /// Returns the number of open calls.
    pub(crate) fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Drops the calls and cached replies below a number: the client has those outcomes, or does not wait for them.
    /// Returns the calls that were still open.
    pub(super) fn acknowledge(&mut self, below: Option<CallNumber>, pool: &mut BufferPool) -> Vec<CallKey> {
        let Some(below) = below.filter(|&below| below > self.done_below) else { return Vec::new() };
        self.done_below = below;
        self.replies.remove_below(below, pool);
        let mut unwanted = Vec::new();
        while let Some((number, &call)) = self.open.first().filter(|&(number, _)| number < below.0) {
            self.open.remove(number);
            unwanted.push(call);
        }
        unwanted
    }

    /// Closes a call, and caches its outcome until it is acknowledged or evicted.
    pub(super) fn cache_reply(
        &mut self,
        number: CallNumber,
        outcome: &Outcome,
        extensions: &Extensions,
        pool: &mut BufferPool,
    ) {
        self.open.remove(number.0);
        if number < self.done_below {
            return;
        }
        self.replies.insert(number, outcome, extensions, pool);
    }

    /// Evicts the oldest cached outcome. Returns false if there is none.
    pub(super) fn evict_oldest_reply(&mut self, pool: &mut BufferPool) -> bool {
        self.replies.evict_oldest(pool)
    }

    /// Returns whether a call of that number is open, or has a cached outcome.
    pub(crate) fn has_call_or_reply(&self, number: CallNumber) -> bool {
        self.open.contains(number.0) || self.replies.contains(number)
    }

    /// Returns whether a request of that number, or a higher one, has arrived.
    pub(crate) fn has_seen(&self, number: CallNumber) -> bool {
        number <= self.highest
    }

    /// Returns the cached outcome of a call.
    pub(crate) fn cached_reply(&self, number: CallNumber) -> Option<Outcome> {
        self.replies.get(number).map(|(outcome, _)| outcome)
    }

    /// Returns the bytes that the cached outcomes are accounted for.
    pub(crate) fn cached_bytes(&self) -> usize {
        self.replies.bytes()
    }

    /// Returns the number of cached outcomes.
    pub(crate) fn cached_len(&self) -> usize {
        self.replies.len()
    }

    /// Returns the session's place in the order of eviction if it is disconnected now.
    pub(super) fn rank(&self, now: Time, key: ClientKey) -> EvictionRank {
        let has_state = !self.open.is_empty() || self.replies.len() > 0;
        EvictionRank { has_state, since: now, client: key }
    }

    /// Asserts that open calls and cached outcomes agree.
    pub(crate) fn assert_invariants(&self) {
        self.replies.assert_invariants(|number| self.open.contains(number));
        let numbers = |(number, _)| number <= self.highest.0;
        assert!(self.open.iter().all(numbers), "no open call has a number above the highest");
    }
}

fn new_caller(session: SessionId, tenant: TenantKey, principal: &Principal) -> Arc<Caller> {
    Arc::new(Caller { tag: session.prefix(), tenant, name: principal.name().cloned().map(Arc::new) })
}
