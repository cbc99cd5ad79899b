//! The measurement of the floor, and that of the real system.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{Load, process::Process};

/// The result of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) calls_per_second: f64,
    /// CPU seconds per 100,000 calls, over all processes.
    pub(crate) cpu_per_100k: f64,
}

/// Measures the three processes of the floor, from the client's `start` to its `end`.
pub(crate) fn floor(load: Load) -> anyhow::Result<Cost> {
    let mut relay = Process::start(&["relay"])?;
    let addresses = relay.expect("ready")?;
    let [frontend, backend] = addresses.as_slice() else { anyhow::bail!("the relay must print two addresses") };
    let worker = Process::start(&["worker", backend])?;
    relay.expect("worker")?;
    let (seconds, window, size) = (load.seconds.to_string(), load.window.to_string(), load.size.to_string());
    let load = ["--seconds", &seconds, "--window", &window, "--size", &size];
    let mut client = Process::start(&[&["client", frontend.as_str()], load.as_slice()].concat())?;
    let cpu = |client: &Process| anyhow::Ok(client.cpu_seconds()? + relay.cpu_seconds()? + worker.cpu_seconds()?);

    client.expect("start")?;
    let before = cpu(&client)?;
    let end = client.expect("end")?;
    let used = cpu(&client)? - before;
    let [calls, seconds] = end.as_slice() else { anyhow::bail!("the client must print calls and seconds") };
    let calls: f64 = calls.parse()?;
    Ok(Cost { calls_per_second: calls / seconds.parse::<f64>()?, cpu_per_100k: used / calls * 100_000.0 })
}

/// Measures `callboard bench` with the same load.
pub(crate) fn real(load: Load) -> anyhow::Result<Cost> {
    let output = Command::new(env!("CARGO_BIN_EXE_callboard"))
        .args(["bench", "--json"])
        .args(["--seconds", &load.seconds.to_string()])
        .args(["--window", &load.window.to_string()])
        .args(["--size", &load.size.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start callboard")?;
    ensure!(output.status.success(), "`callboard bench` failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().context("`callboard bench --json` printed nothing")?;
    let report: Value = serde_json::from_str(line).with_context(|| format!("invalid JSON: {line}"))?;
    let number = |name: &str| report[name].as_f64().with_context(|| format!("no number {name} in {line}"));
    ensure!(number("errors")? == 0.0, "calls failed: {line}");
    Ok(Cost { calls_per_second: number("calls_per_s")?, cpu_per_100k: number("cpu_s_per_100k")? })
}
