//! The security page of the guide is true: its commands work as written, and its promises have tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use callboard::{CallError, Client, Code, CurveKeys, core::broker::GateStatus, parse_server_key, read_curve_secret};
use rustix::process::Signal;
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::harness::{Broker, Keys, Process, any_port, callboard, until};

use super::walkthrough::{Block, PAGE, Walkthrough, section};

/// Calls of one client at a time.
const OUTSTANDING: i64 = 16;
/// Calls that a client makes before the next step of a test.
const CALLS_MIN: u64 = 200;
/// Folders with tests.
const FOLDERS: [&str; 6] = ["core", "broker", "transport", "workers", "clients", "tests"];

/// A client that calls without a pause, until it is stopped or a call fails.
struct Calls {
    made: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    calling: JoinHandle<Result<(), CallError>>,
}

impl Calls {
    /// Starts the calls of the peer with this pair of keys.
    fn start(runtime: &Runtime, page: &Walkthrough, pair: &str) -> Calls {
        let server_key = parse_server_key(page.path("broker.public").to_str().unwrap()).unwrap();
        let secret = read_curve_secret(page.path(&format!("{pair}.secret"))).unwrap();
        let builder = Client::builder(&page.frontend).curve(CurveKeys::new(server_key).with_secret_key(secret));
        let client = runtime.block_on(builder.connect()).unwrap();
        let (made, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let calling = runtime.spawn(call_until(client, Arc::clone(&made), Arc::clone(&stop)));
        let calls = Calls { made, stop, calling };
        calls.wait_for_more();
        calls
    }

    /// Waits until more calls have succeeded.
    fn wait_for_more(&self) {
        let enough = self.made.load(Ordering::Relaxed) + CALLS_MIN;
        until("more calls have succeeded", || {
            assert!(!self.calling.is_finished(), "a call failed");
            (self.made.load(Ordering::Relaxed) >= enough).then_some(())
        });
    }

    /// Waits for the call that fails.
    fn failure(self, runtime: &Runtime) -> CallError {
        runtime.block_on(self.calling).unwrap().unwrap_err()
    }

    /// Ends the calls. Panics if one has failed.
    fn end(self, runtime: &Runtime) {
        self.wait_for_more();
        self.stop.store(true, Ordering::Relaxed);
        runtime.block_on(self.calling).unwrap().unwrap();
    }
}

async fn call_until(client: Client, made: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Result<(), CallError> {
    while !stop.load(Ordering::Relaxed) {
        let calls = (0..OUTSTANDING).map(|x| client.call::<i64>("calculator.add", (x, 1)).into_future());
        let sums = futures::future::join_all(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        assert_eq!(sums, (1..=OUTSTANDING).collect::<Vec<_>>());
        made.fetch_add(sums.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

#[test]
fn the_way_from_nothing_to_an_encrypted_broker_works_as_written() {
    let mut page = Walkthrough::new();
    section("From nothing to an encrypted broker").iter().for_each(|block| page.follow(block));
    assert_eq!(page.servers.len(), 2);
}

#[test]
fn keys_are_rotated_and_revoked_while_calls_run() {
    let (mut page, runtime) = (Walkthrough::new(), Runtime::new().unwrap());
    section("From nothing to an encrypted broker").iter().for_each(|block| page.follow(block));
    let [web, boss] = ["web", "boss"].map(|pair| Calls::start(&runtime, &page, pair));

    let [client, old_key, pool, ..] = &section("Rotate keys while calls run")[..] else { panic!("blocks are missing") };
    page.follow(client);
    let web_2 = Calls::start(&runtime, &page, "web-2");
    web.end(&runtime);
    page.follow(old_key);
    page.follow(pool);
    page.servers[1].signal(Signal::INT);
    assert_eq!(page.servers[1].exit_code(), 130);
    page.run("callboard keys --peers-file peers.toml revoke farm");
    page.run("kill -HUP \"$(pgrep -f '^callboard broker')\"");
    [&web_2, &boss].into_iter().for_each(Calls::wait_for_more);

    let [revoke, rejected] = &section("Revoke a peer")[..] else { panic!("two blocks are expected") };
    page.follow(revoke);
    let failure = web_2.failure(&runtime);
    assert_eq!(failure.code(), Code::Unauthenticated, "{failure}");
    assert!(failure.to_string().contains("peer web was removed"), "{failure}");
    page.follow(rejected);
    boss.end(&runtime);
}

#[test]
fn the_pair_of_the_broker_is_replaced_while_calls_run() {
    let (mut page, runtime) = (Walkthrough::new(), Runtime::new().unwrap());
    section("From nothing to an encrypted broker").iter().for_each(|block| page.follow(block));
    let blocks = section("Rotate keys while calls run");
    let is_of_broker =
        |block: &&Block| matches!(block, Block::Commands(commands) if commands.contains("broker-2.secret"));
    let [both, new_only] = blocks.iter().filter(is_of_broker).collect::<Vec<_>>()[..] else {
        panic!("two blocks are expected")
    };
    let old = Calls::start(&runtime, &page, "web");
    page.follow(both);
    let between = Calls::start(&runtime, &page, "boss");
    fs::rename(page.path("broker.public"), page.path("old.public")).unwrap();
    fs::copy(page.path("broker-2.public"), page.path("broker.public")).unwrap();
    let new = Calls::start(&runtime, &page, "web");
    until("the broker counts the connections of its previous key", || {
        let GateStatus { connections, connections_of_previous_keys, .. } = gate_status(&mut page);
        // Those of the query and of the new client use the new key.
        (connections_of_previous_keys >= 2 && connections_of_previous_keys <= connections - 2).then_some(())
    });
    page.follow(new_only);
    let latest = Calls::start(&runtime, &page, "boss");
    page.run("! callboard ping --server-key old.public --curve-secret-file web.secret 2> refused");
    assert!(fs::read_to_string(page.path("refused")).unwrap().contains("another server key"));
    [old, between, new, latest].into_iter().for_each(|calls| calls.end(&runtime));
}

fn gate_status(page: &mut Walkthrough) -> GateStatus {
    page.run("callboard call callboard.gate --server-key broker.public --curve-secret-file boss.secret > gate");
    serde_json::from_str(&fs::read_to_string(page.path("gate")).unwrap()).unwrap()
}

#[test]
fn a_broker_keeps_its_keys_when_their_file_is_not_valid() {
    let keys = Keys::new();
    let broker = keys.broker();
    fs::write(keys.path("broker.secret"), "too short\n").unwrap();
    broker.process.signal(Signal::HUP);
    broker.process.stderr.wait_for("cannot reload the CURVE keys: the old ones stay valid");
    keys.command(&broker, &["ping"]).printed();
}

#[test]
fn a_secret_that_its_group_can_read_is_accepted_in_the_folder_of_credentials_only() {
    let (keys, port) = (Keys::new(), any_port());
    let secret = keys.path("broker.secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o440)).unwrap();
    let broker = || {
        let mut broker = callboard();
        broker.args(["broker", "--frontend", &port, "--backend", &port, "--curve-secret-file"]).arg(&secret);
        broker
    };
    let mut rejected = Process::start(broker());
    assert_eq!(rejected.exit_code(), 2);
    assert!(rejected.stderr.all().contains("is open to other users (mode 440)"));
    let mut accepted = broker();
    accepted.env("CREDENTIALS_DIRECTORY", secret.parent().unwrap());
    Broker::of(Process::start(accepted));
}

#[test]
fn each_promise_of_the_page_has_tests_that_exist() {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| promise ")).skip(2);
    let columns = rows.take_while(|line| line.starts_with('|')).map(|row| row.rsplit('|').nth(1).unwrap());
    let tests: Vec<Vec<_>> = columns.map(|column| column.split('`').skip(1).step_by(2).collect()).collect();
    assert!(tests.len() > 10 && tests.iter().all(|names| !names.is_empty()), "{tests:?}");
    let mut sources = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    FOLDERS.iter().for_each(|folder| read_sources(&root.join(folder), &mut sources));
    // An attack is a row of a table, with its name as text.
    let exists = |name: &&str| sources.contains(&format!("fn {name}(")) || sources.contains(&format!("(\"{name}\","));
    let missing: Vec<_> = tests.concat().into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Appends the Rust files of a folder and of those in it.
fn read_sources(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
