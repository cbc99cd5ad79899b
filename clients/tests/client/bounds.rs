//! Full queues and timeouts.

use std::{sync::mpsc, time::Duration};

use callboard_clients::{CallError, Client, Code, Executed};
use callboard_core::wire::envelope::{Cancel, Envelope};
use futures::FutureExt;

use super::{SOON, broker::Broker, builder, connected, connected_with, run};

fn never(_: Result<(), CallError>) {
    panic!("the callback must not run");
}

/// Creates a client whose queue of two calls is full, because there is no broker.
async fn full() -> Client {
    let broker = Broker::start().await;
    let client = builder(&broker.address).queue_calls_max(2).connect_lazily().unwrap();
    broker.stop().await;
    client.call("a.b", ()).try_cast().unwrap();
    client.call("a.b", ()).try_cast().unwrap();
    client
}

#[test]
fn a_full_queue_rejects_calls_that_do_not_wait() {
    run(async {
        let client = full().await;
        for error in
            [client.call("a.b", ()).try_cast().unwrap_err(), client.call("a.b", ()).try_on_complete(never).unwrap_err()]
        {
            assert_eq!((error.code(), error.executed()), (Code::ResourceExhausted, Executed::No));
            assert!(error.message().contains("2 calls") && error.message().contains("queue_calls_max"), "{error}");
        }
    });
}

#[test]
fn a_call_waits_for_capacity_until_its_timeout() {
    run(async {
        let client = full().await;
        let call = || client.call::<()>("a.b", ()).timeout(SOON);
        for error in [call().await.unwrap_err(), call().cast().await.unwrap_err()] {
            assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::No));
            assert!(error.message().contains("the call's own timeout of 200ms"), "{error}");
            assert!(error.message().contains("behind 2 calls"), "{error}");
        }
        // The callback receives the outcome, so `on_complete` returns Ok.
        let (sender, outcome) = mpsc::sync_channel(8);
        call().on_complete(move |result| sender.send(result).unwrap()).await.unwrap();
        assert_eq!(outcome.recv().unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    });
}

#[test]
fn calls_with_streams_wait_for_capacity_as_other_calls_do() {
    run(async {
        let client = full().await;
        let call = || client.call::<()>("a.b", ()).timeout(SOON);
        let (items, reply) = call().upload::<u8>();
        let late = [call().stream::<u8>().next().await.unwrap(), reply.await.map(|()| 0)];
        for error in late.map(Result::unwrap_err) {
            assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::No));
            assert!(error.message().contains("behind 2 calls"), "{error}");
        }
        drop(items);
    });
}

#[test]
fn a_call_with_streams_is_made_when_there_is_capacity() {
    run(async {
        let mut broker = Broker::start().await;
        let client = builder(&broker.address).queue_calls_max(1).connect_lazily().unwrap();
        client.call("a.first", ()).try_cast().unwrap();
        let cancelled = client.call::<()>("a.cancelled", ()).stream::<u8>();
        let (items, _reply) = client.call::<()>("a.second", ()).upload::<u8>();
        items.end();
        // Gives up its position in the queue of waiters.
        drop(cancelled);
        broker.welcome().await;
        for name in ["a.first", "a.second"] {
            let request = broker.request().await;
            assert_eq!(request.method.as_str(), name);
        }
        client.close().now_or_never();
    });
}

#[test]
fn a_waiting_call_continues_when_there_is_capacity() {
    run(async {
        let mut broker = Broker::start().await;
        let client = builder(&broker.address).queue_calls_max(1).connect_lazily().unwrap();
        let program = async {
            for _ in 0..10 {
                client.call("a.b", ()).cast().await.unwrap();
            }
        };
        let script = async {
            broker.welcome().await;
            for _ in 0..10 {
                broker.request().await;
            }
        };
        tokio::join!(program, script);
    });
}

#[test]
fn pending_callbacks_are_bounded() {
    run(async {
        let (mut broker, client) = connected_with(|builder| builder.callbacks_max(1)).await;
        let (sender, outcome) = mpsc::sync_channel(8);
        client.call::<u32>("a.b", ()).try_on_complete(move |result| sender.send(result).unwrap()).unwrap();
        let error = client.call("a.b", ()).try_on_complete(never).unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert!(error.message().contains("callbacks_max"), "{error}");
        let error = client.call("a.b", ()).timeout(SOON).on_complete(never).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        let request = broker.request().await;
        let next = client.call("a.b", ()).on_complete(|_: Result<(), CallError>| {});
        let (next, ()) = tokio::join!(next, broker.answer(&request, 5));
        next.unwrap();
        assert_eq!(outcome.recv().unwrap(), Ok(5));
    });
}

#[test]
fn an_error_names_the_timeout_that_passed() {
    run(async {
        let broker = Broker::start().await;
        let client = builder(&broker.address).timeout(SOON).connect_lazily().unwrap();
        let default = client.call::<()>("a.b", ()).into_future();
        let own = client.call::<()>("a.b", ()).timeout(SOON * 2).into_future();
        let (default, own) = tokio::join!(default, own);
        let texts = ["the client's default timeout of 200ms", "the call's own timeout of 400ms"];
        for (error, text) in [default.unwrap_err(), own.unwrap_err()].into_iter().zip(texts) {
            assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::No));
            assert!(error.message().contains(text), "{error}");
        }
        assert_eq!(client.statistics().expired, 2);
    });
}

#[test]
fn a_sent_call_may_have_run_when_its_timeout_passes() {
    run(async {
        let (mut broker, client) = connected().await;
        let mut call = client.call::<()>("a.b", ()).timeout(Duration::from_secs(3)).into_future();
        assert!((&mut call).now_or_never().is_none());
        let request = broker.request().await;
        // The broker has a moment to send the outcome. It sends none and receives a cancel.
        let (error, cancel) = tokio::join!(call, broker.next());
        let error = error.unwrap_err();
        assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::Maybe));
        assert!(matches!(cancel, Envelope::Cancel(Cancel { number, .. }) if number == request.number.0));
        broker.answer(&request, ()).await;
        while client.statistics().late == 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn the_error_of_a_call_without_a_broker_names_the_reason() {
    run(async {
        let broker = Broker::start().await;
        let address = broker.address.clone();
        broker.stop().await;
        let client = builder(&address).connect_lazily().unwrap();
        // The first attempt to connect may take longer than a short timeout.
        for attempt in 1.. {
            let error = client.call::<()>("a.b", ()).timeout(SOON * attempt).await.unwrap_err();
            assert_eq!((error.code(), error.executed()), (Code::DeadlineExceeded, Executed::No));
            if error.message().contains(&format!("{address} refused the connection")) {
                break;
            }
        }
    });
}

#[test]
fn no_timeout_removes_the_timeout() {
    run(async {
        let (mut broker, client) = connected_with(|builder| builder.timeout(Duration::ZERO).no_timeout()).await;
        client.call("a.b", ()).cast().await.unwrap();
        assert_eq!(broker.request().await.timeout, None);
        let (_broker, client) = connected().await;
        let error = client.call::<()>("a.b", ()).timeout(Duration::ZERO).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
    });
}
