//! The calculator of the examples, called from the shell and by its client.

use crate::harness::{Broker, Finished, Process, example};

/// A broker with the calculator as its worker.
struct Scene {
    broker: Broker,
    worker: Process,
}

impl Scene {
    fn start() -> Scene {
        let broker = Broker::start();
        let worker = broker.worker("calculator-worker", "calculator");
        Scene { broker, worker }
    }

    fn answers(&self, words: &[&str], answer: &str) {
        assert_eq!(self.broker.call(words).printed(), answer, "{words:?}");
    }

    /// Asserts that a call fails: the first line of stderr begins with `begins`, and the second line is `details`.
    fn fails(&self, words: &[&str], begins: &str, details: &str) {
        let stderr = self.broker.call(words).failed(1);
        let mut lines = stderr.lines();
        let (first, second) = (lines.next().unwrap(), lines.next().unwrap_or_default());
        assert!(first.starts_with(&format!("error: {begins}")), "{words:?}: {stderr}");
        assert_eq!(second.trim_start(), details, "{words:?}");
    }

    /// As [`Scene::fails`], for arguments that do not fit the method.
    fn misfits(&self, words: &[&str], problem: &str, details: &str) {
        let details = format!("details: {details}");
        self.fails(words, &format!("INVALID_ARGUMENT ArgumentError: {problem} (executed: no"), &details);
    }
}

#[test]
fn integers_stay_integers_and_fractions_work_too() {
    let scene = Scene::start();
    scene.answers(&["calculator.add", "2", "3"], "5");
    scene.answers(&["calculator.add", "2.5", "3"], "5.5");
    scene.answers(&["calculator.sub", "2", "3"], "-1");
    scene.answers(&["calculator.div", "6", "3"], "2");
    scene.answers(&["calculator.div", "7", "2"], "3.5");
    scene.answers(&["calculator.add", "9223372036854775806", "1"], "9223372036854775807");
}

#[test]
fn arguments_are_passed_by_position_or_by_name_and_flags_may_follow() {
    let scene = Scene::start();
    scene.answers(&["calculator.sub", "x=2", "y=3"], "-1");
    scene.answers(&["calculator.sub", "y=3", "x=2"], "-1");
    scene.answers(&["calculator.sub", "2", "y=3"], "-1");
    scene.answers(&["calculator.sub", "-2", "-3", "--timeout", "20s"], "1");
    scene.answers(&["calculator.add", "--timeout", "20s", "-1.5e3", "y=-4"], "-1504.0");
}

#[test]
fn the_error_of_an_invalid_argument_names_the_expected_and_the_actual_value() {
    let scene = Scene::start();
    let details = r#"{"argument":"x","expected":"a number","got":"an array"}"#;
    scene.misfits(&["calculator.sub", "[1,2]", "4"], "argument x: expected a number, got an array", details);
    let details = r#"{"argument":"y","expected":"a value","got":"nothing"}"#;
    scene.misfits(&["calculator.sub", "1"], "argument y: missing", details);
    let details = r#"{"argument":"","expected":"x, y","got":"3"}"#;
    scene.misfits(
        &["calculator.sub", "1", "2", "3"],
        "arguments: 3 given, which is too many; the method takes x, y",
        details,
    );
    let details = r#"{"argument":"x","expected":"one value","got":"two"}"#;
    scene.misfits(&["calculator.sub", "1", "x=2"], "argument x: given twice", details);
    let details = r#"{"argument":"z","expected":"x, y","got":"z"}"#;
    scene.misfits(&["calculator.sub", "1", "z=2"], "argument z: unknown; the method takes x, y", details);
    scene.answers(&["calculator.sub", "5", "4"], "1");
}

#[test]
fn a_file_is_sent_as_bytes() {
    let scene = Scene::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    let word = format!("@{}", file.path().display());
    let details = r#"{"argument":"x","expected":"a number","got":"bytes"}"#;
    scene.misfits(&["calculator.add", &word, "1"], "argument x: expected a number, got bytes", details);
}

#[test]
fn an_application_error_arrives_with_name_text_and_details() {
    let scene = Scene::start();
    let begins = "UNKNOWN DivisionByZero: cannot divide 1 by zero (executed: yes, attempt 1, worker calculator-worker-";
    scene.fails(&["calculator.div", "1", "0"], begins, r#"details: {"dividend":1}"#);
    let begins = "OUT_OF_RANGE: 9223372036854775807 + 1 is beyond the integers of 64 bits (executed: yes";
    scene.fails(&["calculator.add", "9223372036854775807", "1"], begins, "");
    scene.answers(&["calculator.div", "1", "2"], "0.5");
}

#[test]
fn the_error_of_an_unknown_method_or_service_lists_the_known_ones() {
    let scene = Scene::start();
    let near = "UNIMPLEMENTED: calculator has no method ad; did you mean add? (executed: no)";
    scene.fails(&["calculator.ad", "1", "2"], near, "");
    let others = "UNAVAILABLE: no worker serves missing; services with workers: calculator (executed: no)";
    // A broker that has just started waits a moment for workers that may register.
    scene.fails(&["missing.add", "1", "2"], others, "");
}

#[test]
fn services_lists_methods_with_their_arguments_and_effects() {
    let scene = Scene::start();
    let table = scene.broker.command(&["services"]).printed();
    assert!(table.lines().next().unwrap().starts_with("METHOD"), "{table}");
    let words: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[..7], ["calculator.add(x,", "y)", "read", "1", "1", "0", "0"][..], "{table}");
    let json = scene.broker.command(&["services", "--json"]).printed();
    let services: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(services[0]["name"], "calculator");
    assert_eq!(services[0]["workers"], 1);
    let add = serde_json::json!({ "name": "add", "arguments": ["x", "y"], "effect": "read", "running": 0 });
    assert_eq!(services[0]["methods"][0], add);
}

#[test]
fn the_client_of_the_example_shows_values_and_errors() {
    let scene = Scene::start();
    let mut client = example("calculator-client");
    client.arg(&scene.broker.frontend);
    let shown = Finished::of(client).printed();
    let lines = [
        "2 + 3 = 5",
        "2.5 + 3 = 5.5",
        "2 - 3 = -1",
        "[1, 2] - 4: ArgumentError: argument x: expected a number, got an array",
        "1 / 0: DivisionByZero: cannot divide 1 by zero {\"dividend\": 1}",
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn a_worker_shuts_down_in_order_at_a_signal() {
    let mut scene = Scene::start();
    scene.worker.signal(rustix::process::Signal::TERM);
    assert_eq!(scene.worker.exit_code(), 0);
    scene.broker.process.stderr.wait_for("worker left");
    assert_eq!(scene.broker.command(&["services", "--json"]).printed(), "[]");
}
