//! `callboard up`: a broker and its pools from one file, as one process running.

use std::{fs, io, os::unix::net::UnixDatagram, path::PathBuf};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::harness::{Broker, DEADLINE, Finished, Process, any_port, callboard, example_path, is_alive, signal, until};

/// The `[broker]` table of a file, with a broker on free ports.
fn broker_table() -> String {
    let any_port = any_port();
    format!("[broker]\nfrontend = \"{any_port}\"\nbackend = \"{any_port}\"\n")
}

/// A directory with a settings file for `up`.
struct Directory(TempDir);

/// A running `callboard up`, and its broker as the target of calls.
struct Running {
    up: Broker,
    directory: Directory,
}

impl Directory {
    /// Creates a directory whose settings file has a broker on free ports and these pools.
    fn with(pools: &str) -> Directory {
        let directory = Directory(tempfile::tempdir().unwrap());
        fs::write(directory.file(), format!("{}{pools}", broker_table())).unwrap();
        directory
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("callboard.toml")
    }

    fn up(&self) -> std::process::Command {
        let mut command = callboard();
        command.arg("up").arg(self.file());
        command
    }

    fn check(&self) -> Finished {
        let mut command = self.up();
        command.arg("--check");
        Finished::of(command)
    }

    /// Returns a program that runs the example `name`, or fails at once if the file `broken` exists.
    fn breakable(&self, name: &str) -> String {
        let (broken, program) = (self.0.path().join("broken"), example_path(name));
        let script = format!("test -e {} && exit 1; exec {}", broken.display(), program.display());
        format!("program = [\"sh\", \"-c\", \"{script}\"]\n")
    }
}

fn pool(name: &str, example: &str, more: &str) -> String {
    format!("[pools.{name}]\nprogram = [\"{}\"]\n{more}\n", example_path(example).display())
}

fn both() -> String {
    pool("jobs", "pool-worker", "size = 2") + &pool("calculator", "calculator-worker", "size = 1")
}

impl Running {
    fn start(directory: Directory) -> Running {
        Running::of(directory.up(), directory)
    }

    fn of(command: std::process::Command, directory: Directory) -> Running {
        let process = Process::start(command);
        let line = process.line();
        let words: Vec<_> = line.split(' ').collect();
        let [_, frontend, backend, _] = words.as_slice() else { panic!("no ready line: {line}") };
        let address = |word: &str| word.split_once('=').unwrap().1.to_owned();
        let (frontend, backend) = (address(frontend), address(backend));
        Running { up: Broker { process, frontend, backend }, directory }
    }

    /// Returns the processes that the log reports as started: the broker, the pools and their workers.
    fn pids(&self) -> Vec<u32> {
        let log = self.up.process.stderr.so_far();
        let pid = |line: &str| line.split_once("pid=")?.1.split_whitespace().next()?.parse().ok();
        log.lines().filter(|line| line.contains("started")).filter_map(pid).collect()
    }

    /// Returns the last process that was started for this component.
    fn pid_of(&self, component: &str) -> u32 {
        let log = self.up.process.stderr.so_far();
        let wanted = format!("started component={} pid=", in_log(component));
        let pid = log.lines().rev().find_map(|line| line.split_once(wanted.as_str())).unwrap().1;
        pid.trim().parse().unwrap()
    }

    fn add(&self) -> Finished {
        self.up.call(&["calculator.add", "2", "3"])
    }
}

/// Returns the name of a component as the log has it: in quotes if it has a space.
fn in_log(component: &str) -> String {
    if component.contains(' ') { format!("\"{component}\"") } else { component.to_owned() }
}

#[test]
fn one_command_starts_a_broker_and_pools_and_stops_them() {
    let mut running = Running::start(Directory::with(&both()));
    assert_eq!(running.add().printed(), "5");
    running.up.call(&["jobs.collatz", "27"]).printed();
    let pids = running.pids();
    assert_eq!(pids.len(), 6, "a broker, two pools and three workers");
    running.up.process.signal(Signal::TERM);
    assert_eq!(running.up.process.exit_code(), 0);
    assert!(!pids.into_iter().any(is_alive));
}

