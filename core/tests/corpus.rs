//! The fuzz targets on their corpus, as ordinary tests: what a fuzzer found once stays found. See `fuzz/README.md`.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a library, which this test includes")]
mod targets;

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
};

/// Runs a target on nothing and on each file of its corpus, and names the file that fails.
#[allow(clippy::disallowed_methods, reason = "the core reads no files; this test of it does, to find its cases")]
fn run(name: &str, target: fn(&[u8])) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus")).join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has lost its files", folder.display());
    target(&[]);
    for file in files {
        let input = fs::read(&file).unwrap();
        if panic::catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            panic!("{} fails, as is said above", file.display());
        }
    }
}

#[test]
fn gate_keeps_its_promises_on_its_corpus() {
    run("gate", targets::gate);
}

#[test]
fn envelope_keeps_its_promises_on_its_corpus() {
    run("envelope", targets::envelope);
}

#[test]
fn handshake_keeps_its_promises_on_its_corpus() {
    run("handshake", targets::handshake);
}

#[test]
fn machine_keeps_its_promises_on_its_corpus() {
    run("machine", targets::machine);
}
