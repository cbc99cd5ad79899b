//! Shared keys: which peers are accepted, which are rejected with a reason, and how keys are replaced.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use callboard::{AuthKey, Client, ConnectErrorKind, Service, Worker};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Broker, Finished, Pool, Process, example, example_path, until, write_private};

const OURS: &str = "a key for the tests alone";
const THEIRS: &str = "a key of another broker";
const ANY_PORT: &str = "tcp://127.0.0.1:0";

/// A directory of key files.
struct Keys(TempDir);

impl Keys {
    fn new() -> Keys {
        Keys(tempfile::tempdir().unwrap())
    }

    /// Writes a key file that only its owner can read.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        write_private(&path, text);
        path.to_str().unwrap().to_owned()
    }
}

/// Starts a broker that requires a key of this file.
fn broker(file: &str) -> Broker {
    Broker::start_with(&["--frontend", ANY_PORT, "--backend", ANY_PORT, "--authkey-file", file])
}

/// Runs `callboard WORDS...` as a client of this broker, with the keys of a file.
fn with(broker: &Broker, file: &str, words: &[&str]) -> Finished {
    broker.command(&[words, &["--authkey-file", file]].concat())
}

/// Starts a pool of calculators that has the keys of a file and that the broker must accept.
fn pool(broker: &Broker, file: &str, size: u32) -> Process {
    let mut command = Pool::command(&broker.backend, "calculator", size);
    command.arg(example_path("calculator-worker")).env("CALLBOARD_POOL_AUTHKEY_FILE", file);
    let pool = Process::start(command);
    assert_eq!(pool.line(), format!("ready {size} workers"));
    pool
}

fn worker(broker: &Broker, key: Option<&str>) -> Process {
    let mut command = example("calculator-worker");
    command.env("CALLBOARD_BACKEND", &broker.backend).envs(key.map(|key| ("CALLBOARD_AUTHKEY", key)));
    Process::start(command)
}

/// Returns the descendants of a process.
fn descendants(of: u32) -> Vec<u32> {
    let parent = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter(|&pid| parent(pid) == Some(of)).flat_map(|pid| [vec![pid], descendants(pid)].concat()).collect()
}

#[test]
fn a_client_with_the_key_calls_workers_of_a_pool_with_it() {
    let keys = Keys::new();
    let file = keys.write("authkey", OURS);
    let broker = broker(&file);
    let _pool = pool(&broker, &file, 2);
    assert_eq!(with(&broker, &file, &["call", "calculator.add", "2", "3"]).printed(), "5");
    assert!(with(&broker, &file, &["services"]).printed().contains("calculator.add"));
    assert!(with(&broker, &file, &["describe", "calculator"]).printed().contains("add(x, y)"));
    let diff = with(&broker, &file, &["contract", "diff", "calculator", "calculator"]).printed();
    assert_eq!(diff, "no changes for callers");
    with(&broker, &file, &["ping"]).printed();
    let mut by_variable = broker.command_line(&["call", "calculator.add", "2", "4"]);
    by_variable.env("CALLBOARD_AUTHKEY", OURS);
    assert_eq!(Finished::of(by_variable).printed(), "6");
}

#[test]
fn the_error_of_a_worker_without_a_key_names_the_variable_and_no_flag() {
    let keys = Keys::new();
    let broker = broker(&keys.write("ours", OURS));
    let mut keyless = worker(&broker, None);
    assert_eq!(keyless.exit_code(), 1);
    let stderr = keyless.stderr.all();
    assert!(
        stderr.contains("set CALLBOARD_AUTHKEY to the broker's key") && !stderr.contains("--authkey-file"),
        "{stderr}"
    );
}

