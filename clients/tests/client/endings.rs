//! Awaited calls and casts, and their messages on the wire.

use std::time::Duration;

use callboard_clients::{ArgumentMap, CallError, Client, Code, Effect, Executed, named};
use callboard_core::{
    body,
    wire::{
        envelope::{Cancel, Envelope},
        status::Failure,
    },
};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::{assert_every_ending_fails, connected, run};

#[test]
fn an_awaited_call_ends_with_its_result() {
    run(async {
        let (mut broker, client) = connected().await;
        let program = async { client.call("calculator.add", (2, 3)).await };
        let script = async {
            let request = broker.request().await;
            assert_eq!(request.method.as_str(), "calculator.add");
            assert_eq!(body::decode::<(i64, i64)>(&request.body).unwrap(), (2, 3));
            assert!(request.timeout.unwrap() > Duration::from_secs(20), "the default is 30 s");
            assert_eq!((request.effect, request.flags.bits()), (None, 0));
            broker.answer(&request, 5).await;
        };
        let (sum, ()) = tokio::join!(program, script);
        let sum: i64 = sum.unwrap();
        assert_eq!(sum, 5);
        assert_eq!((client.statistics().calls, client.statistics().answered), (1, 1));
    });
}

#[test]
fn the_options_of_a_call_are_on_the_wire() {
    run(async {
        let (mut broker, client) = connected().await;
        let by_name = ArgumentMap::new().position(2).name("y", "three");
        let call = client.call::<()>("a.b", by_name).no_timeout().wait_for_ready().effect(Effect::Once).key("k");
        let script = async {
            let request = broker.request().await;
            assert_eq!((request.timeout, request.effect), (None, Some(Effect::Once)));
            assert_eq!(request.key.as_ref().unwrap().as_str(), "k");
            assert!(request.flags.wait_for_ready && !request.flags.cast && !request.flags.resend);
            broker.answer(&request, ()).await;
        };
        tokio::join!(call.into_future(), script).0.unwrap();
        let call = client.call("a.b", named([("x", 1)])).timeout(Duration::from_secs(5)).cast();
        let (cast, request) = tokio::join!(call, broker.request());
        cast.unwrap();
        assert!(request.flags.cast);
        assert!(request.timeout.unwrap() <= Duration::from_secs(5));
    });
}

#[test]
fn a_call_with_an_invalid_key_is_not_sent() {
    run(async {
        let (_broker, client) = connected().await;
        for key in [String::new(), "k".repeat(129)] {
            let error = client.call::<()>("a.b", ()).key(key).await.unwrap_err();
            assert_eq!((error.code(), error.executed()), (Code::InvalidArgument, Executed::No));
        }
    });
}

#[test]
fn a_broadcast_with_a_key_or_with_streams_is_not_sent() {
    run(async {
        let (_broker, client) = connected().await;
        let broadcast = || client.call::<()>("a.b", ()).broadcast();
        let with_key = broadcast().key("k").await.unwrap_err();
        let key_first = client.call::<()>("a.b", ()).key("k").broadcast().await.unwrap_err();
        let with_items = broadcast().stream::<u64>().next().await.unwrap().unwrap_err();
        for error in [with_key, key_first, with_items] {
            assert_eq!((error.code(), error.executed()), (Code::InvalidArgument, Executed::No), "{error}");
            assert!(error.message().starts_with("a broadcast"), "{error}");
        }
    });
}

#[test]
fn a_cast_to_all_is_a_broadcast_without_an_outcome() {
    run(async {
        let (mut broker, client) = connected().await;
        let (cast, request) = tokio::join!(client.call("a.b", ()).cast_to_all(), broker.request());
        cast.unwrap();
        assert!(request.flags.cast && request.flags.broadcast);
    });
}

#[test]
fn a_failure_has_everything_that_the_broker_sent() {
    run(async {
        let (mut broker, client) = connected().await;
        let script = async {
            let request = broker.request().await;
            let failure = Failure {
                type_name: "DivisionByZero".into(),
                details: body::encode(&(1, 0)).unwrap(),
                attempt: 2,
                worker: "calculator-3".into(),
                retry_after: Some(Duration::from_secs(1)),
                ..Failure::new(Code::Unknown, Executed::Yes, "cannot divide 1 by 0")
            };
            broker.fail(&request, failure).await;
        };
        let call = client.call::<f64>("calculator.div", (1, 0)).into_future();
        let error = tokio::join!(call, script).0.unwrap_err();
        assert_eq!((error.code(), error.executed()), (Code::Unknown, Executed::Yes));
        assert_eq!((error.type_name(), error.message()), ("DivisionByZero", "cannot divide 1 by 0"));
        assert_eq!(error.details::<(i32, i32)>().unwrap().unwrap(), (1, 0));
        assert_eq!((error.attempt(), error.worker()), (Some(2), Some("calculator-3")));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        let call = error.call_id().unwrap();
        let context = format!("executed: yes, attempt 2, worker calculator-3, call {call}, try again in 1s");
        let text = format!("UNKNOWN DivisionByZero: cannot divide 1 by 0 ({context})");
        assert_eq!(error.to_string(), text);
    });
}

