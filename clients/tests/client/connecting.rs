//! Connecting to a broker, losing it, and reconnecting.

use std::time::Duration;

use callboard_clients::{Code, ConnectErrorKind, Effect, Executed};
use callboard_core::wire::{envelope::Envelope, status::Failure};
use futures::FutureExt;

use super::{SOON, broker::Broker, builder, connected, connected_with, run};

/// Connects and returns the kind of the error, whose text must contain `what`.
async fn error_at(address: &str, timeout: Duration, what: &str) -> ConnectErrorKind {
    let error = builder(address).timeout(timeout).connect().await.unwrap_err();
    assert!(error.to_string().contains(what), "{error}");
    assert_eq!(error.address(), address);
    error.kind()
}

#[test]
fn the_error_of_a_missing_broker_comes_in_time_and_names_the_reason() {
    run(async {
        let broker = Broker::start().await;
        let address = broker.address.clone();
        // The broker listens, but accepts no client.
        assert_eq!(error_at(&address, SOON, "within 200ms").await, ConnectErrorKind::NoBroker);
        broker.stop().await;
        assert_eq!(
            error_at(&address, Duration::from_secs(3), "refused the connection").await,
            ConnectErrorKind::NoBroker
        );
        assert_eq!(error_at("5559", Duration::MAX, "write tcp://HOST:PORT").await, ConnectErrorKind::BadAddress);
        let long = format!("ipc:///{}", "x".repeat(200));
        assert_eq!(error_at(&long, Duration::MAX, "ipc://").await, ConnectErrorKind::BadAddress);
    });
}

#[test]
fn connecting_waits_for_a_broker_that_starts_later() {
    run(async {
        let broker = Broker::start().await;
        let client = builder(broker.address.clone()).connect();
        let script = async {
            let mut broker = broker.restarted(true).await;
            broker.welcome().await
        };
        let (client, hello) = tokio::join!(client, script);
        assert!(client.is_ok() && hello.pid == Some(std::process::id()));
    });
}

#[test]
fn a_rejection_by_the_broker_is_an_error() {
    run(async {
        let mut broker = Broker::start().await;
        let address = broker.address.clone();
        let refusal = async {
            broker.hello().await;
            let failure = Failure::new(Code::FailedPrecondition, Executed::No, "this is the backend");
            broker.send(Envelope::Goodbye(Some(Box::new(failure)))).await;
        };
        let (error, ()) = tokio::join!(error_at(&address, Duration::MAX, "this is the backend"), refusal);
        assert_eq!(error, ConnectErrorKind::Rejected);
    });
}

#[test]
fn the_calls_of_a_rejected_client_fail() {
    run(async {
        let (mut broker, client) = connected_with(|builder| builder.name("billing")).await;
        let failure = Failure::new(Code::PermissionDenied, Executed::No, "billing is not permitted");
        let script = async {
            broker.request().await;
            broker.send(Envelope::Goodbye(Some(Box::new(failure)))).await;
        };
        let (open, ()) = tokio::join!(client.call::<()>("a.b", ()).into_future(), script);
        let later = client.call::<()>("a.b", ()).await;
        for (error, executed) in [(open, Executed::Maybe), (later, Executed::No)] {
            let error = error.unwrap_err();
            assert_eq!((error.code(), error.executed()), (Code::PermissionDenied, executed));
            assert_eq!(error.message(), "billing is not permitted");
        }
        client.close().await.unwrap();
    });
}

#[test]
fn open_calls_are_resent_in_the_same_session_after_a_reconnect() {
    run(async {
        let mut broker = Broker::start().await;
        let (client, first) = tokio::join!(builder(broker.address.clone()).connect(), broker.welcome());
        let client = client.unwrap();
        let mut call = client.call::<u32>("a.b", ()).into_future();
        assert!((&mut call).now_or_never().is_none());
        let before = broker.request().await;
        client.call("a.cast", ()).cast().await.unwrap();
        assert!(broker.request().await.flags.cast);

        let mut broker = broker.restarted(true).await;
        let again = broker.welcome().await;
        assert_eq!((first.connection.0, again.connection.0), (1, 2));
        assert_eq!(first.session, again.session);
        let resent = broker.request().await;
        assert_eq!((resent.number, resent.method.method()), (before.number, "b"));
        assert!(resent.flags.resend && !before.flags.resend);
        broker.answer(&resent, 5).await;
        assert_eq!(call.await, Ok(5));
        // The cast is not resent: the next request is a new one.
        client.call("a.next", ()).cast().await.unwrap();
        assert_eq!(broker.request().await.method.method(), "next");
        assert_eq!((client.statistics().connections, client.statistics().resent), (2, 1));
    });
}

#[test]
fn a_once_call_ends_when_the_broker_restarts_without_its_state() {
    run(async {
        let (mut broker, client) = connected().await;
        let mut once = client.call::<u32>("a.b", ()).effect(Effect::Once).into_future();
        assert!((&mut once).now_or_never().is_none());
        broker.request().await;
        let mut broker = broker.restarted(false).await;
        let (error, _) = tokio::join!(once, broker.welcome());
        let error = error.unwrap_err();
        assert_eq!((error.code(), error.executed()), (Code::Unavailable, Executed::Maybe));
    });
}

#[test]
fn calls_wait_for_a_broker_that_has_not_started() {
    run(async {
        let broker = Broker::start().await;
        let client = builder(&broker.address).connect_lazily().unwrap();
        let mut broker = broker.restarted(true).await;
        let script = async {
            broker.welcome().await;
            let request = broker.request().await;
            broker.answer(&request, 5).await;
        };
        assert_eq!(tokio::join!(client.call::<u32>("a.b", ()).into_future(), script).0, Ok(5));
    });
}