#[test]
fn a_client_without_a_valid_key_is_rejected_and_no_call_runs() {
    let keys = Keys::new();
    let (ours, theirs) = (keys.write("ours", OURS), keys.write("theirs", THEIRS));
    let broker = broker(&ours);
    let _pool = pool(&broker, &ours, 1);
    let call = ["call", "calculator.add", "2", "3"];
    broker.command(&call).failed_with(6, &["UNAUTHENTICATED", "--authkey-file FILE", "CALLBOARD_AUTHKEY"]);
    with(&broker, &theirs, &call).failed_with(6, &["UNAUTHENTICATED", "unknown key"]);
    let line = broker.process.stderr.wait_for("unauthenticated peer rejected");
    assert!(line.contains("address=") && line.contains("tcp://127.0.0.1:"), "{line}");
    broker.process.stderr.wait_for("its key is unknown");
    let status = with(&broker, &ours, &["call", "callboard.status"]).printed();
    assert!(status.contains("\"dispatches\":0"), "nothing ran: {status}");
    assert!(status.contains("\"unauthenticated\":2"), "{status}");
    let log = broker.process.stderr.so_far();
    assert!(!log.contains(OURS) && !log.contains(THEIRS), "{log}");
}

#[test]
fn a_worker_without_the_key_does_not_register_and_reports_why() {
    let keys = Keys::new();
    let file = keys.write("authkey", OURS);
    let broker = broker(&file);
    for (key, words) in [(None, "CALLBOARD_AUTHKEY"), (Some(THEIRS), "unknown key")] {
        let mut worker = worker(&broker, key);
        assert_ne!(worker.exit_code(), 0);
        let stderr = worker.stderr.all();
        assert!(stderr.contains("Unauthenticated") || stderr.contains("UNAUTHENTICATED"), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
    assert_eq!(with(&broker, &file, &["services"]).printed(), "no services at this broker");
    let _worker = worker(&broker, Some(OURS));
    until("the worker with the key is registered", || {
        with(&broker, &file, &["services"]).printed().contains("calculator.add").then_some(())
    });
}

#[test]
fn a_pool_without_the_key_starts_nothing() {
    let keys = Keys::new();
    let broker = broker(&keys.write("authkey", OURS));
    let mut command = Pool::command(&broker.backend, "calculator", 1);
    command.arg(example_path("calculator-worker"));
    Finished::of(command).failed_with(6, &["UNAUTHENTICATED", "--authkey-file FILE"]);
}

#[test]
fn a_client_with_a_key_rejects_a_broker_without_one() {
    let keys = Keys::new();
    let broker = Broker::start();
    let refused = with(&broker, &keys.write("authkey", OURS), &["ping"]);
    refused.failed_with(6, &["UNAUTHENTICATED", "did not prove that it has this program's key"]);
    broker.command(&["ping"]).printed();
}

#[test]
fn a_key_permits_only_its_roles() {
    let keys = Keys::new();
    let both = "id=ours key=a key for the tests alone\nid=caller roles=client key=a key of a caller\n\
                id=server roles=worker key=a key of a server\n";
    let broker = broker(&keys.write("authkey", both));
    let (caller, server) = (keys.write("caller", "a key of a caller"), keys.write("server", "a key of a server"));
    with(&broker, &caller, &["ping"]).printed();
    with(&broker, &server, &["ping"]).failed_with(6, &["PERMISSION_DENIED", "role client"]);
    let mut refused = worker(&broker, Some("a key of a caller"));
    assert_ne!(refused.exit_code(), 0);
    let line = broker.process.stderr.wait_for("key does not permit the role");
    assert!(line.contains("key=server") && line.contains("role=client"), "{line}");
    broker.process.stderr.wait_for("key=caller");
    let _worker = worker(&broker, Some("a key of a server"));
    until("the worker is registered", || {
        with(&broker, &caller, &["services"]).printed().contains("calculator.add").then_some(())
    });
}

#[test]
fn keys_are_replaced_one_after_the_other_while_the_broker_runs() {
    let keys = Keys::new();
    let (old, new) = (keys.write("old", OURS), keys.write("new", THEIRS));
    let file = keys.write("authkey", OURS);
    let broker = broker(&file);
    let _pool = pool(&broker, &old, 1);
    let call = ["call", "calculator.add", "2", "3"];
    let replace_keys = |text: &str, expected: &str| {
        write_private(Path::new(&file), text);
        broker.process.signal(Signal::HUP);
        broker.process.stderr.wait_for(expected);
    };
    with(&broker, &new, &call).failed_with(6, &["UNAUTHENTICATED"]);
    replace_keys(&format!("id=new key={THEIRS}\nid=old key={OURS}\n"), "names=\"new old\"");
    assert_eq!(with(&broker, &new, &call).printed(), "5");
    assert_eq!(with(&broker, &old, &call).printed(), "5");
    replace_keys("short", "the old ones stay valid");
    assert_eq!(with(&broker, &new, &call).printed(), "5");
    replace_keys(&format!("id=new key={THEIRS}\n"), "names=new");
    with(&broker, &old, &call).failed_with(6, &["UNAUTHENTICATED"]);
    assert_eq!(
        with(&broker, &new, &call).printed(),
        "5",
        "the pool's worker, which authenticated with the old key, stays connected"
    );
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let keys = Keys::new();
    let file = keys.write("authkey", OURS);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let words = ["--authkey-file", &file, &format!("chmod 600 {file}")];
    Finished::callboard(&["broker", "--frontend", ANY_PORT, "--backend", ANY_PORT, "--authkey-file", &file])
        .failed_with(2, &words);
    Finished::callboard(&["ping", "--authkey-file", &file]).failed_with(2, &words);
}

#[test]
fn a_variable_without_a_valid_key_is_a_usage_error_and_is_not_shown() {
    let mut command = crate::harness::callboard();
    command.arg("ping").env("CALLBOARD_AUTHKEY", "hush-hush");
    let stderr = Finished::of(command).failed(2);
    assert!(
        stderr.starts_with("error: invalid CALLBOARD_AUTHKEY: line 1: an authkey must have 16 to 512 bytes"),
        "{stderr}"
    );
    assert!(!stderr.contains("hush") && stderr.matches("line 1").count() == 1, "{stderr}");
}

#[test]
fn a_key_in_two_places_is_a_usage_error() {
    let keys = Keys::new();
    let broker = Broker::start();
    let mut command = broker.command_line(&["ping", "--authkey-file", &keys.write("authkey", OURS)]);
    command.env("CALLBOARD_AUTHKEY", OURS);
    Finished::of(command).failed_with(2, &["--authkey-file", "CALLBOARD_AUTHKEY", "unset one of them"]);
}

#[test]
fn workers_get_the_key_of_the_pool_in_the_environment_and_not_on_the_command_line() {
    let keys = Keys::new();
    let file = keys.write("authkey", &format!("# ours\nid=ours {}\n", format_args!("key={OURS}")));
    let broker = broker(&file);
    let pool = pool(&broker, &file, 2);
    let pids = [vec![pool.pid(), broker.process.pid()], descendants(pool.pid())].concat();
    assert!(pids.len() >= 4, "broker, pool and workers: {pids:?}");
    for pid in &pids {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(OURS), "process {pid}");
    }
    let has_key = |pid: &&u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).split('\0').any(|entry| entry == format!("CALLBOARD_AUTHKEY=key={OURS}"))
    };
    assert!(pids.iter().filter(has_key).count() >= 2, "both workers");
}

