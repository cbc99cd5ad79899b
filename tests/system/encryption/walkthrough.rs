//! The security page of the guide, and a folder in which its commands run as they are written.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::harness::{Finished, Process, example_path, until, unused_address, without_variables};

/// The page.
pub(super) const PAGE: &str = include_str!("../../../docs/guide/security.md");
/// The addresses in the page.
const FRONTEND: &str = "tcp://127.0.0.1:5559";
/// How commands begin that run until they are stopped.
const SERVERS: [&str; 2] = ["callboard broker", "callboard pool"];
/// The log line of a broker that has read its peers again.
const RELOADED: &str = "peers reloaded";

/// A block of the page: commands, or commands with their output.
pub(super) enum Block {
    /// Commands, one on each line.
    Commands(&'static str),
    /// Commands behind `$ `, each followed by its output.
    Session(&'static str),
}

/// Returns the commands and sessions of a section of the page.
pub(super) fn section(title: &str) -> Vec<Block> {
    let start = PAGE.split(&format!("\n## {title}\n")).nth(1).unwrap_or_else(|| panic!("no section {title}"));
    let section = start.split("\n## ").next().unwrap();
    let block = |text: &'static str| match text.split_once('\n').unwrap() {
        ("sh", commands) => Some(Block::Commands(commands)),
        ("text", session) if session.starts_with("$ ") => Some(Block::Session(session)),
        _ => None,
    };
    section.split("```").skip(1).step_by(2).filter_map(block).collect()
}

/// A folder, empty at first, with the processes that commands of the page have started.
pub(super) struct Walkthrough {
    folder: TempDir,
    pub(super) frontend: String,
    backend: String,
    /// The broker, then the pools.
    pub(super) servers: Vec<Process>,
}

impl Walkthrough {
    pub(super) fn new() -> Walkthrough {
        let folder = tempfile::tempdir().unwrap();
        Walkthrough { folder, frontend: unused_address(), backend: unused_address(), servers: Vec::new() }
    }

    /// Returns the path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the commands of a block. Panics if one fails, or prints something else than the page.
    pub(super) fn follow(&mut self, block: &Block) {
        match block {
            Block::Commands(commands) => commands.lines().for_each(|line| self.run(line)),
            Block::Session(session) => session.split("$ ").skip(1).for_each(|part| self.compare(part)),
        }
    }

    /// Runs a command that must succeed. A broker or a pool is started, and must become ready.
    pub(super) fn run(&mut self, line: &str) {
        if SERVERS.iter().any(|server| line.starts_with(server)) {
            return self.serve(line);
        }
        let reloads = self.reloads();
        let finished = Finished::of(self.shell(line));
        assert_eq!(finished.code, 0, "{line}: {finished:?}");
        if line.starts_with("kill -HUP") {
            // The next command may need the new peers.
            until("the broker has read its peers", || (self.reloads() > reloads).then_some(()));
        }
    }

    fn serve(&mut self, line: &str) {
        let server = Process::start(self.shell(&format!("exec {line}")));
        assert!(server.line().starts_with("ready "), "{line}");
        self.servers.push(server);
        self.find_own_broker_only();
    }

    /// Makes `pgrep` find this test's broker and no other one on the machine.
    fn find_own_broker_only(&self) {
        let pgrep = self.path("bin/pgrep");
        fs::create_dir_all(pgrep.parent().unwrap()).unwrap();
        fs::write(&pgrep, format!("#!/bin/sh\necho {}\n", self.servers[0].pid())).unwrap();
        fs::set_permissions(&pgrep, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn compare(&self, command_and_output: &str) {
        let (line, output) = command_and_output.split_once('\n').unwrap();
        let finished = Finished::of(self.shell(line));
        let expected = output.trim_end().replace(FRONTEND, &self.frontend);
        assert_eq!([finished.stdout, finished.stderr].concat(), expected, "{line}");
    }

    fn reloads(&self) -> usize {
        self.servers.first().map_or(0, |broker| broker.stderr.so_far().matches(RELOADED).count())
    }

    /// Returns a shell in the folder, with the commands of this build in its path and free addresses as the defaults.
    fn shell(&self, line: &str) -> Command {
        let examples = example_path("calculator-worker").parent().map(Path::to_owned).unwrap();
        let commands = Path::new(env!("CARGO_BIN_EXE_callboard")).parent().map(Path::to_owned).unwrap();
        let own = [self.path("bin"), commands, examples];
        let path = env::join_paths(own.into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap();
        let mut shell = without_variables(Command::new("sh"));
        shell.args(["-c", line]).current_dir(self.folder.path()).env("PATH", path);
        shell.env("CALLBOARD_FRONTEND", &self.frontend).env("CALLBOARD_BACKEND", &self.backend);
        shell
    }
}
