//! Closing a client.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use callboard_clients::{CallError, Client, CloseError, Code};
use callboard_core::wire::envelope::Envelope;
use futures::FutureExt;

use super::{SOON, assert_every_ending_fails, broker::Broker, builder, connected, connected_with, run};

#[test]
fn a_close_returns_when_all_that_was_sent_has_reached_the_broker() {
    run(async {
        let (mut broker, client) = connected().await;
        for _ in 0..100 {
            client.call("a.b", ()).cast().await.unwrap();
        }
        let mut close = Box::pin(client.close());
        assert!((&mut close).now_or_never().is_none());
        for _ in 0..100 {
            broker.request().await;
        }
        assert_eq!(broker.next().await, Envelope::Goodbye(None));
        assert!((&mut close).now_or_never().is_none(), "the broker has not answered yet");
        broker.send(Envelope::Goodbye(None)).await;
        close.await.unwrap();
        client.close().await.unwrap();
    });
}

#[test]
fn a_closed_client_rejects_calls() {
    run(async {
        let (mut broker, client) = connected().await;
        let other = client.clone();
        tokio::join!(client.close(), broker.goodbye()).0.unwrap();
        assert_every_ending_fails(|| other.call("a.b", ()), Code::FailedPrecondition, "closed").await;
    });
}

#[test]
fn a_close_ends_awaited_calls() {
    run(async {
        let (mut broker, client) = connected().await;
        let mut call = client.call::<()>("a.b", ()).into_future();
        assert!((&mut call).now_or_never().is_none());
        broker.request().await;
        tokio::join!(client.close(), broker.goodbye()).0.unwrap();
        assert_eq!(call.await.unwrap_err().code(), Code::Cancelled);
    });
}

#[test]
fn a_close_without_an_answer_of_the_broker_ends_at_its_timeout() {
    run(async {
        let (_broker, client) = connected_with(|builder| builder.close_timeout(SOON)).await;
        client.call("a.b", ()).cast().await.unwrap();
        assert_eq!(client.close().await, Err(CloseError::Unconfirmed));
    });
}

#[test]
fn a_close_reports_casts_that_were_not_sent() {
    run(async {
        let broker = Broker::start().await;
        let client = builder(&broker.address).close_timeout(SOON).connect_lazily().unwrap();
        broker.stop().await;
        for _ in 0..3 {
            client.call("a.b", ()).cast().await.unwrap();
        }
        assert_eq!(client.close().await, Err(CloseError::CastsDropped(3)));
    });
}

#[test]
fn a_client_that_was_never_accepted_closes_at_once() {
    run(async {
        let broker = Broker::start().await;
        let client = builder(&broker.address).close_timeout(Duration::from_secs(3600)).connect_lazily().unwrap();
        client.close().await.unwrap();
    });
}

#[test]
fn a_close_waits_for_callbacks_but_not_in_a_callback() {
    run(async {
        let (mut broker, client) = connected_with(|builder| builder.close_timeout(Duration::from_secs(3600))).await;
        let (sender, outcome) = mpsc::sync_channel(8);
        let inner = client.clone();
        let callback = move |_: Result<(), CallError>| sender.send(futures::executor::block_on(inner.close())).unwrap();
        client.call("a.b", ()).on_complete(callback).await.unwrap();
        let request = broker.request().await;
        broker.answer(&request, ()).await;
        broker.goodbye().await;
        client.close().await.unwrap();
        // The callback has run when the outer close returns.
        assert_eq!(outcome.try_recv(), Ok(Ok(())));
    });
}

#[test]
fn a_close_reports_callbacks_that_do_not_end() {
    run(async {
        let (mut broker, client) = connected_with(|builder| builder.close_timeout(Duration::from_secs(3))).await;
        let (release, released) = mpsc::sync_channel::<()>(1);
        client.call("a.b", ()).on_complete(move |_: Result<(), CallError>| released.recv().unwrap()).await.unwrap();
        broker.request().await;
        let (closed, ()) = tokio::join!(client.close(), broker.goodbye());
        assert_eq!(closed, Err(CloseError::CallbacksRunning));
        release.send(()).unwrap();
    });
}

/// Makes calls with callbacks until the client is closed. Returns the number of accepted calls.
fn call_until_closed(client: &Client, ran: &Arc<AtomicUsize>) -> usize {
    let mut taken = 0;
    loop {
        let ran = Arc::clone(ran);
        let call = client.call("a.b", ());
        let callback = move |_: Result<(), CallError>| {
            ran.fetch_add(1, Ordering::SeqCst);
        };
        match call.try_on_complete(callback) {
            Ok(()) => taken += 1,
            Err(error) if error.code() == Code::FailedPrecondition => return taken,
            Err(error) => assert_eq!(error.code(), Code::ResourceExhausted),
        }
    }
}

#[test]
fn a_call_that_races_a_close_is_rejected_or_runs_its_callback() {
    run(async {
        let broker = Broker::start().await;
        let address = broker.address.clone();
        broker.stop().await;
        for _ in 0..300 {
            let client = builder(&address).connect_lazily().unwrap();
            let ran = Arc::new(AtomicUsize::new(0));
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    let (client, ran) = (client.clone(), Arc::clone(&ran));
                    std::thread::spawn(move || call_until_closed(&client, &ran))
                })
                .collect();
            client.close().await.unwrap();
            let taken: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
            assert_eq!(ran.load(Ordering::SeqCst), taken);
        }
    });
}
