//! The outcomes of running calls, by effect and style, when their worker or their broker is lost.
//! `core/src/broker/tests/matrix.rs` tests the same of the machine; these tests kill real processes.

use std::{collections::BTreeMap, fs};

use callboard::{Call, CallError, Client, Code, Effect, Executed};
use rustix::process::Signal;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::harness::{Broker, DEADLINE, Process, callboard, until};

const EFFECTS: [Effect; 3] = [Effect::Read, Effect::Idempotent, Effect::Once];

/// The outcome of a call: the process that answered it.
type Outcome = oneshot::Receiver<Result<u32, CallError>>;

/// A running call in each style with each effect.
struct Scene {
    broker: Broker,
    worker: Process,
    folder: TempDir,
    /// Keeps the connection open.
    _client: Client,
    /// The outcomes of all calls but casts, with their styles and effects.
    outcomes: Vec<(&'static str, Effect, Outcome)>,
}

fn worker(broker: &Broker) -> Process {
    let mut command = callboard();
    command.args(["internal", "stuck-worker"]).env("CALLBOARD_BACKEND", &broker.backend);
    Process::start(command)
}

/// A call whose handler records its start in the journal, and returns when the file `leave` exists.
fn hold<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    folder: &TempDir,
    style: &str,
    effect: Effect,
) -> Call<T> {
    let name = format!("{style}, {effect:?}");
    client.call("stuck.hold", (folder.path(), name)).effect(effect).timeout(DEADLINE)
}

impl Scene {
    async fn start() -> Scene {
        let broker = Broker::start();
        let worker = worker(&broker);
        broker.wait_for_service("stuck");
        let (client, folder) = (broker.client().await, tempfile::tempdir().unwrap());
        let mut outcomes = Vec::new();
        for effect in EFFECTS {
            let awaited = hold(&client, &folder, "awaited", effect);
            let (sender, outcome) = oneshot::channel();
            tokio::spawn(async move { sender.send(awaited.await) });
            outcomes.push(("awaited", effect, outcome));
            let (sender, outcome) = oneshot::channel();
            let called_back = hold(&client, &folder, "called back", effect);
            called_back.on_complete(move |outcome| drop(sender.send(outcome))).await.unwrap();
            outcomes.push(("called back", effect, outcome));
            hold(&client, &folder, "cast", effect).cast().await.unwrap();
        }
        let scene = Scene { broker, worker, folder, _client: client, outcomes };
        scene.wait_for_runs(|runs| runs.len() == 9);
        scene
    }

    /// Starts another worker, and waits until it is registered.
    fn second_worker(&self) -> Process {
        let other = worker(&self.broker);
        let two = || self.broker.command(&["services", "--json"]).printed().contains("\"workers\":2");
        until("the second worker is registered", || two().then_some(()));
        other
    }

    /// Returns the processes that have started each call, in order.
    fn runs(&self) -> BTreeMap<String, Vec<u32>> {
        let mut runs = BTreeMap::<_, Vec<_>>::new();
        for line in fs::read_to_string(self.folder.path().join("journal")).unwrap_or_default().lines() {
            let (name, pid) = line.rsplit_once(' ').unwrap();
            runs.entry(name.to_owned()).or_default().push(pid.parse().unwrap());
        }
        runs
    }

    fn wait_for_runs(&self, enough: impl Fn(&BTreeMap<String, Vec<u32>>) -> bool) {
        until("the calls have started", || enough(&self.runs()).then_some(()));
    }

    /// Lets the calls end. Asserts that the `once` calls failed and that this process answered the others. Returns the runs of each call.
    async fn end(self, answered_by: u32) -> BTreeMap<String, Vec<u32>> {
        self.leave();
        let runs = self.runs();
        for (style, effect, outcome) in self.outcomes {
            let outcome = outcome.await.unwrap();
            match (effect, outcome) {
                (Effect::Once, Err(error)) => {
                    assert_eq!(
                        (error.code(), error.executed()),
                        (Code::Unavailable, Executed::Maybe),
                        "{style}: {error}"
                    );
                }
                (Effect::Read | Effect::Idempotent, Ok(pid)) => assert_eq!(pid, answered_by, "{style}, {effect:?}"),
                (_, outcome) => panic!("{style}, {effect:?}: {outcome:?}"),
            }
        }
        runs
    }

    /// Lets all handlers return.
    fn leave(&self) {
        fs::write(self.folder.path().join("leave"), "").unwrap();
    }
}

/// Returns whether each retryable call, casts included, has started a second time, and no other call has.
fn all_repeated(runs: &BTreeMap<String, Vec<u32>>) -> bool {
    runs.iter().all(|(name, pids)| pids.len() == if name.ends_with("Once") { 1 } else { 2 })
}

#[tokio::test(flavor = "multi_thread")]
async fn retryable_calls_of_a_killed_worker_run_elsewhere_in_every_style() {
    let mut scene = Scene::start().await;
    let other = scene.second_worker();
    let (first, second) = (scene.worker.pid(), other.pid());
    scene.worker.kill();
    scene.wait_for_runs(all_repeated);
    for (name, pids) in scene.end(second).await {
        let expected = if name.ends_with("Once") { vec![first] } else { vec![first, second] };
        assert_eq!(pids, expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retryable_calls_of_a_stopped_worker_run_elsewhere_and_its_late_replies_are_dropped() {
    let scene = Scene::start().await;
    let other = scene.second_worker();
    scene.worker.signal(Signal::STOP);
    scene.wait_for_runs(all_repeated);
    // Both workers answer. Only the answers of the worker that now has the calls count.
    scene.leave();
    scene.worker.signal(Signal::CONT);
    let runs = scene.end(other.pid()).await;
    assert!(all_repeated(&runs), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_retryable_calls_are_resent_after_the_broker_is_killed() {
    let mut scene = Scene::start().await;
    scene.broker.kill_and_start_again();
    let again = |runs: &BTreeMap<String, Vec<u32>>| {
        let sent_again = |name: &str| !name.ends_with("Once") && !name.starts_with("cast");
        runs.iter().all(|(name, pids)| pids.len() == if sent_again(name) { 2 } else { 1 })
    };
    scene.wait_for_runs(again);
    let worker = scene.worker.pid();
    let runs = scene.end(worker).await;
    assert!(again(&runs), "{runs:?}");
}
