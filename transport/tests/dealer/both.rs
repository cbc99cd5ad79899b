//! Scripts that are the same for the plain and the encrypted dealer.

use std::{future::Future, pin::pin, sync::mpsc, task::Poll};

use bytes::Bytes;
use callboard_transport::Dealer;
use tokio::sync::oneshot;

use super::{encrypted::Router, number, numbered, one, peer::Peer, run};

/// Messages that wait in a dealer whose peer does not read.
const UNSENT: usize = 300;
/// The bytes of answers: those that are read in one piece, in several pieces, and into a frame of their own.
const SIZES: [usize; 3] = [16, 9_000, 70_000];

/// One connection of a scripted ROUTER, with or without encryption.
pub(crate) trait ScriptedRouter: Sized + Send + 'static {
    /// Runs `script` with the first connection. Returns the address, and a receiver of the script's result.
    fn start<T: Send + 'static>(script: impl FnOnce(Self) -> T + Send + 'static) -> (String, oneshot::Receiver<T>);

    /// Connects a dealer to such a ROUTER.
    fn connect(address: &str) -> impl Future<Output = Dealer>;

    /// Sends one message of one frame.
    fn send(&mut self, frame: Vec<u8>);

    /// Receives a message of one frame; `None` when the connection is closed.
    fn receive(&mut self) -> Option<Bytes>;
}

#[test]
fn a_peer_that_stops_reading_blocks_nothing_and_later_receives_every_message() {
    run(peer_stops_reading::<Peer>());
}

#[test]
fn an_encrypted_peer_that_stops_reading_blocks_nothing_and_later_receives_every_message() {
    run(peer_stops_reading::<Router>());
}

async fn peer_stops_reading<R: ScriptedRouter>() {
    let (read, read_requests) = mpsc::sync_channel(1);
    let (address, end) = R::start(move |mut router| {
        let count: u64 = read_requests.recv().unwrap();
        (0..count).for_each(|expected| assert_eq!(number(&router.receive().unwrap()), expected));
        router.send(b"all of them".to_vec());
        assert_eq!(router.receive(), None, "a message arrived twice");
    });
    let mut dealer = R::connect(&address).await;
    let count = send_until_unsent(&mut dealer).await;
    read.send(count).unwrap();
    assert_eq!(dealer.receive().await.unwrap(), [Bytes::from_static(b"all of them")]);
    assert_eq!(dealer.unsent(), 0);
    drop(dealer);
    end.await.unwrap();
}

#[test]
fn a_receive_that_is_dropped_at_any_point_loses_no_message() {
    run(receive_is_dropped::<Peer>());
}

#[test]
fn an_encrypted_receive_that_is_dropped_at_any_point_loses_no_message() {
    run(receive_is_dropped::<Router>());
}

async fn receive_is_dropped<R: ScriptedRouter>() {
    let (read, read_requests) = mpsc::sync_channel(1);
    let (address, end) = R::start(move |mut router| {
        let count: u64 = read_requests.recv().unwrap();
        for (expected, size) in (0..count).zip(SIZES.into_iter().cycle()) {
            assert_eq!(number(&router.receive().unwrap()), expected);
            let mut bytes = vec![0; size];
            bytes[..8].copy_from_slice(&expected.to_be_bytes());
            router.send(bytes);
        }
        assert_eq!(router.receive(), None, "a message arrived twice");
    });
    let mut dealer = R::connect(&address).await;
    let count = send_until_unsent(&mut dealer).await;
    read.send(count).unwrap();
    let mut expected = 0;
    for round in 0_usize.. {
        if let Some(frames) = receive_within_polls(&mut dealer, round % 4).await {
            assert_eq!(number(&frames[0]), expected);
            expected += 1;
        }
        if expected == count {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(dealer);
    end.await.unwrap();
}

#[test]
fn a_sender_that_ignores_its_credit_is_disconnected() {
    run(sender_ignores_its_credit::<Peer>());
}

#[test]
fn an_encrypted_sender_that_ignores_its_credit_is_disconnected() {
    run(sender_ignores_its_credit::<Router>());
}

async fn sender_ignores_its_credit<R: ScriptedRouter>() {
    let (release, held) = mpsc::sync_channel::<()>(1);
    let (address, end) = R::start(move |_router| held.recv());
    let mut dealer = R::connect(&address).await;
    for _ in 0..200_000 {
        dealer.send(one("without a yield"));
    }
    dealer.receive().await.expect_err("too many messages wait");
    drop(release);
    let _ = end.await;
}

/// Sends numbered messages to a peer that does not read, until some of them wait. Returns the number of all sent messages.
async fn send_until_unsent(dealer: &mut Dealer) -> u64 {
    let mut sent = 0;
    while dealer.unsent() < UNSENT {
        dealer.send(numbered(sent));
        dealer.flush();
        sent += 1;
        tokio::task::yield_now().await;
    }
    sent
}

/// Polls one `receive` up to `polls` times, lets other tasks run in between, and drops it.
async fn receive_within_polls(dealer: &mut Dealer, polls: usize) -> Option<Vec<Bytes>> {
    let mut receive = pin!(dealer.receive());
    for _ in 0..polls {
        if let Poll::Ready(received) = futures::poll!(receive.as_mut()) {
            return Some(received.unwrap());
        }
        tokio::task::yield_now().await;
    }
    None
}
