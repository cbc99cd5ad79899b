//! A real Prometheus scrapes the endpoint, and its tool checks our rules. `.ci/run` runs these tests where Prometheus is installed.

use std::{fs, process::Command};

use super::{
    endpoint::{self, Endpoint},
    up::Up,
};
use crate::harness::{Finished, Process, until, unused_address};

const NEEDED: &str = "prometheus and promtool must be installed, such as Debian's package prometheus";

/// The folder with rules and dashboards.
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

fn tool(words: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(words);
    command
}

#[test]
#[ignore = "needs prometheus: .ci/run runs it"]
fn prometheus_scrapes_the_endpoint() {
    let up = Up::start();
    for _ in 0..3 {
        up.call(&["calculator.add", "2", "3"]).printed();
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\nrule_files: [\"{DEPLOY}/prometheus/alerts.yml\"]\n\
         scrape_configs:\n  - job_name: callboard\n    static_configs:\n      - targets: [\"{}\"]\n",
        up.endpoint.address
    );
    fs::write(&config, text).unwrap();
    let address = unused_address().trim_start_matches("tcp://").to_owned();
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    let _prometheus = Process::start(command);
    until("prometheus listens", || std::net::TcpStream::connect(&address).ok());
    let prometheus = Endpoint { address };
    let value = |query: &str| {
        let body = prometheus.request("GET", &format!("/api/v1/query?query={query}"), "Connection: close\r\n").body;
        let json: serde_json::Value = serde_json::from_str(unchunked(&body)).unwrap_or_default();
        json["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    let completed = "callboard_calls_completed_total%7Bservice%3D%22calculator%22%2Ccode%3D%22OK%22%7D";
    for (query, wanted) in [
        (completed, "3"),
        ("callboard_workers", "4"),
        ("callboard_call_run_seconds_count%7Bmethod%3D%22add%22%7D", "3"),
        ("callboard_pool_size%7Bpool%3D%22jobs%22%7D", "1"),
        ("up", "1"),
    ] {
        until(&format!("{query} is {wanted}"), || (value(query).as_deref() == Some(wanted)).then_some(()));
    }
}

/// Returns the first chunk of a body, if it has chunks: all of a small response.
fn unchunked(body: &str) -> &str {
    match body.starts_with('{') {
        true => body,
        false => body.split("\r\n").nth(1).unwrap_or_default(),
    }
}

#[test]
#[ignore = "needs prometheus: .ci/run runs it"]
fn promtool_accepts_the_metrics_and_the_rules() {
    let (broker, endpoint) = endpoint::broker();
    let _worker = broker.worker("calculator-worker", "calculator");
    broker.call(&["calculator.add", "2", "3"]).printed();
    let (_pool, pool_endpoint) = endpoint::pool(&broker, 1);
    for endpoint in [&endpoint, &pool_endpoint] {
        let text = endpoint.request("GET", "/metrics", "Accept: text/plain\r\n").body;
        let checked = Finished::with_input(tool(&["check", "metrics"]), &text);
        assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:?}; {NEEDED}");
    }
    let rules = Finished::of(tool(&["check", "rules", &format!("{DEPLOY}/prometheus/alerts.yml")]));
    assert_eq!(rules.code, 0, "{rules:?}; {NEEDED}");
}
