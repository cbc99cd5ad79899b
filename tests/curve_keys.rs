//! `callboard keygen`, and the errors of a broker with an unusable CURVE key.

#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use callboard::core::zmtp::curve::{PublicKey, SecretKey};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("CALLBOARD_")) {
        command.env_remove(variable);
    }
    command.current_dir(folder).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn keygen(folder: &Path, arguments: &[&str]) -> Output {
    run(folder, &[&["keygen"], arguments].concat())
}

#[test]
fn keygen_writes_a_pair_that_only_its_owner_can_read_and_prints_the_public_key() {
    let folder = tempfile::tempdir().unwrap();
    let made = keygen(folder.path(), &["my.broker"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let printed: PublicKey = String::from_utf8_lossy(&made.stdout).trim().parse().unwrap();
    for ending in ["secret", "public"] {
        let path = folder.path().join(format!("my.broker.{ending}"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{ending}");
        assert!(fs::read_to_string(&path).unwrap().contains(&printed.to_string()), "{ending}");
    }
    let again = keygen(folder.path(), &["my.broker"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("my.broker.secret exists: choose another name"), "{}", stderr(&again));
    let replaced = keygen(folder.path(), &["my.broker", "--force"]);
    assert_ne!(replaced.stdout, made.stdout);
}

#[test]
fn each_unusable_key_of_a_broker_has_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    keygen(folder.path(), &["broker"]);
    let secret = SecretKey::from_bytes([7; 32]);
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    file("open", &secret.to_file(), 0o644);
    file("short", "abc\n", 0o600);
    file("alphabet", &format!("{}~\n", &secret.to_z85()[..39]), 0o600);
    file("authkey", "id=web key=correct horse battery staple\n", 0o600);
    for (name, problem) in [
        ("broker.public", "it contains a public key only"),
        ("open", "is open to other users (mode 644): chmod 600 open"),
        ("short", "line 1: a CURVE key has 40 characters, and this one has 3"),
        ("alphabet", "line 1: character 40 of the CURVE key is not a character of Z85"),
        ("authkey", "line 1 is an authkey, and a CURVE key is required"),
        ("missing", "cannot read the key file missing"),
    ] {
        let ended = run(folder.path(), &["broker", "--curve-secret-file", name]);
        assert_eq!(ended.status.code(), Some(2), "{name}");
        assert!(stderr(&ended).contains(problem), "{name}: {}", stderr(&ended));
        assert!(!stderr(&ended).contains(&secret.to_z85()[..8]), "an error shows no secret");
    }
    let wrong = run(folder.path(), &["broker", "--plain-connections", "sometimes"]);
    assert!(stderr(&wrong).contains("write loopback, always or never"), "{}", stderr(&wrong));
}
