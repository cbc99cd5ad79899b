//! Pools, `callboard up`, and programs of the library with encryption.

use std::fs;

use callboard::{Client, CurveKeys, parse_server_key};

use crate::harness::{Finished, Keys, Pool, Process, callboard, example_path, until};

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
