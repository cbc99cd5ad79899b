//! Keys, and an encrypted broker with a worker, for the tests of this folder.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::harness::{Broker, Finished, Process, any_port, callboard, example, until};

/// A folder of key pairs, made by `callboard keygen`.
pub(super) struct Keys(TempDir);

impl Keys {
    /// Creates the pair `broker`.
    pub(super) fn new() -> Keys {
        let keys = Keys(tempfile::tempdir().unwrap());
        keys.make("broker");
        keys
    }

    /// Creates a pair, and returns its public key.
    pub(super) fn make(&self, name: &str) -> String {
        let mut keygen = callboard();
        keygen.arg("keygen").arg(self.0.path().join(name));
        let made = Finished::of(keygen);
        assert_eq!(made.code, 0, "{made:?}");
        made.stdout
    }

    /// Returns the path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The same, as text.
    pub(super) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Returns the key in a file, without its name and comments.
    pub(super) fn text(&self, name: &str) -> String {
        let file = fs::read_to_string(self.path(name)).unwrap();
        let key = file.lines().rev().find_map(|line| line.split(['"', ' ']).find(|word| word.len() == 40));
        key.unwrap_or_else(|| panic!("no key in {name}")).to_owned()
    }

    /// Starts a broker with the pair `broker`, to which no peer may connect without encryption.
    pub(super) fn broker(&self) -> Broker {
        self.broker_with(&["--plain-connections", "never"])
    }

    /// Starts a broker with the pair `broker`, and these flags.
    pub(super) fn broker_with(&self, flags: &[&str]) -> Broker {
        let (port, secret) = (any_port(), self.file("broker.secret"));
        let own = ["--frontend", &port, "--backend", &port, "--curve-secret-file", &secret];
        Broker::start_with(&[&own, flags].concat())
    }

    /// Starts an example as a worker at this address, and waits until it serves.
    pub(super) fn worker(&self, broker: &Broker, backend: &str, example_name: &str, service: &str) -> Process {
        let mut worker = example(example_name);
        worker.env("CALLBOARD_BACKEND", backend).env("CALLBOARD_SERVER_KEY", self.file("broker.public"));
        let worker = Process::start(worker);
        let served = format!("\"name\":\"{service}\"");
        until(&format!("a worker serves {service}"), || {
            self.command(broker, &["services", "--json"]).printed().contains(&served).then_some(())
        });
        worker
    }

    /// Runs `callboard WORDS...` as a client of this broker, with the broker's public key.
    pub(super) fn command(&self, broker: &Broker, words: &[&str]) -> Finished {
        self.command_at(&broker.frontend, words)
    }

    /// The same, at another address.
    pub(super) fn command_at(&self, frontend: &str, words: &[&str]) -> Finished {
        let mut command = callboard();
        command.args(words).args(["--server-key", &self.file("broker.public")]).env("CALLBOARD_FRONTEND", frontend);
        Finished::of(command)
    }
}
