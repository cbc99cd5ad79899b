//! A broker process, and the commands that a test runs against it.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{self, Command},
    sync::atomic::{AtomicU16, Ordering},
};

use callboard::Client;

use super::{Finished, Process, callboard, example, until};

/// A broker process.
pub(crate) struct Broker {
    pub(crate) process: Process,
    pub(crate) frontend: String,
    pub(crate) backend: String,
}

impl Broker {
    /// A broker on free ports.
    pub(crate) fn start() -> Broker {
        let any_port = any_port();
        Broker::start_at(&any_port, &any_port)
    }

    pub(crate) fn start_at(frontend: &str, backend: &str) -> Broker {
        Broker::start_with(&["--frontend", frontend, "--backend", backend])
    }

    pub(crate) fn start_with(flags: &[&str]) -> Broker {
        let mut command = callboard();
        command.arg("broker").args(flags);
        Broker::of(Process::start(command))
    }

    /// A process that is a broker, once it is ready.
    pub(crate) fn of(process: Process) -> Broker {
        let line = process.line();
        let words = line.strip_prefix("ready ").and_then(|line| line.split_once(' '));
        let addresses = words.and_then(|(first, second)| {
            Some((first.strip_prefix("frontend=")?.to_owned(), second.strip_prefix("backend=")?.to_owned()))
        });
        let (frontend, backend) = addresses.unwrap_or_else(|| panic!("no ready line: {line}"));
        Broker { process, frontend, backend }
    }

    /// Kills the broker and starts another one at the same addresses.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.process.kill();
        *self = Broker::start_at(&self.frontend, &self.backend);
    }

    /// Starts an example as a worker of this broker, and waits until it serves.
    pub(crate) fn worker(&self, name: &str, service: &str) -> Process {
        let mut command = example(name);
        command.env("CALLBOARD_BACKEND", &self.backend);
        let worker = Process::start(command);
        self.wait_for_service(service);
        worker
    }

    /// Waits until a worker serves `service`.
    pub(crate) fn wait_for_service(&self, service: &str) {
        let served = format!("\"name\":\"{service}\"");
        until(&format!("a worker serves {service}"), || {
            self.command(&["services", "--json"]).printed().contains(&served).then_some(())
        });
    }

    /// Waits until the one call that was made runs at a worker.
    pub(crate) fn wait_for_running_call(&self) {
        until("the call runs", || {
            self.command(&["services", "--json"]).printed().contains("\"running\":1").then_some(())
        });
    }

    /// Runs `callboard WORDS...` as a client of this broker.
    pub(crate) fn command(&self, words: &[&str]) -> Finished {
        Finished::of(self.command_line(words))
    }

    /// The same, with `input` on its standard input.
    pub(crate) fn pipe(&self, words: &[&str], input: &str) -> Finished {
        Finished::with_input(self.command_line(words), input)
    }

    /// Runs `callboard call WORDS...`.
    pub(crate) fn call(&self, words: &[&str]) -> Finished {
        self.command(&[&["call"], words].concat())
    }

    /// `callboard WORDS...` as a client of this broker, yet to be started.
    pub(crate) fn command_line(&self, words: &[&str]) -> Command {
        let mut command = callboard();
        command.args(words).env("CALLBOARD_FRONTEND", &self.frontend);
        command
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.frontend).await.unwrap()
    }
}

/// An address of which the system chooses the port, on a loopback host that no other caller gets.
///
/// A test may stop its broker and start another one at the same address. On 127.0.0.1, another test or an outgoing connection may
/// take the port in between.
pub(crate) fn any_port() -> String {
    format!("tcp://{}", SocketAddr::from((unused_host(), 0)))
}

/// An address without a listener, on a host that no other caller gets.
pub(crate) fn unused_address() -> String {
    let listener = TcpListener::bind((unused_host(), 0)).unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

/// A host of 127.0.0.0/8, by process and caller. Only Linux has all of that network on its loopback interface.
fn unused_host() -> Ipv4Addr {
    static CALLERS: AtomicU16 = AtomicU16::new(0);
    if !cfg!(target_os = "linux") {
        return Ipv4Addr::LOCALHOST;
    }
    let [_, high, middle, low] = process::id().to_be_bytes();
    let caller = CALLERS.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, (high ^ middle) | 0x80, low, u8::try_from(caller % 250).unwrap() + 1)
}
