//! The peers in Python. Their programs are those of the Python package.

use std::{path::Path, process::Command};

use anyhow::Context as _;

/// Runs them with this interpreter, and returns their table, with the names of those that are not installed.
pub(crate) fn table(python: &Path, command: &Path, seconds: f64, rounds: u32) -> anyhow::Result<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/python/bench/run.py");
    let output = Command::new(python)
        .arg(script)
        .args(["--seconds", &seconds.to_string(), "--repeats", &rounds.to_string()])
        .env("CALLBOARD_COMMAND", command)
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    let notes = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{script} failed: {}", notes.lines().last().unwrap_or_default());
    let table = String::from_utf8(output.stdout)?;
    let missing: Vec<_> = notes.lines().filter(|line| line.ends_with("is not installed")).collect();
    let missing = if missing.is_empty() { String::new() } else { format!("\n\nCould not run: {}", missing.join(", ")) };
    Ok(format!("{}{missing}", table.trim_end()))
}
