//! Unix sockets: their files, their owner, and brokers that were killed.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use callboard_broker::gate::{Address, Gate, GateError, GateEvent, GateLimits, PeerAddress};
use tempfile::TempDir;

use crate::{
    peer::{LAST, Peer, frame},
    scene::{any_port, next, next_frames, on_one_thread, one},
};

fn ipc(path: &Path) -> Address {
    Address::Ipc { path: path.to_owned() }
}

fn bind(path: &Path) -> Result<Gate, GateError> {
    Gate::bind(&ipc(path), &any_port(), GateLimits::default())
}

/// Returns a temporary directory and a socket path in it.
fn socket_path() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("broker.ipc");
    (folder, path)
}

fn files(folder: &TempDir) -> usize {
    fs::read_dir(folder.path()).unwrap().count()
}

#[test]
fn messages_go_over_a_unix_socket_that_is_the_users_own() {
    on_one_thread(async {
        let (folder, path) = socket_path();
        let mut gate = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut peer = Peer::connect(gate.frontend()).await;
        peer.complete_handshake("DEALER").await;
        let GateEvent::Opened { connection, address: PeerAddress::Ipc { pid, .. }, .. } = next(&mut gate).await else {
            panic!("not opened")
        };
        assert_eq!(pid, i32::try_from(std::process::id()).ok());
        peer.send(&frame(LAST, b"hi")).await;
        assert_eq!(next_frames(&mut gate).await, (connection, vec!["hi".into()]));
        gate.send(connection, one(&[1; 100_000]));
        gate.flush();
        assert_eq!(peer.read_frame().await.1.len(), 100_000);
        drop(gate);
        assert_eq!(files(&folder), 0, "a clean exit leaves nothing behind");
    });
}

#[test]
fn a_socket_whose_broker_was_killed_is_replaced() {
    on_one_thread(async {
        let (_folder, path) = socket_path();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        fs::write(path.with_extension("ipc.lock"), b"").unwrap();
        drop(std::os::unix::net::UnixListener::bind(path.with_extension("ipc.new")).unwrap());
        let gate = bind(&path).unwrap();
        Peer::connect(gate.frontend()).await.complete_handshake("DEALER").await;
    });
}

#[test]
fn a_path_that_a_running_broker_uses_is_rejected() {
    on_one_thread(async {
        let (_folder, path) = socket_path();
        let gate = bind(&path).unwrap();
        let error = bind(&path).unwrap_err();
        assert!(matches!(error, GateError::InUse { .. }) && error.to_string().contains("a running broker uses it"));
        Peer::connect(gate.frontend()).await.complete_handshake("DEALER").await;
    });
}

#[test]
fn a_path_on_which_another_program_listens_is_rejected() {
    on_one_thread(async {
        let (folder, path) = socket_path();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(GateError::InUse { .. })));
        assert_eq!(files(&folder), 1, "the gate leaves no file behind");
    });
}

#[test]
fn an_old_brokers_exit_does_not_remove_a_new_ones_socket() {
    on_one_thread(async {
        let (_folder, path) = socket_path();
        let old = bind(&path).unwrap();
        // Another process removes the old broker's files and starts a new broker.
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_extension("ipc.lock")).unwrap();
        let new = bind(&path).unwrap();
        drop(old);
        Peer::connect(new.frontend()).await.complete_handshake("DEALER").await;
    });
}

#[test]
fn a_file_other_than_a_socket_is_not_replaced() {
    on_one_thread(async {
        let (_folder, path) = socket_path();
        fs::write(&path, b"precious").unwrap();
        assert!(matches!(bind(&path), Err(GateError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    });
}

#[test]
fn a_path_that_is_too_long_or_has_no_directory_is_a_clear_error() {
    on_one_thread(async {
        let (folder, _) = socket_path();
        let long = bind(&folder.path().join("x".repeat(120))).unwrap_err().to_string();
        assert!(long.contains("choose a shorter one"), "{long}");
        let nowhere = bind(&folder.path().join("no/such/folder.ipc")).unwrap_err().to_string();
        assert!(nowhere.contains("its directory does not exist"), "{nowhere}");
        let name = "x".repeat(103 - folder.path().as_os_str().len() - 1);
        drop(bind(&folder.path().join(name)).unwrap());
    });
}
