//! `callboard config`: the output, and the errors of invalid settings.
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Returns the `callboard` command, without `CALLBOARD_` variables.
fn callboard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CALLBOARD_")) {
        command.env_remove(name);
    }
    command
}

/// Writes a settings file to Cargo's directory for tests, and returns its path.
fn settings_file(test: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.toml"));
    fs::write(&path, text).unwrap();
    path
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Returns the stderr of a command, which must end with exit code 2.
fn stderr_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Returns the words in the line of one setting.
fn line_of(table: &str, setting: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(setting));
    line.unwrap_or_else(|| panic!("no {setting} in\n{table}")).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn each_setting_is_shown_with_its_source() {
    let file = settings_file("sources", "[broker]\ndrain = \"7s\"\nheartbeat = \"2s\"\n\n[pool]\nsize = 8\n");
    let output = callboard()
        .args(["config", "--heartbeat", "3s", "--config"])
        .arg(&file)
        .env("CALLBOARD_BACKEND", "ipc:///run/backend")
        .output()
        .unwrap();
    let table = stdout(&output);
    let file = file.to_str().unwrap();
    assert_eq!(line_of(&table, "broker.heartbeat"), ["broker.heartbeat", "3s", "flag", "--heartbeat"]);
    assert_eq!(line_of(&table, "broker.drain"), ["broker.drain", "7s", "file", file, "line", "2"]);
    assert_eq!(line_of(&table, "pool.size"), ["pool.size", "8", "file", file, "line", "6"]);
    let backend = ["pool.backend", "ipc:///run/backend", "environment", "CALLBOARD_BACKEND"];
    assert_eq!(line_of(&table, "pool.backend"), backend);
    assert_eq!(line_of(&table, "client.timeout"), ["client.timeout", "30s", "default"]);
    assert_eq!(line_of(&table, "pool.name"), ["pool.name", "-", "default"]);
}

#[test]
fn the_json_form_has_values_that_programs_can_use() {
    let output =
        callboard().args(["config", "--json", "--message-bytes-max", "1MiB", "--allow-unauthenticated"]).output();
    let settings: serde_json::Value = serde_json::from_str(&stdout(&output.unwrap())).unwrap();
    let size = serde_json::json!({ "value": 1_048_576, "source": "flag --message-bytes-max" });
    assert_eq!(settings["broker"]["message_bytes_max"], size);
    assert_eq!(settings["broker"]["allow_unauthenticated"]["value"], true);
    assert_eq!(settings["pool"]["name"]["value"], serde_json::Value::Null);
    assert_eq!(settings["client"]["timeout"]["value"], "30s");
}

#[test]
fn a_variable_names_the_settings_file_unless_a_flag_does() {
    let first = settings_file("by_variable", "[pool]\nsize = 5");
    let second = settings_file("by_flag", "[pool]\nsize = 6");
    let size = |command: &mut Command| line_of(&stdout(&command.output().unwrap()), "pool.size")[1].clone();
    assert_eq!(size(callboard().arg("config").env("CALLBOARD_CONFIG", &first)), "5");
    let mut both = callboard();
    both.arg("config").env("CALLBOARD_CONFIG", &first).arg("--config").arg(&second);
    assert_eq!(size(&mut both), "6");
}

#[test]
fn an_unknown_setting_is_named_with_its_line_and_the_nearest_one() {
    let file = settings_file("unknown", "[broker]\nfrontend = \"tcp://127.0.0.1:1\"\n[client]\ntimeuot = \"5s\"\n");
    let stderr = stderr_of(callboard().args(["config", "--config"]).arg(&file));
    let file = file.display();
    assert_eq!(stderr, format!("error: {file} line 4: unknown setting timeuot in [client]; did you mean timeout?\n"));
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let file = settings_file("wrong", "[broker]\nheartbeat = 5\n");
    let stderr = stderr_of(callboard().args(["config", "--config"]).arg(&file));
    let what = "is not a duration; write a whole number and us, ms, s, m or h, such as 250ms or 5s";
    assert_eq!(stderr, format!("error: {} line 2: heartbeat: \"5\" {what}, in quotes\n", file.display()));
    let stderr = stderr_of(callboard().arg("config").env("CALLBOARD_BROKER_HEARTBEAT", "5"));
    assert_eq!(stderr, format!("error: CALLBOARD_BROKER_HEARTBEAT: \"5\" {what}\n"));
    let stderr = stderr_of(callboard().args(["config", "--heartbeat", "5"]));
    assert_eq!(stderr, format!("error: --heartbeat: \"5\" {what}\n"));
}

#[test]
fn the_error_of_a_missing_settings_file_has_the_source_of_its_name() {
    let stderr = stderr_of(callboard().arg("config").env("CALLBOARD_CONFIG", "no-such-file.toml"));
    let begins = "error: cannot read the settings file no-such-file.toml (environment CALLBOARD_CONFIG): ";
    assert!(stderr.starts_with(begins), "{stderr}");
}

#[test]
fn a_wrong_log_filter_is_a_usage_error() {
    let stderr = stderr_of(callboard().arg("config").env("CALLBOARD_LOG", "callboard=loud"));
    assert!(stderr.starts_with("error: CALLBOARD_LOG: "), "{stderr}");
}

#[test]
fn an_unlikely_log_filter_and_an_unknown_variable_get_a_warning() {
    let remark = |variable: &str, value: &str| {
        let output = callboard().arg("config").env(variable, value).output().unwrap();
        stdout(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(remark("CALLBOARD_LOG", "verbose").starts_with("warning: CALLBOARD_LOG: verbose is not a level"));
    let warning = "warning: unknown variable CALLBOARD_FRONTED is ignored; did you mean CALLBOARD_FRONTEND?\n";
    assert_eq!(remark("CALLBOARD_FRONTED", "tcp://127.0.0.1:1"), warning);
    assert_eq!(remark("CALLBOARD_EXAMPLE_USERS_FILE", "users.json") + &remark("CALLBOARD_LOG", "debug"), "");
}

#[test]
fn a_negative_number_is_too_small_and_not_invalid() {
    let file = settings_file("negative", "[pool]\nsize = -1\n");
    let stderr = stderr_of(callboard().args(["config", "--config"]).arg(&file));
    assert_eq!(stderr, format!("error: {} line 2: size: -1 is too small; must be at least 1\n", file.display()));
}

#[test]
fn the_file_of_the_guide_is_one() {
    let page = include_str!("../docs/guide/settings.md");
    let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let file = settings_file("guide", text);
    let table = stdout(&callboard().args(["config", "--config"]).arg(&file).output().unwrap());
    assert_eq!(line_of(&table, "client.timeout")[1], "5s");
}

#[test]
fn a_misspelled_command_is_an_error_with_the_nearest_one() {
    let stderr = stderr_of(callboard().arg("brokr"));
    assert!(stderr.contains("'broker'"), "{stderr}");
}