#[test]
fn with_a_key_a_broker_listens_beyond_loopback() {
    let keys = Keys::new();
    let file = keys.write("authkey", OURS);
    let flags = ["--frontend", "tcp://0.0.0.0:0", "--backend", "tcp://0.0.0.0:0", "--authkey-file", &file];
    let broker = Broker::start_with(&flags);
    let frontend = broker.frontend.replace("0.0.0.0", "127.0.0.1");
    Finished::callboard(&["ping", "--frontend", &frontend, "--authkey-file", &file]).printed();
    Finished::callboard(&["ping", "--frontend", &frontend]).failed_with(6, &["UNAUTHENTICATED"]);
}

#[test]
fn config_shows_where_a_key_comes_from_and_not_the_key() {
    let keys = Keys::new();
    let file = keys.write("authkey", OURS);
    let named = Finished::callboard(&["config", "--authkey-file", &file]).printed();
    assert!(named.contains("broker.authkey_file") && named.contains(&file) && named.contains("flag --authkey-file"));
    let mut command: Command = crate::harness::callboard();
    command.arg("config").env("CALLBOARD_AUTHKEY", OURS);
    let set = Finished::of(command).printed();
    let line = set.lines().find(|line| line.starts_with("client.authkey_file")).unwrap();
    assert!(line.ends_with("environment CALLBOARD_AUTHKEY"), "{line}");
    assert!(!named.contains(OURS) && !set.contains(OURS));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_give_their_key_to_the_libraries() {
    let keys = Keys::new();
    let broker = broker(&keys.write("authkey", OURS));
    let key = || AuthKey::new(OURS).unwrap();
    let doubler = Service::new("doubler").read("double", ["number"], |number: u64| number * 2);
    let mut worker = Worker::new().backend(&broker.backend).authkey(key()).serve(doubler).start().unwrap();
    worker.registered().await.unwrap();
    let client = Client::builder(&broker.frontend).authkey(key()).connect().await.unwrap();
    assert_eq!(client.call::<u64>("doubler.double", (21,)).wait_for_ready().await.unwrap(), 42);
    let refused = Client::builder(&broker.frontend).connect().await.unwrap_err();
    assert_eq!(refused.kind(), ConnectErrorKind::Rejected);
    assert!(refused.to_string().contains("UNAUTHENTICATED"), "{refused}");
}

#[test]
fn keys_in_the_environment_do_not_affect_the_demo() {
    let keys = Keys::new();
    let path: PathBuf = keys.write("authkey", OURS).into();
    let mut command = crate::harness::callboard();
    command.arg("demo").env("CALLBOARD_AUTHKEY_FILE", path);
    let ended = Finished::of(command);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn only_operators_change_a_pool() {
    let keys = Keys::new();
    let file = keys.write(
        "authkey",
        "id=boss roles=operator key=a key of an operator\nid=farm roles=worker,client key=a key of a pool of ours\n",
    );
    let broker = broker(&file);
    let farm = keys.write("farm", "a key of a pool of ours");
    let mut command = Pool::command_with(&broker.backend, "calculator", 1, &["--max", "2", "--authkey-file", &farm]);
    command.arg(example_path("calculator-worker"));
    let pool = Process::start(command);
    assert_eq!(pool.line(), "ready 1 workers");
    for asked in [["scale", "calculator", "2"].as_slice(), &["reload", "calculator"]] {
        with(&broker, &farm, asked).failed_with(1, &["PERMISSION_DENIED", "is for operators"]);
        with(&broker, &farm, &[asked, &["--no-wait"]].concat()).failed_with(1, &["PERMISSION_DENIED"]);
    }
    let by_hand = with(&broker, &farm, &["call", "callboard.pool.calculator.scale", "2"]);
    by_hand.failed_with(1, &["PERMISSION_DENIED"]);
    let status = with(&broker, &farm, &["call", "callboard.pool.calculator.status"]).printed();
    assert!(status.contains("\"size\":1") && status.contains("\"generation\":1"), "nothing was changed: {status}");
    let boss = keys.write("boss", "a key of an operator");
    assert_eq!(with(&broker, &boss, &["scale", "calculator", "2"]).printed(), "calculator has 2 workers");
    assert!(with(&broker, &boss, &["status"]).printed().contains("calculator"));
    assert!(with(&broker, &farm, &["status"]).printed().contains("calculator"));
}

#[test]
fn the_store_of_the_examples_needs_the_secret() {
    let keys = Keys::new();
    let broker = broker(&keys.write("authkey", OURS));
    let mut worker = example("kvs-worker");
    worker.env("CALLBOARD_BACKEND", &broker.backend).env("CALLBOARD_AUTHKEY", OURS);
    let _worker = Process::start(worker);
    broker.process.stderr.wait_for("services=kvs");
    let client = |key: Option<&str>| {
        let mut client = example("kvs-client");
        client.args([&broker.frontend, "3"]).envs(key.map(|key| ("CALLBOARD_AUTHKEY", key)));
        Finished::of(client)
    };
    client(None).failed_with(1, &["requires a key"]);
    client(Some(THEIRS)).failed_with(1, &["UNAUTHENTICATED"]);
    assert_eq!(client(Some(OURS)).printed(), "3 views after the last of mine");
}
