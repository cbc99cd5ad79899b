//! Pools, `callboard up`, and programs of the library with encryption.

use std::{fs, os::unix::net::UnixDatagram, process::Command};

use callboard::{Client, CurveKeys, parse_server_key};

use crate::harness::{DEADLINE, Finished, Keys, Pool, Process, any_port, callboard, example_path, until};

#[test]
fn a_pool_passes_the_server_key_to_its_workers() {
    let keys = Keys::new();
    let broker = keys.broker();
    let mut pool = Pool::command_with(&broker.backend, "calculator", 2, &["--server-key", &keys.text("broker.public")]);
    pool.arg(example_path("calculator-worker"));
    let pool = Process::start(pool);
    assert_eq!(pool.line(), "ready 2 workers");
    assert_eq!(keys.command(&broker, &["call", "calculator.add", "2", "3"]).printed(), "5");
    // The pool's own client queries the broker, too.
    keys.command(&broker, &["scale", "calculator", "3"]).printed();
    until("there are three workers", || {
        let status = keys.command(&broker, &["call", "callboard.pool.calculator.status"]).printed();
        (status.matches("\"instance\"").count() == 3).then_some(())
    });
}

#[test]
fn a_program_of_the_library_makes_encrypted_calls() {
    let keys = Keys::new();
    let broker = keys.broker();
    let _worker = keys.worker(&broker, &broker.backend, "calculator-worker", "calculator");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let curve = CurveKeys::new(parse_server_key(&keys.file("broker.public")).unwrap());
        let client = Client::builder(&broker.frontend).curve(curve).connect().await.unwrap();
        let calls = (0..100_i64).map(|x| client.call::<i64>("calculator.add", (x, 1)).into_future());
        let sums: Vec<_> = futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(sums, (1..=100).collect::<Vec<_>>());
        client.close().await.unwrap();
    });
}

#[test]
fn up_starts_an_encrypted_broker_with_its_pools_from_one_file() {
    let keys = Keys::new();
    let file = keys.path("callboard.toml");
    let text = format!(
        "[broker]\nfrontend = \"tcp://127.0.0.1:0\"\nbackend = \"tcp://127.0.0.1:0\"\ncurve_secret_file = {:?}\n\
         plain_connections = \"never\"\n[pool]\nserver_key = {public:?}\n[client]\nserver_key = {public:?}\n\
         [pools.calculator]\nprogram = [{:?}]\nsize = 1\n",
        keys.file("broker.secret"),
        example_path("calculator-worker"),
        public = keys.file("broker.public"),
    );
    fs::write(&file, text).unwrap();
    let mut up = callboard();
    up.arg("--config").arg(&file).arg("up");
    let up = Process::start(up);
    let ready = up.line();
    let frontend = ready.split(' ').find_map(|word| word.strip_prefix("frontend=")).unwrap();
    let mut call = callboard();
    call.arg("--config").arg(&file).args(["call", "calculator.add", "2", "3", "--frontend", frontend]);
    assert_eq!(Finished::of(call).printed(), "5");
}

/// Returns `callboard up`, as systemd with a watchdog starts it, for an encrypted broker with these lines in its table.
fn up_with_watchdog(keys: &Keys, broker: &str, more: &str) -> (Command, UnixDatagram) {
    let (file, port) = (keys.path("callboard.toml"), any_port());
    let text = format!(
        "[broker]\nfrontend = \"{port}\"\nbackend = \"{port}\"\ncurve_secret_file = {:?}\n{broker}\n[pool]\nserver_key = {:?}\n\
         {more}\n[pools.calculator]\nprogram = [{:?}]\nsize = 1\n",
        keys.file("broker.secret"),
        keys.file("broker.public"),
        example_path("calculator-worker"),
    );
    fs::write(&file, text).unwrap();
    let socket = UnixDatagram::bind(keys.path("notify")).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut up = callboard();
    up.arg("--config").arg(&file).arg("up").env("NOTIFY_SOCKET", keys.path("notify")).env("WATCHDOG_USEC", "1000000");
    (up, socket)
}

#[test]
fn the_watchdog_of_up_knows_the_public_key_of_its_broker() {
    let keys = Keys::new();
    let (up, socket) = up_with_watchdog(&keys, "plain_connections = \"never\"", "");
    let _up = Process::start(up);
    let mut text = [0; 512];
    until("the watchdog is fed", || {
        let bytes = socket.recv(&mut text).unwrap();
        text[..bytes].starts_with(b"WATCHDOG=1").then_some(())
    });
}

#[test]
fn up_does_not_start_with_a_watchdog_that_its_broker_rejects() {
    let keys = Keys::new();
    keys.make("farm");
    let peers = keys.file("peers.toml");
    let words = ["keys", "--peers-file", &peers, "make", "farm", "--public-key-file", &keys.file("farm.public")];
    Finished::callboard(&words).printed();
    let pool = format!("curve_secret_file = {:?}", keys.file("farm.secret"));
    let (up, _socket) = up_with_watchdog(&keys, &format!("peers_file = {peers:?}"), &pool);
    Finished::of(up).failed_with(2, &["systemd's watchdog", "[client]", "curve_secret_file"]);
    let checked = Finished::callboard(&["up", "--check", &keys.file("callboard.toml")]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.stderr.contains("would reject the pings of systemd's watchdog"), "{checked:?}");
}
