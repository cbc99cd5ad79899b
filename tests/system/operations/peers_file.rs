//! Peers with different rights: denied calls and registrations, the command `callboard keys`, and changes while the broker runs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use callboard::{AuthKey, Client, Code, Context, Executed, Service, Worker};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Broker, Finished, Process, example, until, write_private};

const ANY_PORT: &str = "tcp://127.0.0.1:0";
const WEB: &str = "a key of the web server";
const JOBS: &str = "a key of the job worker";
const ADMIN: &str = "a key of the operator";

/// A directory with a file of peers.
struct Peers(TempDir);

impl Peers {
    /// Writes a file with the peers web, jobs and admin.
    fn new() -> Peers {
        let peers = Peers(tempfile::tempdir().unwrap());
        peers.write(&(peer("web", WEB, "call = [\"calculator.add\"]") + &others()));
        peers
    }

    fn path(&self) -> String {
        self.0.path().join("peers.toml").to_str().unwrap().to_owned()
    }

    fn write(&self, text: &str) {
        write_private(Path::new(&self.path()), text);
    }

    fn authkey(&self, name: &str, key: &str) -> String {
        let path = self.0.path().join(name);
        write_private(&path, key);
        path.to_str().unwrap().to_owned()
    }

    fn broker(&self) -> Broker {
        Broker::start_with(&["--frontend", ANY_PORT, "--backend", ANY_PORT, "--peers-file", &self.path()])
    }

    /// Runs `callboard keys --peers-file FILE WORDS...`.
    fn keys(&self, words: &[&str]) -> Finished {
        Finished::callboard(&[&["keys", "--peers-file", &self.path()], words].concat())
    }
}

fn peer(name: &str, key: &str, rules: &str) -> String {
    format!("[[peer]]\nname = \"{name}\"\nauthkey = \"{key}\"\n{rules}\n\n")
}

fn others() -> String {
    peer("jobs", JOBS, "serve = [\"calculator\"]") + &peer("admin", ADMIN, "operate = true\ncall = [\"calculator.*\"]")
}

fn calculator(broker: &Broker, key: &str) -> Process {
    let mut command = example("calculator-worker");
    command.env("CALLBOARD_BACKEND", &broker.backend).env("CALLBOARD_AUTHKEY", key);
    Process::start(command)
}

fn call_as(broker: &Broker, key_file: &str, words: &[&str]) -> Finished {
    broker.command(&[&["call"], words, &["--authkey-file", key_file]].concat())
}

/// Waits until the worker of `jobs` serves.
fn wait_for_calculator(broker: &Broker, admin: &str) {
    until("the worker is registered", || {
        let services = broker.command(&["services", "--authkey-file", admin]).printed();
        services.contains("calculator.add").then_some(())
    });
}

#[test]
fn two_clients_have_different_rights() {
    let peers = Peers::new();
    let (web, admin) = (peers.authkey("web", WEB), peers.authkey("admin", ADMIN));
    let broker = peers.broker();
    let _worker = calculator(&broker, JOBS);
    wait_for_calculator(&broker, &admin);
    assert_eq!(call_as(&broker, &web, &["calculator.add", "2", "3"]).printed(), "5");
    let missing = "peer web may not call calculator.mul: add \"calculator.mul\" to its call rules";
    call_as(&broker, &web, &["calculator.mul", "2", "3"]).failed_with(1, &["PERMISSION_DENIED", missing]);
    broker.process.stderr.wait_for("call denied");
    broker.command(&["peers", "--authkey-file", &web]).failed_with(1, &["PERMISSION_DENIED", "peer web may not call"]);
    broker.command(&["peers", "--authkey-file", &admin]).printed();
    broker.command(&["ping", "--authkey-file", &web]).printed();
}

#[test]
fn a_suggestion_needs_no_right() {
    let peers = Peers::new();
    peers.write(&(peer("web", WEB, "call = [\"calculator.*\", \"calculater.*\"]") + &others()));
    let (web, admin) = (peers.authkey("web", WEB), peers.authkey("admin", ADMIN));
    let broker = peers.broker();
    let _worker = calculator(&broker, JOBS);
    wait_for_calculator(&broker, &admin);
    for typed in ["calculator.ADD", "calculater.add"] {
        let stderr = call_as(&broker, &web, &[typed, "2", "3"]).failed(1);
        assert!(stderr.ends_with("\n  did you mean calculator.add?"), "{stderr}");
    }
    let log = broker.process.stderr.so_far();
    assert!(!log.contains("call denied"), "{log}");
}

#[test]
fn a_worker_may_serve_only_what_its_rules_allow() {
    let peers = Peers::new();
    let broker = peers.broker();
    let mut worker = calculator(&broker, WEB);
    assert_ne!(worker.exit_code(), 0);
    let stderr = worker.stderr.all();
    assert!(stderr.contains("peer web may not serve calculator: add \"calculator\" to its serve rules"), "{stderr}");
}

