//! Runs the fuzz targets on their corpus as ordinary tests, so that a bug that a fuzzer found cannot come back.
//! See `fuzz/README.md`.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "this test includes the library as a module")]
mod targets;

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
};

/// Runs a target on an empty input and on each file of its corpus, and names the file that fails.
#[allow(clippy::disallowed_methods, reason = "the core reads no files; this test reads its corpus")]
fn run(name: &str, target: fn(&[u8])) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus")).join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} must contain at least 10 files", folder.display());
    target(&[]);
    for file in files {
        let input = fs::read(&file).unwrap();
        if panic::catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            panic!("{} fails; see the panic above", file.display());
        }
    }
}

#[test]
fn gate_target_passes_on_its_corpus() {
    run("gate", targets::gate);
}

#[test]
fn curve_target_passes_on_its_corpus() {
    run("curve", targets::curve);
}

#[test]
fn envelope_target_passes_on_its_corpus() {
    run("envelope", targets::envelope);
}

#[test]
fn handshake_target_passes_on_its_corpus() {
    run("handshake", targets::handshake);
}

#[test]
fn machine_target_passes_on_its_corpus() {
    run("machine", targets::machine);
}
