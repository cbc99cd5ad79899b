//! A broker under attack, and the legitimate peers whose calls must succeed.

use std::{
    env,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use callboard::{Client, core::broker::GateStatus};
use serde::Deserialize;
use tokio::{runtime::Runtime, task::JoinHandle, time::sleep};

use crate::{
    attack::{self, Attack, Size},
    harness::{Broker, Finished, Process, callboard, until, until_async},
    mode::Mode,
    phase::PhaseStart,
};

/// Calls that must succeed after the attack, while its connections are still open.
const CALLS_AFTER: u64 = 20;
/// The time before an attack at full size in which the latency without it is measured.
const QUIET_SPAN: Duration = Duration::from_secs(3);

type Latencies = Arc<Mutex<Vec<Duration>>>;

/// The part of the worker's answer that the checks need.
#[derive(Debug, Deserialize)]
struct Square {
    square: u64,
}

/// Runs the attack and asserts that the broker withstands it.
pub(crate) fn withstand(attack: &Attack, size: Size, mode: Mode) {
    let mut broker = broker(attack, size, mode);
    let _worker = worker(&broker, mode);
    Runtime::new().unwrap().block_on(async {
        let bystander = Bystander::start(mode.client(&broker.frontend).await);
        let before = bystander.idle_gate(|gate| gate.connections == 2).await;
        let quiet = PhaseStart::now(broker.process.pid());
        bystander.take_latencies();
        if size == Size::Full {
            sleep(QUIET_SPAN).await;
        }
        let (quiet, attacked) = (quiet.end(bystander.take_latencies()), PhaseStart::now(broker.process.pid()));
        let mut attacker = attacker(attack, &broker, size, mode);
        assert_eq!(attacker.line(), attack::DONE);
        let attacked = attacked.end(bystander.take_latencies());
        if size == Size::Full {
            let ratio = attacked.percentile(99).as_secs_f64() / quiet.percentile(99).as_secs_f64();
            println!(
                "{mode}::{}: p99 {ratio:.1} times that without the attack\n  without: {quiet}\n  attacked: {attacked}",
                attack.name
            );
        }
        bystander.assert_progress().await;
        call_with_new_client(&broker, mode).await;
        attacker.kill();
        let ended_for = |gate: &GateStatus, reason: &str| gate.closed.get(reason) > before.closed.get(reason);
        // The figures may be a little old. Figures that include the new client include the attack.
        let is_over = |gate: &GateStatus| {
            gate.connections == before.connections
                && gate.accepted > before.accepted
                && (gate.pauses > before.pauses || !attack.pauses)
                && attack.reasons_in(mode).iter().all(|reason| ended_for(gate, reason))
        };
        let after = bystander.idle_gate(is_over).await;
        if size == Size::Full {
            println!("  {} connections in all", after.accepted - before.accepted);
        }
        assert!(!after.closed.contains_key("internal"), "{after:?}");
        if let Some(part) = attack.log {
            assert_logged(&broker, part, after.accepted - before.accepted);
        }
        bystander.assert_progress().await;
        bystander.end().await;
    });
    broker.process.signal(rustix::process::Signal::TERM);
    assert_eq!(broker.process.exit_code(), 0, "the broker ends with exit code 0 on SIGTERM");
}

fn broker(attack: &Attack, size: Size, mode: Mode) -> Broker {
    let folder = tempfile::tempdir().unwrap();
    let keys = mode.flags(folder.path());
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let any_ports = ["--frontend", "tcp://127.0.0.1:0", "--backend", "tcp://127.0.0.1:0"];
    Broker::start_with(&[&any_ports, attack.flags_of(size), &keys].concat())
}

/// Starts the worker of the legitimate calls, and waits until it serves.
fn worker(broker: &Broker, mode: Mode) -> Process {
    let mut worker = callboard();
    worker.args(["internal", "echo-worker"]).env("CALLBOARD_BACKEND", &broker.backend);
    mode.set_variables(&mut worker);
    let worker = Process::start(worker);
    until("the worker serves", || {
        let mut services = broker.command_line(&["services", "--json"]);
        mode.set_variables(&mut services);
        Finished::of(services).printed().contains("\"name\":\"bench\"").then_some(())
    });
    worker
}

/// Asserts that the log has this line, once for each connection at most.
fn assert_logged(broker: &Broker, part: &str, connections: u64) {
    until("the log names the reason", || broker.process.stderr.so_far().contains(part).then_some(()));
    let lines = broker.process.stderr.so_far().matches(part).count() as u64;
    assert!(lines <= connections, "{lines} lines for {connections} connections");
}

fn attacker(attack: &Attack, broker: &Broker, size: Size, mode: Mode) -> Process {
    let mut command = Command::new(env::current_exe().unwrap());
    let (size, mode) = (format!("{size:?}"), mode.to_string());
    command.args([attack::WORD, attack.name, &broker.frontend, &broker.backend, &size, &mode]);
    Process::start(command)
}

/// Makes a call with a client that connects during the attack.
async fn call_with_new_client(broker: &Broker, mode: Mode) {
    let client = mode.client(&broker.frontend).await;
    assert_eq!(client.call::<Square>("demo.square", (7,)).await.unwrap().square, 49);
    client.close().await.unwrap();
}

/// A client that makes one call after another.
struct Bystander {
    client: Client,
    calls: Arc<AtomicU64>,
    latencies: Latencies,
    stop: Arc<AtomicBool>,
    calling: JoinHandle<()>,
}

impl Bystander {
    fn start(client: Client) -> Bystander {
        let (calls, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let latencies = Latencies::default();
        let calling =
            tokio::spawn(call_on(client.clone(), Arc::clone(&calls), Arc::clone(&latencies), Arc::clone(&stop)));
        Bystander { client, calls, latencies, stop, calling }
    }

    /// Returns the latencies of the calls since the last time.
    fn take_latencies(&self) -> Vec<Duration> {
        std::mem::take(&mut self.latencies.lock().unwrap())
    }

    /// Waits until more calls have succeeded.
    async fn assert_progress(&self) {
        let enough = self.calls.load(Ordering::Relaxed) + CALLS_AFTER;
        until_async("more calls have succeeded", async || {
            tokio::task::yield_now().await;
            assert!(!self.calling.is_finished(), "a call has failed");
            self.calls.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    /// Returns the gate's figures when it holds no bytes, no handshake is pending, and `settled` is true.
    async fn idle_gate(&self, settled: impl Fn(&GateStatus) -> bool) -> GateStatus {
        let mut last = GateStatus::default();
        let ask = async || {
            last = self.client.call("callboard.gate", ()).await.unwrap();
            last.pending == 0 && last.held_bytes == 0 && settled(&last)
        };
        until_async("the gate is idle", ask).await;
        last
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.calling.await.expect("every call has succeeded");
        self.client.close().await.unwrap();
    }
}

async fn call_on(client: Client, calls: Arc<AtomicU64>, latencies: Latencies, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let (number, started) = (calls.load(Ordering::Relaxed), Instant::now());
        let answer = client.call::<Square>("demo.square", (number,)).await.unwrap();
        latencies.lock().unwrap().push(started.elapsed());
        assert_eq!(answer.square, number * number);
        calls.store(number + 1, Ordering::Relaxed);
    }
}