#[test]
fn a_revoked_peer_is_disconnected_and_others_are_not() {
    let peers = Peers::new();
    let (web, admin) = (peers.authkey("web", WEB), peers.authkey("admin", ADMIN));
    let broker = peers.broker();
    let _worker = calculator(&broker, JOBS);
    wait_for_calculator(&broker, &admin);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connect = |key: &str| {
        let client = Client::builder(&broker.frontend).authkey(AuthKey::new(key).unwrap());
        runtime.block_on(client.connect()).unwrap()
    };
    let (revoked, kept) = (connect(WEB), connect(ADMIN));
    let add = |client: &Client| runtime.block_on(async { client.call::<i64>("calculator.add", (2, 3)).await });
    assert_eq!((add(&revoked).unwrap(), add(&kept).unwrap()), (5, 5));
    peers.write("[[peer]]\nname = 7\n");
    broker.process.signal(Signal::HUP);
    broker.process.stderr.wait_for("cannot reload the peers: the old ones stay valid");
    assert_eq!(add(&revoked).unwrap(), 5);
    peers.write(&(peer("web", WEB, "call = [\"calculator.add\"]") + &others()));
    assert!(peers.keys(&["revoke", "web"]).printed().contains("send SIGHUP"));
    broker.process.signal(Signal::HUP);
    broker.process.stderr.wait_for("names=\"jobs admin\"");
    until("the revoked client is closed", || add(&revoked).is_err().then_some(()));
    let error = add(&revoked).unwrap_err();
    assert!(error.to_string().contains("peer web was removed"), "{error}");
    assert_eq!(add(&kept).unwrap(), 5);
    call_as(&broker, &web, &["calculator.add", "2", "3"]).failed_with(6, &["UNAUTHENTICATED"]);
}

#[test]
fn a_changed_right_applies_to_a_connected_client_and_handlers_see_its_name() {
    let peers = Peers::new();
    peers.write(&(peer("web", WEB, "call = [\"who.am_i\"]") + &peer("jobs", JOBS, "serve = [\"who\"]")));
    let broker = peers.broker();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let am_i = |context: Context| context.caller().map(ToOwned::to_owned);
    let service = Service::new("who").read("am_i", [], am_i);
    let worker = Worker::new().backend(&broker.backend).authkey(AuthKey::new(JOBS).unwrap()).serve(service);
    let _worker = runtime.block_on(async { worker.start() }).unwrap();
    let client = Client::builder(&broker.frontend).authkey(AuthKey::new(WEB).unwrap());
    let client = runtime.block_on(client.connect()).unwrap();
    let ask = || runtime.block_on(async { client.call::<Option<String>>("who.am_i", ()).wait_for_ready().await });
    assert_eq!(ask().unwrap().as_deref(), Some("web"));
    peers.write(&(peer("web", WEB, "call = []") + &peer("jobs", JOBS, "serve = [\"who\"]")));
    broker.process.signal(Signal::HUP);
    until("the right is gone", || ask().is_err().then_some(()));
    let error = ask().unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::PermissionDenied, Executed::No));
}

