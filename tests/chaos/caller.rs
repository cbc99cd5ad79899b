//! Clients that make calls: in this process, or in a process of their own that is killed.

use std::{
    env,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use callboard::{Client, ClientBuilder, CurveKeys, parse_server_key};
use serde::de::IgnoredAny;
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::{
    PACE,
    event::{Event, Outcome},
    harness::Process,
    tally,
};

/// The word that makes this program a client process.
pub(crate) const WORD: &str = "chaos-client";
/// Outstanding calls of each client, at most.
const OUTSTANDING_MAX: usize = 100;
/// The timeout of each call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long after its timeout a call without an outcome counts as hung.
const HUNG_AFTER: Duration = Duration::from_secs(30);

/// A client that makes calls until it is stopped.
pub(crate) struct Caller {
    stop: Arc<AtomicBool>,
    /// Returns the client, which may have open calls.
    calling: JoinHandle<Client>,
}

impl Caller {
    /// Starts a client that makes a call after each `pace`, and records their events.
    pub(crate) fn start(
        client: ClientBuilder,
        caller: u64,
        pace: Duration,
        record: impl Fn(Event) + Clone + Send + 'static,
    ) -> Caller {
        let stop = Arc::new(AtomicBool::new(false));
        let calling = tokio::spawn(make_calls(connect(client), caller, pace, Arc::clone(&stop), record));
        Caller { stop, calling }
    }

    /// Stops the calls. Returns when no call is waiting, or when the waiting ones count as hung.
    pub(crate) async fn stop(self, is_waiting: impl Fn() -> bool) {
        self.stop.store(true, Ordering::Relaxed);
        let client = self.calling.await.unwrap();
        let wait_until = Instant::now() + TIMEOUT + HUNG_AFTER;
        while is_waiting() && Instant::now() < wait_until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        client.close().await.unwrap();
    }
}

/// Starts a client process. It prints an [`Event`] a line.
pub(crate) fn start_process(caller: u64, frontend: &str, server_key: Option<String>) -> Process {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([WORD, &caller.to_string(), frontend]).args(server_key);
    Process::start(command)
}

/// Makes calls until this process is killed.
pub(crate) fn run_process(arguments: &[String]) {
    let [caller, frontend, server_key @ ..] = arguments else {
        panic!("the arguments are CALLER FRONTEND [SERVER-KEY]")
    };
    let client = server_key
        .iter()
        .fold(Client::builder(frontend), |client, key| client.curve(CurveKeys::new(parse_server_key(key).unwrap())));
    let caller = caller.parse().unwrap();
    Runtime::new().unwrap().block_on(async {
        // Each line is written as soon as it is complete, so that none is lost when this process is killed.
        make_calls(connect(client), caller, PACE, Arc::default(), |event| println!("{event}")).await;
    });
}

fn connect(client: ClientBuilder) -> Client {
    client.callbacks_max(OUTSTANDING_MAX).timeout(TIMEOUT).connect_lazily().unwrap()
}

/// Makes calls until `stop` is set; `on_complete` waits while too many calls are outstanding.
async fn make_calls(
    client: Client,
    caller: u64,
    pace: Duration,
    stop: Arc<AtomicBool>,
    record: impl Fn(Event) + Clone + Send + 'static,
) -> Client {
    for key in tally::keys_of(caller) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (method, argument) = tally::call(key);
        record(Event::Made(key));
        let call = client.call::<IgnoredAny>(method, (argument,)).wait_for_ready();
        let record_end = record.clone();
        let made = call.on_complete(move |outcome| record_end(Event::Ended(key, Outcome::from(outcome)))).await;
        if made.is_err() {
            record(Event::Ended(key, Outcome::from(made)));
        }
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
    }
    client
}
