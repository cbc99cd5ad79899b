#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use callboard_core::{
    client::Ticket,
    wire::{
        limits::TURN_ENVELOPES_MAX,
        status::{Code, Executed},
    },
};
use callboard_transport::new_session_id;
use tokio::{runtime, sync::oneshot};

use super::*;
use crate::call::request::Request;

type Outcome = oneshot::Receiver<Result<Bytes, CallError>>;

/// Creates a driver that receives `commands`.
fn driver(commands: Vec<Command>) -> Driver {
    let channels = ThreadChannels::new(1000, 1).unwrap();
    commands.into_iter().for_each(|command| channels.commands.push(command).unwrap());
    let settings = Settings {
        peer: peer::Settings::new(new_session_id()),
        address: "tcp://127.0.0.1:1".to_owned(),
        curve: None,
        close_timeout: Duration::from_secs(3600),
        clock: Clock::new(),
        placement: Placement::IoThread,
        notifier: None,
    };
    Driver::new(settings, channels, watch::channel(ClientStatus::default()).0)
}

fn call(number: u64) -> (Command, Outcome) {
    let (caller, outcome) = oneshot::channel();
    let request = Request::new("a.b", &(), None).unwrap();
    let sink = ReplySink::Future { caller, on_notifier_thread: false };
    (Command::Call(request.into_new_call(Ticket(number), Time::ZERO, sink)), outcome)
}

fn run(driver: Driver) {
    driver.run(runtime::Builder::new_current_thread().enable_all().build().unwrap());
}

#[test]
fn all_calls_behind_a_close_end_with_an_error() {
    let (calls, outcomes): (Vec<_>, Vec<_>) = (0..3 * TURN_ENVELOPES_MAX as u64).map(call).unzip();
    run(driver(std::iter::once(Command::Close).chain(calls).collect()));
    for mut outcome in outcomes {
        let error = outcome.try_recv().unwrap().unwrap_err();
        assert!(matches!(error.code(), Code::Cancelled | Code::FailedPrecondition), "{error}");
        assert_eq!(error.executed(), Executed::No);
    }
}

#[test]
fn a_call_that_was_cancelled_in_the_queue_never_reaches_the_machine() {
    let (abandoned, outcome) = call(1);
    let driver = driver(vec![abandoned, Command::Close]);
    let channels = Arc::clone(&driver.channels);
    drop(outcome);
    run(driver);
    assert_eq!(channels.statistics.lock().unwrap().calls, 0);
}

#[test]
fn a_driver_without_handles_ends() {
    run(driver(vec![Command::Close, Command::Close]));
}

#[test]
fn a_client_is_closed_when_the_runtime_of_an_inline_driver_is_dropped() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let driver = driver(Vec::new());
    let channels = Arc::clone(&driver.channels);
    let ended = driver.spawn(runtime.handle());
    drop(runtime);
    assert!(ended.is_finished());
    let (call, mut outcome) = call(1);
    assert!(channels.commands.push(call).is_err(), "no call waits for a driver that has ended");
    assert!(outcome.try_recv().is_err());
}
