//! Each misuse of keys has its own sentence.

use std::{fs, os::unix::fs::PermissionsExt as _};

use callboard::SecretKey;

use crate::harness::{Broker, Finished, Keys, Pool, any_port, callboard, write_private};

/// Runs a command that is a client with this server key.
fn ping_with(broker: &Broker, server_key: &str) -> Finished {
    broker.command(&["ping", "--timeout", "5s", "--server-key", server_key])
}

/// Runs a broker that must not start.
fn broker_with(secret_file: &str) -> Finished {
    let port = any_port();
    Finished::callboard(&["broker", "--frontend", &port, "--backend", &port, "--curve-secret-file", secret_file])
}

#[test]
fn a_server_key_that_is_none_is_an_error_that_says_what_is_wrong() {
    let (keys, broker) = (Keys::new(), Broker::start());
    let key = keys.text("broker.public");
    ping_with(&broker, &keys.file("broker.secret")).failed_with(2, &["broker.secret", "it contains a secret key"]);
    ping_with(&broker, &format!("{}\"", &key[..39])).failed_with(2, &["character 40", "Z85"]);
    ping_with(&broker, &key[..39]).failed_with(2, &["cannot read the server key file"]);
    let short = keys.path("short.public");
    fs::write(&short, &key[..30]).unwrap();
    ping_with(&broker, short.to_str().unwrap()).failed_with(2, &["40 characters", "has 30"]);
    let authkey = keys.path("authkey");
    write_private(&authkey, "id=web key=0123456789abcdef0123456789abcdef\n");
    ping_with(&broker, authkey.to_str().unwrap()).failed_with(2, &["line 1 is an authkey", "callboard keygen"]);
}

#[test]
fn a_secret_file_that_is_none_is_an_error_before_the_broker_starts() {
    let keys = Keys::new();
    fs::set_permissions(keys.path("broker.public"), fs::Permissions::from_mode(0o600)).unwrap();
    broker_with(&keys.file("broker.public")).failed_with(2, &["public key only", ".secret"]);
    fs::set_permissions(keys.path("broker.secret"), fs::Permissions::from_mode(0o644)).unwrap();
    broker_with(&keys.file("broker.secret")).failed_with(2, &["mode 644", "chmod 600"]);
    broker_with("/nowhere/broker.secret").failed_with(2, &["/nowhere/broker.secret"]);
    let authkey = keys.path("authkey");
    write_private(&authkey, "0123456789abcdef\n");
    broker_with(authkey.to_str().unwrap()).failed_with(2, &["callboard keygen"]);
}

#[test]
fn a_secret_key_without_a_server_key_is_an_error_and_not_a_plain_connection() {
    let (keys, broker) = (Keys::new(), Broker::start());
    broker
        .command(&["ping", "--curve-secret-file", &keys.file("broker.secret")])
        .failed_with(2, &["without a server key", "--server-key"]);
}

#[test]
fn a_client_with_the_key_of_another_broker_is_told_so() {
    let keys = Keys::new();
    let broker = keys.broker();
    let other = keys.make("other");
    ping_with(&broker, &other).failed_with(3, &["another server key", "--server-key"]);
    ping_with(&broker, &keys.file("broker.public")).printed();
}

#[test]
fn a_plain_client_of_an_encrypted_broker_is_told_what_to_pass() {
    let broker = Keys::new().broker();
    let mut ping = callboard();
    ping.args(["ping", "--timeout", "5s"]).env("CALLBOARD_FRONTEND", &broker.frontend);
    Finished::of(ping).failed_with(3, &[&broker.frontend, "connects without encryption", "--server-key"]);
}

#[test]
fn a_client_that_the_broker_does_not_know_gets_an_error_with_both_ways_to_be_known() {
    let keys = Keys::new();
    let peers = keys.path("peers.toml");
    write_private(&peers, "[[peer]]\nname = \"web\"\nauthkey = \"0123456789abcdef\"\n");
    let port = any_port();
    let flags = ["--frontend", &port, "--backend", &port, "--peers-file", peers.to_str().unwrap()];
    let broker = Broker::start_with(&[&flags[..], &["--curve-secret-file", &keys.file("broker.secret")]].concat());
    keys.make("web");
    let words = ["ping", "--curve-secret-file", &keys.file("web.secret")];
    keys.command(&broker, &words).failed_with(6, &["--curve-secret-file to the broker's peers file", "--authkey-file"]);
}

#[test]
fn a_server_key_may_begin_like_a_flag() {
    let broker = Broker::start();
    let mut others = (0..=u8::MAX).map(|byte| SecretKey::from_bytes([byte; 32]).public_key().to_string());
    let key = others.find(|key| key.starts_with('-')).unwrap();
    ping_with(&broker, &key).failed_with(3, &["does not offer encryption"]);
    let mut pool = Pool::command_with(&broker.backend, "jobs", 1, &["--server-key", &key]);
    pool.arg("no-such-worker");
    Finished::of(pool).failed_with(4, &["no-such-worker"]);
}

#[test]
fn a_client_with_a_server_key_does_not_connect_to_a_plain_broker() {
    let (keys, broker) = (Keys::new(), Broker::start());
    ping_with(&broker, &keys.file("broker.public")).failed_with(3, &["does not offer encryption"]);
    broker.command(&["ping"]).printed();
}
