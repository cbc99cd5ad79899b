//! `callboard call` and `ping` with missing services, timeouts and misspelled names.

use callboard::{Reply, Service, Worker};

use crate::harness::{Broker, Finished, Pool, Process, callboard, until, unused_address};

#[test]
fn without_a_broker_a_command_prints_one_error_and_ends_with_3() {
    let nowhere = unused_address();
    for command in [&["call", "calculator.add", "2", "3"][..], &["services"], &["ping"]] {
        let ended = Finished::callboard(&[command, &["--frontend", &nowhere]].concat());
        ended.failed_with(3, &[&nowhere, "start a broker there"]);
    }
}

#[test]
fn a_call_past_its_timeout_ends_with_3_and_reports_whether_it_ran() {
    let broker = Broker::start();
    let _worker = broker.worker("pool-worker", "jobs");
    let late = broker.call(&["jobs.pause", "600000", "--timeout", "10s"]);
    late.failed_with(5, &["DEADLINE_EXCEEDED", "executed: yes", "pool-worker-"]);
    let never = broker.call(&["missing.method", "--wait-for-ready", "--timeout", "300ms"]);
    never.failed_with(5, &["DEADLINE_EXCEEDED: no worker has served missing within 300ms (executed: no)"]);
}

#[test]
fn a_cast_prints_nothing_and_is_run() {
    let broker = Broker::start();
    let journal = tempfile::NamedTempFile::new().unwrap();
    let _pool = Pool::start_with(&broker, 1, &[("JOBS_JOURNAL", journal.path().as_os_str())]);
    assert_eq!(broker.call(&["jobs.note", "7", "--cast"]).printed(), "");
    until("the worker has run it", || {
        std::fs::read_to_string(journal.path()).unwrap().starts_with("note 7 ").then_some(())
    });
}

#[test]
fn a_cast_without_effect_gets_a_warning() {
    let broker = Broker::start();
    let _worker = broker.worker("pool-worker", "jobs");
    for (method, why) in [("missing.method", "no worker serves missing now"), ("jobs.rest", "jobs has no method rest")]
    {
        let cast = broker.call(&[method, "--cast"]);
        assert!(cast.code == 0 && cast.stdout.is_empty() && cast.stderr.starts_with("warning: "), "{cast:?}");
        assert!(cast.stderr.contains(why), "{cast:?}");
    }
}

#[test]
fn an_unknown_method_gets_a_suggestion() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    for typed in ["calculator.ADD", "calculater.add"] {
        let stderr = broker.call(&[typed, "1", "2"]).failed(1);
        assert!(stderr.ends_with("\n  did you mean calculator.add?"), "{stderr}");
    }
}

#[test]
fn usage_errors_end_with_2_and_name_the_valid_usage() {
    let fails = |words: &[&str], of: &[&str]| Finished::callboard(words).failed_with(2, of);
    fails(&["call", "add", "1"], &["SERVICE.METHOD", "calculator.add"]);
    fails(&["call", "calculator.add", "18446744073709551616"], &["18446744073709551616", "64 bits"]);
    fails(&["call", "calculator.add", "[1, 2", "3"], &["cannot read [1, 2 as JSON", "line 1 column 5", "'\"...\"'"]);
    fails(&["call", "calculator.add", "\"\\ud83d\""], &["as JSON", "line 1 column 8"]);
    fails(&["call", "calculator.add", "-.5", "3"], &["cannot read -.5 as JSON"]);
    fails(&["call", "calculator.add", "@no/such/file"], &["no/such/file"]);
    fails(&["call", "calculator.add", "--timeout", "soon"], &["--timeout", "5s"]);
    fails(&["ping", "--frontend", "localhost:5559"], &["localhost:5559", "tcp://HOST:PORT"]);
    let missing = Finished::callboard(&["call", "calculator.add", "@no/such/file"]).failed(2);
    assert_eq!(missing.matches("No such file").count(), 1, "{missing}");
    let unknown_flag = Finished::callboard(&["call", "calculator.add", "--timeot", "5s"]).failed(2);
    assert!(unknown_flag.contains("--timeout"), "{unknown_flag}");
}

#[test]
fn a_negative_zero_is_an_integer() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    assert_eq!(broker.call(&["calculator.add", "-0", "3"]).printed(), "3");
    assert_eq!(broker.call(&["calculator.add", "-5e-1", "1.0"]).printed(), "0.5");
}

