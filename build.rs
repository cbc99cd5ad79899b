//! Sets `BUILD_VERSION` for the command: the version of the package, and in a release build of a checkout its commit.
//!
//! A development build has no commit: the command, its tests and the examples would be compiled again after each commit. The variable
//! `BUILD_COMMIT` is the commit of a build that cannot ask git, such as one in a container.

use std::{env, path::Path, process::Command};

/// The files of a git directory that change whenever another commit is checked out. The second is the log of the first.
const HEAD_FILES: [&str; 2] = ["HEAD", "logs/HEAD"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    let version = env!("CARGO_PKG_VERSION");
    match given_commit().or_else(checked_out_commit) {
        Some(commit) => println!("cargo::rustc-env=BUILD_VERSION={version} ({commit})"),
        None => println!("cargo::rustc-env=BUILD_VERSION={version}"),
    }
}

fn given_commit() -> Option<String> {
    env::var("BUILD_COMMIT").ok().filter(|commit| !commit.is_empty())
}

/// Returns the commit of the checkout that contains this file. A packed crate has no `.git` of its own, and a repository that surrounds
/// it is another project's.
fn checked_out_commit() -> Option<String> {
    if env::var("PROFILE").ok()? != "release" || !Path::new(".git").exists() {
        return None;
    }
    let folder = git(&["rev-parse", "--absolute-git-dir"])?;
    for file in HEAD_FILES.map(|file| Path::new(&folder).join(file)) {
        // Cargo would run this script in every build for a file that does not exist.
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// Returns the output of git, or none if it fails or is not installed.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