#[test]
fn keys_makes_lists_checks_and_revokes_peers() {
    let peers = Peers::new();
    fs::remove_file(peers.path()).unwrap();
    let made = peers.keys(&["make", "web", "--call", "calculator.*", "--call", "users.get"]);
    assert!(made.stderr.contains("peer web was added; send SIGHUP"), "{made:?}");
    let authkey = made.stdout.trim().to_owned();
    assert_eq!(authkey.len(), 44);
    let mode = fs::metadata(peers.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let public = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    peers.keys(&["make", "jobs", "--public-key", public, "--serve", "users", "--pool", "users"]).printed();
    let listed = peers.keys(&["list"]).printed();
    assert!(listed.contains("calculator.* users.get") && listed.contains(public), "{listed}");
    assert!(listed.contains("callboard.load ") && listed.contains("users callboard.pool.users"), "{listed}");
    assert!(!listed.contains(&authkey), "{listed}");
    assert!(peers.keys(&["check"]).printed().ends_with("is valid: 2 peers"));
    peers.keys(&["make", "web"]).failed_with(2, &["has a peer web", "`callboard keys add web`"]);
    peers.keys(&["revoke", "jobs"]).printed();
    assert!(!peers.keys(&["list"]).printed().contains("jobs"));
    peers.keys(&["revoke", "jobs"]).failed_with(2, &["has no peer jobs"]);
    Finished::callboard(&["keys", "list"]).failed_with(2, &["--peers-file", "CALLBOARD_PEERS_FILE"]);
}

#[test]
fn keys_adds_keys_to_a_peer_and_revokes_the_old_ones() {
    let peers = Peers::new();
    fs::remove_file(peers.path()).unwrap();
    let public = |byte: u8| callboard::SecretKey::from_bytes([byte; 32]).public_key().to_string();
    peers.keys(&["make", "web", "--public-key", &public(1), "--call", "users.*"]).printed();
    peers.keys(&["revoke", "web", "--old"]).failed_with(2, &["web", "has no old keys"]);
    let added = peers.keys(&["add", "web", "--public-key", &public(2)]).printed();
    assert_eq!(added, "a key of peer web was added; send SIGHUP to a running broker");
    let listed = peers.keys(&["list"]).printed();
    assert!(listed.contains(&format!("{} {}", public(1), public(2))), "{listed}");
    assert!(peers.keys(&["check"]).printed().ends_with("is valid: 1 peer"));
    peers.keys(&["add", "web", "--public-key", &public(2)]).failed_with(2, &["web has the same key twice"]);
    peers.keys(&["make", "jobs", "--public-key", &public(1)]).failed_with(2, &["have the same name"]);
    peers.keys(&["add", "jobs", "--public-key", &public(3)]).failed_with(2, &["has no peer jobs"]);
    peers.keys(&["revoke", "web", "--old"]).printed();
    let listed = peers.keys(&["list"]).printed();
    assert!(listed.contains(&public(2)) && !listed.contains(&public(1)), "{listed}");
    peers.keys(&["make", "jobs"]);
    let second = peers.keys(&["add", "jobs"]);
    assert!(second.stdout.trim().len() == 44 && second.stderr.contains("a key of peer jobs was added"), "{second:?}");
    for number in 3..5 {
        peers.keys(&["add", "web", "--public-key", &public(number)]).printed();
    }
    peers.keys(&["add", "web", "--public-key", &public(5)]).printed();
    peers.keys(&["add", "web", "--public-key", &public(6)]).failed_with(2, &["web has more than 4"]);
}

#[test]
fn each_mistake_in_a_peers_file_has_a_sentence_of_its_own() {
    let peers = Peers::new();
    let public = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    let cases = [
        ("public_key = \"too short\"", "a CURVE key has 40 characters"),
        ("public_key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf~\"", "Z85"),
        ("public_key = \"q83vEiM0RWd4kKvN7xI0VniQq83vEiM0RWd4kKvN7xI=\"", "public_key of peer web is an authkey"),
        ("authkey = \"short\"", "authkey of peer web: an authkey must have 16 to 512 bytes"),
        ("authkey = \"id=web key=0123456789abcdef\"", "is a line of a key file"),
        ("authkey = \"0123456789abcdef\"\ncall = [\"users\"]", "invalid call rule \"users\""),
        ("authkey = \"0123456789abcdef\"\nserve = [\"us*\"]", "invalid serve rule \"us*\""),
        ("authkey = \"0123456789abcdef\"\nroles = [\"admin\"]", "unknown role \"admin\""),
        ("authkey = \"0123456789abcdef\"\ncalls = []", "unknown field `calls`"),
        ("", "has neither an authkey nor a public_key"),
    ];
    for (lines, words) in cases {
        peers.write(&format!("# ours\n[[peer]]\nname = \"web\"\n{lines}\n"));
        peers.keys(&["check"]).failed_with(2, &["peers.toml", words]);
    }
    let twice = format!(
        "[[peer]]\nname = \"a\"\npublic_key = \"{public}\"\n[[peer]]\nname = \"b\"\npublic_key = \"{public}\"\n"
    );
    peers.write(&twice);
    peers.keys(&["check"]).failed_with(2, &["have the same name, authkey or public_key"]);
    peers.write("");
    peers.keys(&["check"]).failed_with(2, &["there are no peers"]);
    fs::set_permissions(peers.path(), fs::Permissions::from_mode(0o644)).unwrap();
    peers.keys(&["check"]).failed_with(2, &["is open to other users", "chmod 600"]);
}

#[test]
fn a_check_warns_of_rules_for_services_that_no_worker_serves() {
    let peers = Peers::new();
    let admin = peers.authkey("admin", ADMIN);
    let broker = peers.broker();
    let _worker = calculator(&broker, JOBS);
    wait_for_calculator(&broker, &admin);
    peers.write(&(peer("web", WEB, "call = [\"calculator.add\", \"users.get\", \"callboard.load\"]") + &others()));
    let words = ["keys", "--peers-file", &peers.path(), "check", "--services", "--authkey-file", &admin];
    let checked = broker.command(&words);
    assert!(checked.stderr.contains("peer web: no worker serves a method of its call rule users.get"), "{checked:?}");
    assert_eq!(checked.stderr.matches("warning").count(), 1, "{checked:?}");
}
