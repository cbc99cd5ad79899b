//! The DEALER that our own clients and workers use, against the gate.

use callboard_broker::gate::{Address, CloseReason, Gate, GateLimits};
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

use crate::scene::{any_port, next_closed, next_frames, next_opened, on_one_thread, one, two};

async fn talk(mut gate: Gate) {
    let mut dealer = DealerSocket::new();
    let frontend = gate.frontend().to_string();
    let (connected, connection) = tokio::join!(dealer.connect(&frontend), next_opened(&mut gate));
    connected.unwrap();
    gate.set_authenticated(connection);

    dealer.send(ZmqMessage::from("hello")).await.unwrap();
    assert_eq!(next_frames(&mut gate).await, (connection, vec!["hello".into()]));
    let mut pair = ZmqMessage::from("head");
    pair.push_back(vec![7; 1_000_000].into());
    let (sent, received) = tokio::join!(dealer.send(pair), next_frames(&mut gate));
    sent.unwrap();
    assert_eq!((received.1[0].len(), received.1[1].len()), (4, 1_000_000));

    for number in 0..1_000_u32 {
        gate.send(connection, one(&number.to_be_bytes()));
    }
    gate.send(connection, two(b"head", vec![8; 1_000_000]));
    gate.flush();
    for number in 0..1_000_u32 {
        assert_eq!(dealer.recv().await.unwrap().into_vec(), [&number.to_be_bytes()[..]]);
    }
    let frames = dealer.recv().await.unwrap().into_vec();
    assert_eq!((&frames[0][..], frames[1].len()), (&b"head"[..], 1_000_000));
    // This DEALER does not close its endpoint when the gate closes its own; the gate does not wait for it.
    gate.close(connection);
    assert_eq!(next_closed(&mut gate).await, (connection, CloseReason::Requested));
}

#[test]
fn the_dealer_of_the_zeromq_crate_works_over_tcp() {
    on_one_thread(async {
        talk(Gate::bind(&any_port(), &any_port(), GateLimits::default()).unwrap()).await;
    });
}

#[test]
fn the_dealer_of_the_zeromq_crate_works_over_ipc() {
    on_one_thread(async {
        let folder = tempfile::TempDir::new().unwrap();
        let address = Address::Ipc { path: folder.path().join("gate.ipc") };
        talk(Gate::bind(&address, &any_port(), GateLimits::default()).unwrap()).await;
    });
}
