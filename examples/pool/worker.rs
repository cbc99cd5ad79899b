//! A worker for a pool: functions of each effect, fast and slow. Their results name the process that ran them.
//!
//! ```text
//! callboard broker &
//! cargo build --example pool-worker
//! callboard pool -n 4 -- target/debug/examples/pool-worker &
//! callboard call jobs.collatz 27
//! ```

#[path = "../common/program.rs"]
mod program;

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    num::NonZeroU64,
    process::{self, ExitCode},
    time::Duration,
};

use callboard::{Code, Error, Reply, Service, Worker, WorkerError};
use serde::Serialize;

/// The variable that names the file in which `jobs.put` and `jobs.note` record each of their runs.
const JOURNAL: &str = "JOBS_JOURNAL";

/// A number, and the id of the process that computed it.
#[derive(Serialize)]
struct Found {
    value: u64,
    pid: u32,
}

/// Returns the number of Collatz steps from `start` to 1: an even n becomes n / 2, an odd n becomes 3n + 1. It changes nothing: `read`.
async fn collatz(start: NonZeroU64) -> Result<Found, Error> {
    let (mut number, mut steps) = (start.get(), 0);
    while number != 1 {
        let next =
            if number % 2 == 0 { Some(number / 2) } else { number.checked_mul(3).and_then(|n| n.checked_add(1)) };
        number =
            next.ok_or_else(|| Error::new(Code::OutOfRange, format!("the sequence of {start} exceeds 64 bits")))?;
        steps += 1;
    }
    Ok(Found { value: steps, pid: process::id() })
}

/// Waits, and lets other calls run meanwhile.
async fn pause(milliseconds: u64) -> Reply<Found> {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Reply(Found { value: milliseconds, pid: process::id() })
}

/// A second run has no further effect: `idempotent`.
async fn put(key: u64) -> Result<Found, Error> {
    write_down("put", key)
}

/// A second run would be wrong: `once`.
async fn note(key: u64) -> Result<Found, Error> {
    write_down("note", key)
}

/// Appends one line with one write, so that lines of several processes do not mix.
fn write_down(what: &str, key: u64) -> Result<Found, Error> {
    let failed = |why: String| Error::new(Code::FailedPrecondition, format!("{JOURNAL}: {why}"));
    let path = env::var_os(JOURNAL).ok_or_else(|| failed("not set".to_owned()))?;
    let file = OpenOptions::new().create(true).append(true).open(path);
    let line = format!("{what} {key} {}\n", process::id());
    file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|error| failed(error.to_string()))?;
    Ok(Found { value: key, pid: process::id() })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::worker(
        "Serves jobs.collatz, jobs.pause, jobs.put and jobs.note. JOBS_JOURNAL names the file of the last two.",
        serve,
    )
    .await
}

async fn serve() -> Result<(), WorkerError> {
    let jobs = Service::new("jobs")
        .read("collatz", ["start"], collatz)
        .read("pause", ["milliseconds"], pause)
        .idempotent("put", ["key"], put)
        .once("note", ["key"], note);
    Worker::new().serve(jobs).run().await
}