#[test]
fn json_prints_the_result_or_the_error_as_one_value_on_stdout() {
    let broker = Broker::start();
    let _worker = broker.worker("calculator-worker", "calculator");
    assert_eq!(broker.call(&["calculator.add", "2", "3", "--json"]).printed(), "{\"result\":5}");
    let failed = broker.call(&["calculator.div", "1", "0", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&failed.stdout).unwrap();
    let error = &json["error"];
    assert_eq!((failed.code, failed.stderr.as_str()), (1, ""));
    assert_eq!((&error["code"], &error["type"]), (&"UNKNOWN".into(), &"DivisionByZero".into()), "{json}");
    assert_eq!((&error["executed"], &error["details"]["dividend"]), (&"yes".into(), &1.into()), "{json}");
    assert!(error["call"].as_str().is_some_and(|call| call.contains('-')) && error["attempt"] == 1, "{json}");
    let all = broker.call(&["calculator.add", "2", "3", "--json", "--broadcast"]).printed();
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["answers"][0]["result"], 5, "{all}");
    let nowhere = unused_address();
    let none = Finished::callboard(&["call", "calculator.add", "2", "3", "--json", "--frontend", &nowhere]);
    let json: serde_json::Value = serde_json::from_str(&none.stdout).unwrap();
    assert!(none.code == 3 && json["error"]["message"].as_str().unwrap().contains(&nowhere), "{none:?}");
}

#[test]
fn ping_reports_the_round_trip() {
    let broker = Broker::start();
    let answer: serde_json::Value = serde_json::from_str(&broker.command(&["ping", "--json"]).printed()).unwrap();
    assert_eq!(answer["frontend"], broker.frontend.as_str());
    assert!(answer["round_trip_us"].as_u64().unwrap() > 0, "{answer}");
    let line = broker.command(&["ping"]).printed();
    assert!(line.starts_with(&format!("{} answered in ", broker.frontend)), "{line}");
}

#[test]
fn ctrl_c_ends_a_call_with_130_and_its_function() {
    let broker = Broker::start();
    let _worker = broker.worker("pool-worker", "jobs");
    let mut call = Process::start(broker.command_line(&["call", "jobs.pause", "600000"]));
    broker.wait_for_running_call();
    call.signal(rustix::process::Signal::INT);
    assert_eq!(call.exit_code(), 130);
    // The client cancelled it. The broker waits longer for a client that is missing.
    let status: serde_json::Value = serde_json::from_str(&broker.command(&["status", "--json"]).printed()).unwrap();
    assert_eq!(status["broker"]["counters"]["cancelled"], 1, "{status}");
}

#[test]
fn the_timeout_flag_bounds_the_search_for_a_broker() {
    let nowhere = unused_address();
    let short = Finished::callboard(&["ping", "--frontend", &nowhere, "--timeout", "200ms"]);
    short.failed_with(3, &["within 200ms"]);
    let mut command = callboard();
    command.args(["ping", "--frontend", &nowhere, "--timeout", "none"]);
    let mut waiting = Process::start(command);
    let _broker = Broker::start_at(&nowhere, "tcp://127.0.0.1:0");
    assert_eq!(waiting.exit_code(), 0);
}

// The worker runs in this process, beside the commands that the test waits for.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_printed_as_json_or_as_raw_bytes() {
    let broker = Broker::start();
    let files =
        Service::new("files").read("load", [], || Reply(Bytes(b"\xfb\xff\n1\n"))).read("size", [], || f64::INFINITY);
    let mut worker = Worker::new().backend(&broker.backend).serve(files).start().unwrap();
    worker.registered().await.unwrap();
    assert_eq!(broker.call(&["files.load"]).printed(), r#""-_8KMQo""#);
    let raw = broker.command_line(&["call", "files.load", "--raw"]).output().unwrap();
    assert_eq!((raw.stdout.as_slice(), raw.stderr.as_slice()), (&b"\xfb\xff\n1\n"[..], &b""[..]));
    broker.call(&["files.size", "--raw"]).failed_with(1, &["--raw needs a byte string"]);
    let size = broker.call(&["files.size"]);
    assert_eq!((size.code, size.stdout.as_str()), (0, "null"));
    assert!(size.stderr.contains("NaN or infinite"), "{size:?}");
}

/// A value that serde encodes as a byte string. It encodes a slice as an array.
struct Bytes(&'static [u8]);

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
