//! Keys, and an encrypted broker with a worker.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{Broker, Finished, Process, any_port, callboard, example, until};

/// A folder of key pairs, made by `callboard keygen`.
pub(crate) struct Keys(TempDir);

impl Keys {
    /// Creates the pair `broker`.
    pub(crate) fn new() -> Keys {
        let keys = Keys(tempfile::tempdir().unwrap());
        keys.make("broker");
        keys
    }

    /// Creates a pair, and returns its public key.
    pub(crate) fn make(&self, name: &str) -> String {
        let mut keygen = callboard();
        keygen.arg("keygen").arg(self.0.path().join(name));
        let made = Finished::of(keygen);
        assert_eq!(made.code, 0, "{made:?}");
        made.stdout
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The same, as text.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Returns the key in a file, without its name and comments.
    pub(crate) fn text(&self, name: &str) -> String {
        let file = fs::read_to_string(self.path(name)).unwrap();
        let key = file.lines().rev().find_map(|line| line.split(['"', ' ']).find(|word| word.len() == 40));
        key.unwrap_or_else(|| panic!("no key in {name}")).to_owned()
    }

    /// Starts a broker with the pair `broker`, to which no peer may connect without encryption.
    pub(crate) fn broker(&self) -> Broker {
        let port = any_port();
        self.broker_at(&port, &port)
    }

    /// The same at these addresses, to which the peers of an earlier broker reconnect.
    pub(crate) fn broker_at(&self, frontend: &str, backend: &str) -> Broker {
        let secret = self.file("broker.secret");
        let flags = ["--frontend", frontend, "--backend", backend, "--curve-secret-file", &secret];
        Broker::start_with(&[&flags[..], &["--plain-connections", "never"]].concat())
    }

    /// Starts an example as a worker at this address, and waits until it serves.
    pub(crate) fn worker(&self, broker: &Broker, backend: &str, example_name: &str, service: &str) -> Process {
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
    pub(crate) fn command(&self, broker: &Broker, words: &[&str]) -> Finished {
        self.command_at(&broker.frontend, words)
    }

    /// The same, at another address.
    pub(crate) fn command_at(&self, frontend: &str, words: &[&str]) -> Finished {
        let mut command = callboard();
        command.args(words).args(["--server-key", &self.file("broker.public")]).env("CALLBOARD_FRONTEND", frontend);
        Finished::of(command)
    }
}
