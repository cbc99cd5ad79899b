//! The rules of precedence, and the texts of the errors.
#![allow(clippy::unwrap_used)]

use std::{ffi::OsString, path::Path, time::Duration};

use callboard_core::wire::limits;

use super::{
    SettingError, Settings,
    catalogue::{BROKER_FRONTEND, CLIENT_FRONTEND, SETTINGS, Setting},
    file,
    flags::Flags,
    raw::RawSettings,
    source::{RawValue, Source},
};

/// Loads settings from flags and variables alone.
fn load(flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
    let flags = flags.iter().fold(Flags::default(), |all, (flag, value)| all.with(flag, Some(&(*value).to_owned())));
    let environment = |name: &str| {
        let value = variables.iter().find(|(variable, _)| *variable == name)?.1;
        Some(OsString::from(value))
    };
    Settings::resolve(&RawSettings::gather(&flags, &environment)?)
}

/// Parses the text of a file; the error is its message.
fn read(text: &str) -> Result<Vec<(&'static Setting, RawValue)>, String> {
    file::parse(Path::new("callboard.toml"), text).map_err(|error| error.to_string())
}

fn error_of(result: Result<Settings, SettingError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_flag_beats_a_variable() {
    let variables = [("CALLBOARD_FRONTEND", "tcp://127.0.0.1:1")];
    let settings = load(&[("--frontend", "tcp://127.0.0.1:2")], &variables).unwrap();
    assert_eq!(settings.client.frontend.value, "tcp://127.0.0.1:2");
    assert_eq!(settings.client.frontend.source, Source::Flag("--frontend"));
}

#[test]
fn the_broker_binds_the_address_to_connect_to_unless_it_has_one_of_its_own() {
    let connect = ("CALLBOARD_FRONTEND", "tcp://127.0.0.1:1");
    let settings = load(&[], &[connect]).unwrap();
    assert_eq!(settings.broker.frontend.value, "tcp://127.0.0.1:1");
    assert_eq!(settings.broker.frontend.source, Source::Environment("CALLBOARD_FRONTEND"));

    let settings = load(&[], &[connect, ("CALLBOARD_BROKER_FRONTEND", "tcp://0.0.0.0:1")]).unwrap();
    assert_eq!(settings.broker.frontend.value, "tcp://0.0.0.0:1");
    assert_eq!(settings.client.frontend.value, "tcp://127.0.0.1:1");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let settings = load(&[], &[("CALLBOARD_FRONTEND", ""), ("CALLBOARD_CONFIG", "")]).unwrap();
    assert_eq!(settings.client.frontend.source, Source::Default);
}

#[test]
fn the_defaults_are_those_of_the_core() {
    let settings = load(&[], &[]).unwrap();
    assert_eq!(settings.broker.message_bytes_max.value, limits::MESSAGE_BYTES_MAX);
    assert_eq!(settings.broker.queue_calls_max.value, limits::QUEUE_CALLS_MAX);
    assert_eq!(settings.broker.queue_bytes_max.value, limits::QUEUE_BYTES_MAX);
    assert_eq!(settings.broker.waiting_calls_max.value, limits::WAITING_CALLS_MAX);
    assert_eq!(settings.broker.waiting_bytes_max.value, limits::WAITING_BYTES_MAX);
    assert_eq!(settings.broker.heartbeat.value, limits::HEARTBEAT_DEFAULT);
    assert_eq!(settings.client.timeout.value, Some(limits::TIMEOUT_DEFAULT));
    assert!(settings.pool.name.is_none());
}

#[test]
fn a_value_may_equal_the_bounds_of_its_range() {
    let heartbeat = |text: &str| load(&[("--heartbeat", text)], &[]).map(|settings| settings.broker.heartbeat.value);
    assert_eq!(heartbeat("10ms").unwrap(), limits::HEARTBEAT_MIN);
    assert_eq!(heartbeat("10m").unwrap(), limits::HEARTBEAT_MAX);
    assert_eq!(heartbeat("9ms").unwrap_err().to_string(), "--heartbeat: 9ms is too small; must be at least 10ms");
    assert_eq!(heartbeat("601s").unwrap_err().to_string(), "--heartbeat: 601s is too large; must be at most 10m");
}

#[test]
fn the_largest_message_fits_into_half_a_clients_credit() {
    let largest = limits::CREDIT_BYTES / 2;
    let settings = load(&[("--message-bytes-max", &largest.to_string())], &[]).unwrap();
    assert_eq!(settings.broker.message_bytes_max.value as u64, largest);
    let beyond = (largest + 1).to_string();
    assert!(error_of(load(&[("--message-bytes-max", &beyond)], &[])).contains("must be at most 32MiB"));
}

#[test]
fn none_means_no_timeout() {
    let timeout = |text: &str| load(&[("--timeout", text)], &[]).map(|settings| settings.client.timeout.value);
    assert_eq!(timeout("none").unwrap(), None);
    assert_eq!(timeout("250ms").unwrap(), Some(Duration::from_millis(250)));
    assert_eq!(timeout("2m").unwrap(), Some(Duration::from_secs(120)));
    assert!(timeout("0ms").is_err());
}

#[test]
fn an_error_names_the_flag_or_variable_and_the_syntax() {
    assert_eq!(
        error_of(load(&[("--timeout", "5x")], &[])),
        r#"--timeout: "5x" is not a duration; write a whole number and us, ms, s, m or h, such as 5s, or none"#
    );
    assert_eq!(
        error_of(load(&[], &[("CALLBOARD_BACKEND", "127.0.0.1:5560")])),
        "CALLBOARD_BACKEND: \"127.0.0.1:5560\" is not an address; \
         write tcp://HOST:PORT or ipc://PATH, such as tcp://127.0.0.1:5559"
    );
    for invalid in ["+4", "-4", "", "4.0", "four", "99999999999999999999999"] {
        assert!(error_of(load(&[("-n", invalid)], &[])).starts_with("-n: "), "{invalid}");
    }
    for invalid in ["tcp://", "tcp://:5", "tcp://a:65536", "tcp://a:5/b", "ipc://", "udp://a:5", "a"] {
        assert!(error_of(load(&[("--frontend", invalid)], &[])).contains("is not an address"), "{invalid}");
    }
    for invalid in ["16MB", "MiB", "16 MiB", "99999999999999999GiB", "1.5MiB"] {
        assert!(error_of(load(&[("--queue-bytes-max", invalid)], &[])).contains("is not a size"), "{invalid}");
    }
}

#[test]
fn a_value_of_the_file_has_its_line() {
    let found = read("# ours\n[broker]\n\nfrontend = \"ipc:///b\"\n[pool]\nsize = 1_0\n").unwrap();
    let file = |line| Source::File("callboard.toml".into(), line);
    let found: Vec<_> = found.into_iter().map(|(setting, given)| (setting.key, given.text, given.source)).collect();
    assert_eq!(found, [("frontend", "ipc:///b".to_owned(), file(4)), ("size", "10".to_owned(), file(6))]);
}

#[test]
fn an_unknown_name_in_the_file_has_its_line_and_the_nearest_name() {
    let error = |text| read(text).map(|found| found.len()).unwrap_err();
    assert_eq!(
        error("[broker]\nfrontned = 1"),
        "callboard.toml line 2: unknown setting frontned in [broker]; did you mean frontend?"
    );
    assert_eq!(
        error("[client]\nxyz = 1"),
        "callboard.toml line 2: unknown setting xyz in [client]; the settings are frontend, authkey_file, server_key, curve_secret_file, timeout"
    );
    assert_eq!(error("\n[borker]"), "callboard.toml line 2: unknown table [borker]; did you mean [broker]?");
    assert_eq!(
        error("drain = \"1s\""),
        "callboard.toml line 1: drain is not in a table; write it below [broker] or [pool]"
    );
    assert_eq!(
        error("zzz = 1"),
        "callboard.toml line 1: zzz is not in a table; the tables are [broker], [pool], [client]"
    );
}

#[test]
fn an_unknown_key_of_a_pool_names_the_table_of_that_pool() {
    let text = "[pools.jobs]\nprogram = \"./worker\"\nminn = 3";
    let error = super::file::parse_pools(Path::new("callboard.toml"), text).map(|pools| pools.len()).unwrap_err();
    assert_eq!(error.to_string(), "callboard.toml line 3: unknown setting minn in [pools.jobs]; did you mean min?");
}

#[test]
fn a_syntax_error_has_its_line() {
    let error = read("[broker]\ndrain = 5s\n").map(|found| found.len()).unwrap_err();
    assert!(error.starts_with("callboard.toml line 2: "), "{error}");
}

#[test]
fn a_list_is_not_a_value() {
    let error = read("[broker]\nfrontend = [1]").map(|found| found.len()).unwrap_err();
    assert_eq!(
        error,
        "callboard.toml line 2: frontend is a list; write one value, such as frontend = \"tcp://127.0.0.1:5559\""
    );
}

#[test]
fn variables_are_named_after_table_and_key() {
    for setting in SETTINGS {
        let name = format!("CALLBOARD_{}_{}", setting.table, setting.key).to_uppercase();
        assert_eq!(setting.variables[0], name);
    }
    assert_eq!(BROKER_FRONTEND.variables[1], CLIENT_FRONTEND.variables[1]);
}

#[test]
fn no_range_excludes_its_own_bounds_or_default() {
    for setting in SETTINGS {
        for text in setting.range.into_iter().flatten() {
            assert!(load(&[(setting.flag, text)], &[]).is_ok(), "{} {text}", setting.key);
        }
    }
}

#[test]
fn the_settings_page_of_the_guide_matches_the_catalogue() {
    let page = include_str!("../../docs/guide/settings.md");
    let code = |text: &str| format!("`{text}`");
    for setting in SETTINGS {
        let variables = setting.variables.iter().copied().map(code).collect::<Vec<_>>().join(", ");
        let default = setting.default.map_or_else(|| "-".to_owned(), code);
        let range = setting.range.map_or_else(|| "-".to_owned(), |[min, max]| format!("{min} to {max}"));
        let row = format!("| `{}` | `{}` | {variables} | {default} | {range} | ", setting.key, setting.flag);
        let (_, below) = page.split_once(&format!("### `[{}]`\n", setting.table)).unwrap();
        let table = below.split("###").next().unwrap();
        assert!(table.lines().any(|line| line.starts_with(&row)), "docs/guide/settings.md needs the row: {row}");
    }
    // No row of a setting that was removed.
    assert_eq!(page.lines().filter(|line| line.contains("| `-")).count(), SETTINGS.len());
    for variable in super::environment::OTHERS {
        assert!(page.contains(&format!("| `{variable}` | ")), "docs/guide/settings.md does not mention {variable}");
    }
}

#[test]
fn former_names_still_work() {
    let found = read("[pool]\nready = \"5s\"\n").unwrap();
    assert_eq!(found[0].0.key, "startup_timeout");
    let settings = load(&[], &[("CALLBOARD_POOL_READY", "5s"), ("CALLBOARD_POOL_TRIAL", "1s")]).unwrap();
    assert_eq!(settings.pool.startup_timeout.value, Duration::from_secs(5));
    assert_eq!(settings.pool.canary_period.value, Duration::from_secs(1));
    let both = [("CALLBOARD_POOL_READY", "5s"), ("CALLBOARD_POOL_STARTUP_TIMEOUT", "6s")];
    assert_eq!(load(&[], &both).unwrap().pool.startup_timeout.value, Duration::from_secs(6));
}
