//! A gate whose process has no free files. This test has its own process, because the limit applies to the whole process.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use callboard_broker::gate::{Address, Gate, GateLimits, file_limit};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{task::LocalSet, time::sleep};

const LONG: Duration = Duration::from_secs(60);

async fn until(gate: &Gate, done: impl Fn(&Gate) -> bool) {
    let start = Instant::now();
    while !done(gate) {
        assert!(start.elapsed() < LONG, "timeout: {:?}", gate.counters());
        sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_gate_without_free_files_pauses_and_accepts_again_later() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(async {
        let any: Address = "tcp://127.0.0.1:0".parse().unwrap();
        let gate = Gate::bind(&any, &any, GateLimits::default()).unwrap();
        assert_eq!(file_limit(), getrlimit(Resource::Nofile).maximum, "binding raises the limit");
        let few = 60;
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: Some(few), ..getrlimit(Resource::Nofile) })
            .unwrap();

        let to = gate.frontend().to_string().trim_start_matches("tcp://").to_owned();
        let mut peers: Vec<TcpStream> = std::iter::from_fn(|| TcpStream::connect(&to).ok()).collect();
        assert!(peers.len() < 60);
        until(&gate, |gate| gate.counters().accept_failures > 0).await;
        let (start, before) = (Instant::now(), gate.counters().accept_failures);
        sleep(Duration::from_millis(300)).await;
        let failures = u128::from(gate.counters().accept_failures - before);
        assert!(failures <= start.elapsed().as_millis() / 100 + 1, "the gate retries too often: {failures}");

        // Each closed peer frees two files: its own and the gate's.
        let accepted = gate.counters().accepted;
        peers.truncate(peers.len() / 2);
        until(&gate, |gate| gate.counters().accepted > accepted).await;
    }));
}