#[test]
fn calls_that_run_are_finished_before_it_ends() {
    let mut running = Running::start(Directory::with(&both()));
    let mut call = Process::start(running.up.command_line(&["call", "jobs.pause", "2000"]));
    running.up.wait_for_running_call();
    running.up.process.signal(Signal::TERM);
    assert_eq!(call.exit_code(), 0, "{}", call.stderr.all());
    assert_eq!(running.up.process.exit_code(), 0);
}

#[test]
fn a_ctrl_c_to_the_process_group_finishes_the_calls_too() {
    let mut running = Running::start(Directory::with(&both()));
    let mut call = Process::start(running.up.command_line(&["call", "jobs.pause", "2000"]));
    running.up.wait_for_running_call();
    kill_process_group(Pid::from_raw(running.up.process.pid() as i32).unwrap(), Signal::INT).unwrap();
    assert_eq!(call.exit_code(), 0, "{}", call.stderr.all());
    assert_eq!(running.up.process.exit_code(), 130);
}

#[test]
fn a_second_signal_does_not_wait_for_calls() {
    let mut running = Running::start(Directory::with(&both()));
    let mut call = Process::start(running.up.command_line(&["call", "jobs.pause", "600000", "--timeout", "none"]));
    running.up.wait_for_running_call();
    let pids = running.pids();
    running.up.process.signal(Signal::INT);
    // The idle worker of the two ends: the pool drains.
    running.up.process.stderr.wait_for("worker process ended instance=jobs-");
    running.up.process.signal(Signal::INT);
    assert_eq!(running.up.process.exit_code(), 130);
    assert_ne!(call.exit_code(), 0);
    assert!(!pids.into_iter().any(is_alive));
}

#[test]
fn no_process_survives_when_it_is_killed() {
    let mut running = Running::start(Directory::with(&both()));
    let pids = running.pids();
    assert_eq!(pids.len(), 6);
    running.up.process.kill();
    until("all processes have ended", || (!pids.iter().any(|pid| is_alive(*pid))).then_some(()));
}

#[test]
fn a_killed_broker_or_pool_is_restarted_and_the_rest_continues() {
    let running = Running::start(Directory::with(&both()));
    let jobs = running.pid_of("pool jobs");
    for component in ["pool calculator", "broker"] {
        signal(running.pid_of(component), Signal::KILL);
        let component = in_log(component);
        let ended = format!("ended (signal: 9 (SIGKILL)): restarting it in 1s component={component}");
        running.up.process.stderr.wait_for(&ended);
        until("the calculator serves again", || {
            let added = Finished::of(running.up.command_line(&["call", "calculator.add", "2", "3"]));
            (added.stdout.trim() == "5").then_some(())
        });
    }
    assert!(is_alive(jobs), "the other pool was not restarted");
    running.up.call(&["jobs.collatz", "27"]).printed();
}