#[test]
fn a_result_of_another_type_is_an_error_with_both_types() {
    run(async {
        let (mut broker, client) = connected().await;
        let script = async {
            let request = broker.request().await;
            broker.answer(&request, "five").await;
        };
        let error = tokio::join!(client.call::<i64>("a.b", ()).into_future(), script).0.unwrap_err();
        assert_eq!((error.code(), error.executed()), (Code::Internal, Executed::Yes));
        assert!(error.message().contains("i64") && error.message().contains("got text"), "{error}");
    });
}

#[test]
fn every_ending_reports_an_invalid_name() {
    run(async {
        let (_broker, client) = connected().await;
        assert_every_ending_fails(|| client.call("add", ()), Code::InvalidArgument, "SERVICE.METHOD").await;
    });
}

#[test]
fn dropping_an_awaited_call_cancels_it() {
    run(async {
        let (mut broker, client) = connected().await;
        let mut call = client.call::<()>("a.b", ()).into_future();
        assert!((&mut call).now_or_never().is_none());
        let request = broker.request().await;
        drop(call);
        let Envelope::Cancel(Cancel { number, .. }) = broker.next().await else { panic!("no cancel") };
        assert_eq!(number, request.number.0);
        // The late reply is dropped and counted, and the client continues.
        broker.answer(&request, ()).await;
        let script = async {
            let next = broker.request().await;
            broker.answer(&next, ()).await;
        };
        tokio::join!(client.call::<()>("a.b", ()).into_future(), script).0.unwrap();
        let statistics = client.statistics();
        assert_eq!((statistics.cancelled, statistics.late, statistics.open), (1, 1, 0));
    });
}

#[test]
fn a_call_that_is_dropped_in_the_queue_is_never_sent() {
    run(async {
        let (mut broker, client) = connected().await;
        let mut first = client.call::<()>("a.first", ()).into_future();
        let mut never_polled = client.call::<()>("a.never", ()).into_future();
        let _ = (&mut never_polled, (&mut first).now_or_never());
        drop(never_polled);
        assert_eq!(broker.request().await.method.method(), "first");
        client.call("a.cast", ()).cast().await.unwrap();
        assert_eq!(broker.request().await.method.method(), "cast");
    });
}

#[test]
fn thousands_of_calls_share_one_connection_and_each_gets_its_own_result() {
    run(async {
        let (mut broker, client) = connected().await;
        let calls: FuturesUnordered<_> = (0..5_000u64)
            .map(|index| client.call::<u64>("a.b", (index,)).into_future().map(move |result| (index, result.unwrap())))
            .collect();
        let program = calls.for_each(|(index, result)| async move { assert_eq!(result, index + 1) });
        let script = async {
            for _ in 0..5_000 {
                let request = broker.request().await;
                let (index,) = body::decode::<(u64,)>(&request.body).unwrap();
                broker.answer_with_credit(&request, index + 1).await;
            }
        };
        tokio::join!(program, script);
        assert_eq!(client.statistics().answered, 5_000);
    });
}

#[test]
fn a_call_runs_on_any_executor() {
    run(async {
        let (mut broker, client) = connected().await;
        let program = tokio::task::spawn_blocking(move || futures::executor::block_on(call(client)));
        let request = broker.request().await;
        broker.answer(&request, 5).await;
        assert_eq!(program.await.unwrap(), 5);
    });
}

/// The result type is inferred from its use, also through `?`.
async fn call(client: Client) -> i64 {
    async fn sum(client: &Client) -> Result<i64, Box<dyn std::error::Error>> {
        let sum: i64 = client.call("calculator.add", (2, 3)).await?;
        Ok(sum)
    }
    sum(&client).await.unwrap()
}

fn is_send_and_static<T: Send + 'static>(value: T) -> T {
    value
}

#[test]
fn every_ending_can_be_spawned() {
    run(async {
        let (_broker, client) = connected().await;
        // The result need not be `Send`: it is decoded where it is used.
        drop(is_send_and_static(client.call::<u32>("a.b", ()).into_future()));
        drop(is_send_and_static(client.call("a.b", ()).on_complete(|_: Result<u32, CallError>| {})));
        drop(is_send_and_static(client.call("a.b", ()).cast()));
        tokio::spawn(async move { client.close().await });
    });
}
