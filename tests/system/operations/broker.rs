//! `callboard broker`: addresses, rejected settings, and shutdown.

use rustix::process::Signal;

use crate::harness::{Broker, Finished, Process};

#[test]
fn the_ready_line_has_the_ports_that_the_system_chose() {
    let broker = Broker::start_at("tcp://127.0.0.1:0", "tcp://127.0.0.1:0");
    for address in [&broker.frontend, &broker.backend] {
        let port = address.strip_prefix("tcp://127.0.0.1:").unwrap();
        assert_ne!(port.parse::<u16>().unwrap(), 0);
    }
    assert_ne!(broker.frontend, broker.backend);
    broker.command(&["ping"]).printed();
}

#[test]
fn a_port_in_use_ends_it_with_4() {
    let broker = Broker::start();
    let second = Finished::callboard(&["broker", "--frontend", &broker.frontend, "--backend", "tcp://127.0.0.1:0"]);
    second.failed_with(4, &[&broker.frontend, "in use"]);
}

#[test]
fn an_address_beyond_loopback_needs_a_flag() {
    let flags = ["--frontend", "tcp://0.0.0.0:0", "--backend", "tcp://127.0.0.1:0"];
    let refused = Finished::callboard(&[&["broker"], &flags[..]].concat());
    refused.failed_with(2, &["tcp://0.0.0.0:0", "--allow-unauthenticated"]);
    let broker = Broker::start_with(&[&flags[..], &["--allow-unauthenticated"]].concat());
    assert!(broker.frontend.starts_with("tcp://0.0.0.0:"), "{}", broker.frontend);
}

#[test]
fn a_wrong_address_ends_it_with_2() {
    for wrong in ["127.0.0.1:5559", "http://127.0.0.1:5559", "tcp://127.0.0.1", "tcp://127.0.0.1:70000", "ipc://"] {
        let ended = Finished::callboard(&["broker", "--frontend", wrong, "--backend", "tcp://127.0.0.1:0"]);
        ended.failed_with(2, &["--frontend", "tcp://"]);
    }
}

#[test]
fn sigterm_ends_it_with_0_and_ctrl_c_with_130() {
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let mut broker = Broker::start();
        broker.process.signal(signal);
        assert_eq!(broker.process.exit_code(), code);
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_running_calls() {
    let mut broker =
        Broker::start_with(&["--frontend", "tcp://127.0.0.1:0", "--backend", "tcp://127.0.0.1:0", "--drain", "10m"]);
    let _worker = broker.worker("pool-worker", "jobs");
    let call = Process::start(broker.command_line(&["call", "jobs.pause", "600000"]));
    broker.wait_for_running_call();
    broker.process.signal(Signal::INT);
    broker.process.stderr.wait_for("stop");
    broker.process.signal(Signal::INT);
    assert_eq!(broker.process.exit_code(), 130);
    drop(call);
}

#[test]
fn unix_sockets_work_and_are_removed_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (front, back) = (folder.path().join("front"), folder.path().join("back"));
    let [frontend, backend] = [&front, &back].map(|path| format!("ipc://{}", path.display()));
    let mut broker = Broker::start_at(&frontend, &backend);
    assert_eq!((&broker.frontend, &broker.backend), (&frontend, &backend));
    let _worker = broker.worker("calculator-worker", "calculator");
    assert_eq!(broker.call(&["calculator.add", "2", "3"]).printed(), "5");
    broker.process.signal(Signal::TERM);
    assert_eq!(broker.process.exit_code(), 0);
    assert!(!front.exists() && !back.exists());
}

#[test]
fn a_unix_socket_belongs_to_one_broker_until_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let [frontend, backend] = ["front", "back"].map(|name| format!("ipc://{}", folder.path().join(name).display()));
    let mut broker = Broker::start_at(&frontend, &backend);
    let second = Finished::callboard(&["broker", "--frontend", &frontend, "--backend", "tcp://127.0.0.1:0"]);
    second.failed_with(4, &[&frontend, "a running broker uses it"]);
    broker.command(&["ping"]).printed();
    // A killed broker leaves its socket files behind. They must not prevent a new start.
    broker.kill_and_start_again();
    broker.command(&["ping"]).printed();
}

#[test]
fn a_low_file_limit_gets_a_warning_and_idle_connections_do_not_block_others() {
    let mut command = std::process::Command::new("sh");
    let words = ["-c", "ulimit -n 64 && exec \"$0\" broker --frontend tcp://127.0.0.1:0 --backend tcp://127.0.0.1:0"];
    command.args(words).arg(env!("CARGO_BIN_EXE_callboard"));
    let broker = Broker::of(Process::start(command));
    assert!(broker.process.stderr.wait_for("too few open files").contains("connections_max=32"));
    let address = broker.frontend.strip_prefix("tcp://").unwrap();
    let silent: Vec<_> = (0..60).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    broker.command(&["ping"]).printed();
    drop(silent);
}

#[test]
fn contradictory_limits_end_it_with_2() {
    let any = ["broker", "--frontend", "tcp://127.0.0.1:0", "--backend", "tcp://127.0.0.1:0"];
    let ended = Finished::callboard(&[&any[..], &["--unsent-bytes-max", "1MiB"]].concat());
    ended.failed_with(2, &["unsent_bytes_max", "twice message_bytes_max"]);
}

#[test]
fn peers_are_listed_with_their_addresses_and_calls() {
    let broker = Broker::start();
    let worker = broker.worker("calculator-worker", "calculator");
    broker.call(&["calculator.add", "2", "3"]).printed();
    let table = broker.command(&["peers"]).printed();
    let row = |begins: &str| {
        let row = table.lines().find(|line| line.starts_with(begins));
        row.unwrap_or_else(|| panic!("no {begins} in:\n{table}")).split_whitespace().collect::<Vec<_>>()
    };
    let (served, asking) = (row("worker"), row("client"));
    assert_eq!((served[5], served[10]), (worker.pid().to_string().as_str(), "1"), "{table}");
    assert!(asking[7].starts_with("tcp://127.0.0.1:") && asking[10] == "1", "{table}");
    let lines = broker.command(&["peers", "--json"]).printed();
    assert!(lines.lines().any(|line| line.contains("\"role\":\"worker\"")), "{lines}");
}

#[test]
fn the_error_of_a_service_that_is_not_allowed_names_the_setting() {
    let any_ports = ["--frontend", "tcp://127.0.0.1:0", "--backend", "tcp://127.0.0.1:0"];
    let broker = Broker::start_with(&[&any_ports[..], &["--services", "billing.*"]].concat());
    let mut command = crate::harness::example("calculator-worker");
    command.env("CALLBOARD_BACKEND", &broker.backend);
    let mut worker = Process::start(command);
    assert_ne!(worker.exit_code(), 0);
    let words = worker.stderr.all();
    assert!(
        words.contains("calculator is not allowed at this broker") && words.contains("services is billing.*"),
        "{words}"
    );
}
