//! The endpoint of `callboard up`: one for its broker and all pools.

use std::fs;

use rustix::process::Signal;
use tempfile::TempDir;

use super::endpoint::Endpoint;
use crate::harness::{Finished, Process, any_port, callboard, example_path, signal, until};

/// A running `callboard up` with an endpoint, a broker and two pools.
pub(super) struct Up {
    pub(super) process: Process,
    pub(super) frontend: String,
    pub(super) endpoint: Endpoint,
    _folder: TempDir,
}

impl Up {
    pub(super) fn start() -> Up {
        Up::start_with("admin = \"127.0.0.1:0\"", &[])
    }

    /// Starts it with this line in its table `broker`, and with flags.
    fn start_with(broker: &str, flags: &[&str]) -> Up {
        let folder = folder(&[broker, "", ""]);
        let mut command = callboard();
        command.arg("up").arg(folder.path().join("callboard.toml")).args(flags);
        let process = Process::start(command);
        let line = process.line();
        let frontend = line.split(' ').find_map(|word| word.strip_prefix("frontend=")).unwrap().to_owned();
        let endpoint = Endpoint::of(&process);
        Up { process, frontend, endpoint, _folder: folder }
    }

    /// Returns the process of the broker.
    fn broker(&self) -> u32 {
        let line = self.process.stderr.wait_for("started component=broker pid=");
        line.split_once("pid=").unwrap().1.trim().parse().unwrap()
    }

    pub(super) fn call(&self, words: &[&str]) -> Finished {
        let mut command = callboard();
        command.arg("call").args(words).env("CALLBOARD_FRONTEND", &self.frontend);
        Finished::of(command)
    }
}

/// Returns a folder with a settings file whose tables `broker`, `pool` and `pools.jobs` have these lines, too.
fn folder([broker, pool, jobs]: &[&str; 3]) -> TempDir {
    let (folder, any_port) = (tempfile::tempdir().unwrap(), any_port());
    let program = |name| format!("program = [\"{}\"]\nsize = 1\n", example_path(name).display());
    let text = format!(
        "[broker]\nfrontend = \"{any_port}\"\nbackend = \"{any_port}\"\n{broker}\n[pool]\n{pool}\n\
         [pools.calculator]\n{}[pools.jobs]\n{}{jobs}\n",
        program("calculator-worker"),
        program("pool-worker"),
    );
    fs::write(folder.path().join("callboard.toml"), text).unwrap();
    folder
}

#[test]
fn one_endpoint_covers_the_broker_and_all_pools() {
    let mut up = Up::start();
    up.call(&["calculator.add", "2", "3"]).printed();
    up.endpoint.get("/live").assert(200, &["live"]);
    up.endpoint.get("/ready").assert(200, &["ready"]);
    let samples = up.endpoint.scrape();
    assert_eq!(samples.value("calls_completed_total{service=\"calculator\",method=\"add\",code=\"OK\"}"), 1.0);
    for pool in ["calculator", "jobs"] {
        assert_eq!(samples.value(&format!("component_up{{component=\"pool\",pool=\"{pool}\"}}")), 1.0);
        assert_eq!(samples.value(&format!("pool_processes{{pool=\"{pool}\",state=\"registered\"}}")), 1.0);
    }
    up.endpoint.get("/ready/jobs").assert(200, &["1 workers of jobs"]);
    up.process.signal(Signal::TERM);
    assert_eq!(up.process.exit_code(), 0);
}

#[test]
fn the_flag_of_up_overrides_the_file() {
    let up = Up::start_with("admin = \"192.0.2.1:1\"", &["--admin", "127.0.0.1:0"]);
    up.endpoint.get("/ready/calculator").assert(200, &["1 workers of calculator"]);
}

#[test]
fn a_broker_that_was_killed_makes_it_neither_live_nor_ready_until_it_is_back() {
    let up = Up::start();
    signal(up.broker(), Signal::KILL);
    until("the broker is missed", || (up.endpoint.get("/live").status == 503).then_some(()));
    up.endpoint.get("/ready").assert(503, &["not ready: the broker"]);
    let samples = up.endpoint.scrape();
    assert_eq!(samples.value("component_up{component=\"broker\",pool=\"\"}"), 0.0);
    assert!(samples.get("workers").is_none());
    until("the broker is back", || (up.endpoint.get("/ready").status == 200).then_some(()));
    until("the workers are back", || (up.endpoint.get("/ready/calculator").status == 200).then_some(()));
}

#[test]
fn a_broker_that_does_not_answer_is_not_live() {
    let up = Up::start();
    signal(up.broker(), Signal::STOP);
    until("the broker is missed", || (up.endpoint.get("/live").status == 503).then_some(()));
    up.endpoint.get("/live").assert(503, &["not live: the broker did not answer within 1 s"]);
    signal(up.broker(), Signal::CONT);
    until("the broker answers", || (up.endpoint.get("/live").status == 200).then_some(()));
}

#[test]
fn a_pool_with_an_endpoint_of_its_own_is_an_error() {
    for (lines, place) in
        [(["", "admin = \"127.0.0.1:0\"", ""], "line 6"), (["", "", "admin = \"127.0.0.1:0\""], "line 13")]
    {
        let folder = folder(&lines);
        let file = folder.path().join("callboard.toml");
        let mut command = callboard();
        command.arg("up").arg(&file).arg("--check");
        Finished::of(command).failed_with(2, &[&file.display().to_string(), place, "set admin in [broker]"]);
    }
}