#[test]
fn a_component_is_restarted_also_after_an_update_of_the_program() {
    let directory = Directory::with(&both());
    let program = directory.0.path().join("callboard");
    fs::copy(env!("CARGO_BIN_EXE_callboard"), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.arg("up").arg(directory.file());
    let running = Running::of(command, directory);
    // As an update does: the running file is unlinked, and another file gets its name.
    fs::remove_file(&program).unwrap();
    for component in ["broker", "pool calculator"] {
        let before = running.pid_of(component);
        signal(before, Signal::KILL);
        until("another process is started", || (running.pid_of(component) != before).then_some(()));
        until("the calculator serves again", || {
            let added = Finished::of(running.up.command_line(&["call", "calculator.add", "2", "3", "--timeout", "2s"]));
            (added.stdout.trim() == "5").then_some(())
        });
    }
}

#[test]
fn a_path_with_spaces_is_a_valid_address() {
    let directory = Directory(tempfile::Builder::new().prefix("two words").tempdir().unwrap());
    let [front, back] = ["front", "back"].map(|name| format!("ipc://{}", directory.0.path().join(name).display()));
    let broker = format!("[broker]\nfrontend = \"{front}\"\nbackend = \"{back}\"\n");
    fs::write(directory.file(), broker + &both()).unwrap();
    let up = Process::start(directory.up());
    assert_eq!(up.line(), format!("ready frontend={front} backend={back} pools=jobs,calculator"));
}

#[test]
fn a_pool_that_gives_up_is_restarted_until_its_program_works() {
    let directory = Directory::with("");
    let broken = directory.0.path().join("broken");
    let text = format!(
        "{}{}[pools.calculator]\nsize = 1\n{}",
        broker_table(),
        pool("jobs", "pool-worker", "size = 1"),
        directory.breakable("calculator-worker")
    );
    fs::write(directory.file(), text).unwrap();
    let running = Running::start(directory);
    fs::write(&broken, "").unwrap();
    let status = running.up.call(&["callboard.pool.calculator.status"]).printed();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let worker = u32::try_from(status["workers"][0]["pid"].as_u64().unwrap()).unwrap();
    signal(worker, Signal::KILL);
    running.up.process.stderr.wait_for("ended (exit code 4): restarting it in 1s");
    running.up.call(&["jobs.collatz", "27"]).printed();
    fs::remove_file(&broken).unwrap();
    until("the calculator serves again", || {
        let added = Finished::of(running.up.command_line(&["call", "calculator.add", "2", "3"]));
        (added.stdout.trim() == "5").then_some(())
    });
}

#[test]
fn a_component_that_fails_at_the_start_ends_all() {
    let directory =
        Directory::with(&(pool("jobs", "pool-worker", "size = 1") + "[pools.broken]\nprogram = [\"false\"]\n"));
    let mut up = Process::start(directory.up());
    assert_eq!(up.exit_code(), 4);
    let stderr = up.stderr.all();
    assert!(stderr.contains("the pool broken ended before everything was ready (exit code 4)"), "{stderr}");
    let pid = |line: &str| line.split_once("pid=")?.1.split_whitespace().next()?.parse::<u32>().ok();
    assert!(!stderr.lines().filter_map(pid).any(is_alive));
}

#[test]
fn a_file_is_checked_before_anything_runs() {
    let fine = Directory::with(&both()).check().printed();
    assert!(fine.contains("pool jobs: 2 processes of ") && fine.contains("pool-worker"), "{fine}");
    for (pools, words) in [
        ("", &["has no pool", "[pools.NAME]"]),
        ("[pools.a]\nsize = 2\n", &["line 4", "program = ["]),
        ("[pools.a]\nprogram = 3\n", &["line 5", "program = ["]),
        ("[pools.a]\nprogram = [\"sh\"]\nsise = 2\n", &["line 6", "did you mean size?"]),
        ("[pools.a]\nprogram = [\"sh\"]\nsize = 0\n", &["line 6", "must be at least 1"]),
        ("[pools.a]\nprogram = [\"sh\"]\nsize = 2\nmax = 1\n", &["line 6", "line 7"]),
        ("[pools.a]\nprogram = [\"sh\"]\nname = \"b\"\n", &["line 6", "the name is that of its table"]),
        ("[pools.\"a b\"]\nprogram = [\"sh\"]\n", &["line 4", "is not a pool's name"]),
        ("[pools]\na = 3\n", &["line 5", "is not a table"]),
        ("[pols.a]\nprogram = [\"sh\"]\n", &["line 4", "[pols]"]),
        (
            "[client]\nauthkey_file = \"/nowhere/authkey\"\n[pools.a]\nprogram = [\"sh\"]\n",
            &["line 5", "/nowhere/authkey"],
        ),
    ] {
        Directory::with(pools).check().failed_with(2, words);
    }
    Directory::with("[pools.a]\nprogram = [\"./no-such-worker\"]\n")
        .check()
        .failed_with(4, &["line 4", "no-such-worker"]);
    let open = Directory::with("[pools.a]\nprogram = [\"sh\"]\n");
    fs::write(open.file(), "[broker]\nfrontend = \"tcp://0.0.0.0:0\"\n[pools.a]\nprogram = [\"sh\"]\n").unwrap();
    open.check().failed_with(2, &["0.0.0.0", "--authkey-file"]);
    // The file of `up` is a settings file for the other commands, too.
    let file = Directory::with(&both());
    let mut config = callboard();
    config.args(["config", "--config"]).arg(file.file());
    assert!(Finished::of(config).printed().contains("callboard.toml line 2"));
}

/// The receiver of systemd's notifications.
struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Listener {
    fn new(directory: &Directory) -> Listener {
        let path = directory.0.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Listener { socket, path }
    }

    fn next(&self) -> String {
        let mut text = [0; 512];
        let bytes = self.socket.recv(&mut text).expect("no notification arrived");
        String::from_utf8(text[..bytes].to_vec()).unwrap()
    }

    fn wait_for(&self, what: &str) {
        while self.next() != what {}
    }

    /// Returns the notifications that were not read yet.
    fn waiting(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        let mut text = [0; 512];
        loop {
            match self.socket.recv(&mut text) {
                Ok(bytes) => all.push(String::from_utf8(text[..bytes].to_vec()).unwrap()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.socket.set_nonblocking(false).unwrap();
        all
    }
}

#[test]
fn systemd_gets_readiness_watchdog_and_stop_notifications() {
    let directory = Directory::with(&both());
    let listener = Listener::new(&directory);
    let mut command = directory.up();
    command.env("NOTIFY_SOCKET", &listener.path).env("WATCHDOG_USEC", "1000000");
    let mut running = Running::of(command, directory);
    listener.wait_for("READY=1");
    assert_eq!(running.add().printed(), "5");
    listener.wait_for("WATCHDOG=1");
    listener.wait_for("WATCHDOG=1");
    let broker = running.pid_of("broker");
    signal(broker, Signal::STOP);
    let silent = |times: usize| {
        until("the broker's silence is logged", || {
            let log = running.up.process.stderr.so_far();
            (log.matches("the watchdog is not fed").count() >= times).then_some(())
        });
    };
    silent(1);
    listener.waiting();
    silent(3);
    assert_eq!(listener.waiting(), [""; 0], "a broker that hangs must not feed the watchdog");
    signal(broker, Signal::CONT);
    listener.wait_for("WATCHDOG=1");
    running.up.process.signal(Signal::TERM);
    listener.wait_for("STOPPING=1");
    assert_eq!(running.up.process.exit_code(), 0);
}

#[test]
fn with_keys_the_watchdog_and_the_pools_authenticate() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Directory::with("");
    let keys = directory.0.path().join("authkey");
    fs::write(&keys, "a key for these tests alone").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let file = format!("authkey_file = \"{}\"\n", keys.display());
    let text = format!("{}{file}[pool]\n{file}[client]\n{file}{}", broker_table(), both());
    fs::write(directory.file(), text).unwrap();
    let listener = Listener::new(&directory);
    let mut command = directory.up();
    command.env("NOTIFY_SOCKET", &listener.path).env("WATCHDOG_USEC", "1000000");
    let running = Running::of(command, directory);
    listener.wait_for("READY=1");
    listener.wait_for("WATCHDOG=1");
    running.add().failed_with(6, &["UNAUTHENTICATED"]);
    let mut call = running.up.command_line(&["call", "calculator.add", "2", "3", "--config"]);
    call.arg(running.directory.file());
    assert_eq!(Finished::of(call).printed(), "5");
    running.up.process.signal(Signal::HUP);
    running.up.process.stderr.wait_for("peers reloaded");
}
