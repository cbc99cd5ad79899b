//! The dealer against zeromq's ROUTER, and against scripted peers that misbehave.
#![allow(clippy::unwrap_used)]

mod both;
mod encrypted;
mod peer;

use std::{
    future::Future,
    io::{ErrorKind, Write},
    net::TcpListener,
    os::unix::{fs::chown, net::UnixListener},
    time::Duration,
};

use bytes::Bytes;
use callboard_core::wire::Frames;
use callboard_transport::{Dealer, DealerErrorKind};
use peer::Peer;
use rustix::process::geteuid;
use zeromq::{RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

/// The limit of a test. It is far above what any of them takes, so a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a test as a driver runs: on one thread, together with zeromq's own tasks.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("the test hangs") });
}

fn one(frame: impl Into<Bytes>) -> Frames {
    Frames { first: frame.into(), large: None }
}

/// Returns a message of 16 KiB that starts with a number.
fn numbered(number: u64) -> Frames {
    let mut bytes = vec![0; 16 * 1024];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    one(bytes)
}

fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[..8].try_into().unwrap())
}

/// Connects, and retries timeouts of a slow machine.
async fn connect(address: &str) -> Dealer {
    loop {
        match Dealer::connect(address, None).await {
            Err(error) if error.kind() == DealerErrorKind::TimedOut => {}
            connected => return connected.unwrap(),
        }
    }
}

async fn connect_error(address: &str) -> DealerErrorKind {
    let error = Dealer::connect(address, None).await.err().expect("the attempt must fail");
    assert!(error.to_string().contains(address), "{error}");
    error.kind()
}

#[test]
fn an_address_without_a_listener_is_refused() {
    run(async {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // Not "timed out": the dealer does not wait for zeromq's own retries.
        assert_eq!(connect_error(&format!("tcp://{free}")).await, DealerErrorKind::Refused);
        assert_eq!(connect_error("ipc:///nowhere/callboard").await, DealerErrorKind::Refused);
    });
}

#[test]
fn a_socket_of_another_user_is_not_connected_to() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        // Only root can change the owner of a file. For other users the unit tests of the rule are the proof.
        if chown(&path, Some(12_345), None).is_ok() {
            let address = format!("ipc://{}", path.display());
            assert_eq!(connect_error(&address).await, DealerErrorKind::UntrustedOwner);
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "no connection was made");
            chown(&path, Some(geteuid().as_raw()), None).unwrap();
            assert_ne!(connect_error(&address).await, DealerErrorKind::UntrustedOwner);
        }
    });
}

#[test]
fn a_listener_that_never_greets_times_out() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        assert_eq!(connect_error(&address).await, DealerErrorKind::TimedOut);
    });
}

#[test]
fn a_listener_that_is_not_a_broker_is_distinguished_from_a_silent_one() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.write_all(&b"HTTP/1.1 400 Bad Request\r\n".repeat(4));
            }
        });
        let mut kind = DealerErrorKind::TimedOut;
        while kind == DealerErrorKind::TimedOut {
            kind = connect_error(&address).await;
        }
        assert_eq!(kind, DealerErrorKind::Handshake);
    });
}

#[test]
fn an_invalid_address_is_a_bad_address_error() {
    run(async {
        for address in
            ["", "localhost:5559", "udp://localhost:5559", "tcp://localhost", "tcp://localhost:0", "tcp://a:99999"]
        {
            assert_eq!(connect_error(address).await, DealerErrorKind::BadAddress, "{address}");
        }
        let long = format!("ipc:///{}", "x".repeat(200));
        assert_eq!(connect_error(&long).await, DealerErrorKind::BadAddress);
    });
}

#[test]
fn an_ipv6_address_is_parsed() {
    run(async {
        // A machine may have no IPv6, but the address is valid either way.
        let kind = connect_error("tcp://[::1]:1").await;
        assert!(matches!(kind, DealerErrorKind::Refused | DealerErrorKind::Unreachable), "{kind:?}");
    });
}

#[test]
fn frames_of_any_size_are_sent_and_received_over_every_transport() {
    run(async {
        let folder = std::env::temp_dir().join(format!("callboard-dealer-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let ipc = format!("ipc://{}", folder.join("router").display());
        for bind in ["tcp://127.0.0.1:0", ipc.as_str()] {
            let mut router = RouterSocket::new();
            let address = router.bind(bind).await.unwrap().to_string().replace("127.0.0.1", "localhost");
            let mut dealer = connect(&address).await;
            for large in [None, Some(Bytes::new()), Some(Bytes::from(vec![7; 1024 * 1024]))] {
                round_trip(&mut router, &mut dealer, Frames { first: Bytes::from_static(b"first"), large }).await;
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
    });
}

async fn round_trip(router: &mut RouterSocket, dealer: &mut Dealer, frames: Frames) {
    let expected: Vec<Bytes> = std::iter::once(frames.first.clone()).chain(frames.large.clone()).collect();
    dealer.send(frames);
    dealer.flush();
    let arrived = router.recv().await.unwrap().into_vec();
    assert_eq!(arrived[1..], expected, "the frames after the identity");
    router.send(ZmqMessage::try_from(arrived).unwrap()).await.unwrap();
    assert_eq!(dealer.receive().await.unwrap(), expected);
    assert_eq!(dealer.try_receive(), None);
}

#[test]
fn messages_that_have_arrived_are_received_without_waiting() {
    run(async {
        let (address, end) = Peer::start(|mut peer| {
            (0..100_u64).for_each(|number| peer.send(&number.to_be_bytes()));
            peer
        });
        let mut dealer = connect(&address).await;
        let _peer = end.await.unwrap();
        assert_eq!(number(&dealer.receive().await.unwrap()[0]), 0);
        for expected in 1..100 {
            let frames = match dealer.try_receive() {
                Some(frames) => frames,
                None => dealer.receive().await.unwrap(),
            };
            assert_eq!(number(&frames[0]), expected);
        }
        assert_eq!(dealer.try_receive(), None);
    });
}

#[test]
fn the_loss_of_a_peer_is_reported_after_the_messages_that_it_sent() {
    run(async {
        let (address, end) = Peer::start(|mut peer| (0..100_u64).for_each(|number| peer.send(&number.to_be_bytes())));
        let mut dealer = connect(&address).await;
        end.await.unwrap();
        for expected in 0..100 {
            assert_eq!(number(&dealer.receive().await.unwrap()[0]), expected);
        }
        for _ in 0..3 {
            dealer.receive().await.expect_err("the connection stays lost");
        }
        assert_eq!(dealer.try_receive(), None);
        dealer.send(one("to a lost peer"));
        assert_eq!(dealer.unsent(), 0);
    });
}

#[test]
fn the_loss_of_a_peer_is_reported_after_a_send_too() {
    run(async {
        let (address, end) = Peer::start(drop);
        let mut dealer = connect(&address).await;
        end.await.unwrap();
        dealer.send(one("to a lost peer"));
        dealer.receive().await.expect_err("the connection is lost");
    });
}

#[test]
fn dropping_the_dealer_closes_the_connection_after_the_sent_messages() {
    run(async {
        let (address, end) = Peer::start(|mut peer| std::iter::from_fn(|| peer.receive()).count());
        let mut dealer = connect(&address).await;
        (0..10).for_each(|count| dealer.send(numbered(count)));
        dealer.flush();
        drop(dealer);
        assert_eq!(end.await.unwrap(), 10);
    });
}
