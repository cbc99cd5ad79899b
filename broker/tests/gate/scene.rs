//! A gate for a test, and the part of its driver.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use callboard_broker::gate::{Address, CloseReason, Gate, GateEvent, GateLimits};
use callboard_core::wire::{Frames, ids::ConnectionId};
use tokio::{task::LocalSet, time::timeout};

use crate::peer::Peer;

/// Longer than any test takes. It ends a test that would hang.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Runs a test as the broker runs: on one thread, in a local set.
pub(crate) fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(async { timeout(LONG, test).await.expect("the test hangs") }));
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn any_port() -> Address {
    address("tcp://127.0.0.1:0")
}

pub(crate) fn gate_with(limits: GateLimits) -> Gate {
    Gate::bind(&any_port(), &any_port(), limits).unwrap()
}

pub(crate) fn gate() -> Gate {
    gate_with(GateLimits::default())
}

/// A message of one frame.
pub(crate) fn one(content: &[u8]) -> Frames {
    Frames { first: Bytes::copy_from_slice(content), large: None }
}

/// A message of two frames.
pub(crate) fn two(first: &[u8], large: Vec<u8>) -> Frames {
    Frames { first: Bytes::copy_from_slice(first), large: Some(large.into()) }
}

/// Returns a gate with one authenticated peer at its frontend.
pub(crate) async fn opened(limits: GateLimits) -> (Gate, Peer, ConnectionId) {
    let mut gate = gate_with(limits);
    let (peer, connection) = join(&mut gate).await;
    (gate, peer, connection)
}

/// Connects and authenticates one more peer.
pub(crate) async fn join(gate: &mut Gate) -> (Peer, ConnectionId) {
    let mut peer = Peer::connect(gate.frontend()).await;
    peer.complete_handshake("DEALER").await;
    let connection = next_opened(gate).await;
    gate.set_authenticated(connection);
    (peer, connection)
}

/// Returns the next event other than `Activity`. Answers a protocol violation as a driver does: sends the reason and closes the
/// connection.
pub(crate) async fn next(gate: &mut Gate) -> GateEvent {
    loop {
        match gate.next().await {
            GateEvent::Activity { .. } => {}
            GateEvent::ProtocolViolation { connection, violation } => {
                gate.send(connection, one(violation.to_string().as_bytes()));
                gate.close(connection);
                gate.flush();
            }
            event => return event,
        }
    }
}

pub(crate) async fn next_opened(gate: &mut Gate) -> ConnectionId {
    match next(gate).await {
        GateEvent::Opened { connection, .. } => connection,
        other => panic!("not opened: {other:?}"),
    }
}

pub(crate) async fn next_frames(gate: &mut Gate) -> (ConnectionId, Vec<Bytes>) {
    match next(gate).await {
        GateEvent::Frames { connection, message } => (connection, message.frames().to_vec()),
        other => panic!("no message: {other:?}"),
    }
}

pub(crate) async fn next_closed(gate: &mut Gate) -> (ConnectionId, CloseReason) {
    match next(gate).await {
        GateEvent::Closed { connection, reason } => (connection, reason),
        other => panic!("not closed: {other:?}"),
    }
}

/// Lets the gate run until `done` returns true, without taking its events.
pub(crate) async fn until(gate: &Gate, done: impl Fn(&Gate) -> bool) {
    let start = Instant::now();
    while !done(gate) {
        assert!(start.elapsed() < LONG, "timeout: {:?}", gate.counters());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) fn closed(gate: &Gate, reason: &str) -> u64 {
    gate.counters().closed.get(reason).copied().unwrap_or(0)
}
