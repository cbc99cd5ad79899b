//! `callboard internal`: programs that pool, demo, bench and tests start by re-executing the command.

use std::{ffi::OsString, fs::OpenOptions, io::Write as _, path::PathBuf, process, time::Duration};

use callboard::{Code, Error, Service, Worker, pool::run_worker};
use clap::{Args, Subcommand};

use crate::command::{
    measure::{
        bench::{load::LoadProgram, worker::BenchWorker},
        echo,
    },
    output::{self, exit::Exit},
};

/// Run a program that other subcommands start; it may change in any version
#[derive(Debug, Args)]
pub(crate) struct Internal {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    /// Serve the methods that demo and tests call
    EchoWorker,
    /// Serve methods that get stuck, for tests
    StuckWorker,
    /// Start a pool's worker: bind this process's lifetime to its parent's, then execute PROGRAM
    RunWorker {
        /// The program, and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<OsString>,
    },
    /// Make the calls of bench
    LoadClient(LoadProgram),
    /// Serve the methods that bench calls
    BenchWorker(BenchWorker),
}

impl Internal {
    /// Runs the program.
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        match self.program {
            Program::EchoWorker => echo_worker().await,
            Program::StuckWorker => stuck_worker().await,
            Program::RunWorker { program } => exec_worker(program),
            Program::LoadClient(client) => client.run().await,
            Program::BenchWorker(worker) => worker.run().await,
        }
    }
}

/// Serves `demo.square`, whose result names the process, and `bench.echo`.
async fn echo_worker() -> anyhow::Result<Exit> {
    let demo = Service::new("demo").read("square", ["number"], echo::square);
    let bench = Service::new("bench").slots(echo::SLOTS).read("echo", ["message"], echo::echo);
    Worker::new().drain(Duration::from_secs(5)).serve(demo).serve(bench).run().await?;
    Ok(Exit::Success)
}

/// Serves `stuck.spin`, which never returns and ignores cancellation past its hard limit; `stuck.hold`, which writes to a journal that
/// it started and then waits; `stuck.pid`, which returns its process id; and `stuck.panic`.
async fn stuck_worker() -> anyhow::Result<Exit> {
    let stuck = Service::new("stuck")
        .read("spin", [], spin)
        .hard_limit("spin", Duration::from_secs(1))
        .read("hold", ["folder", "name"], hold)
        .read("pid", [], async || process::id())
        .read("panic", [], panic_on_purpose);
    Worker::new().serve(stuck).run().await?;
    Ok(Exit::Success)
}

/// Returns its process id, once the folder has a file `leave`.
async fn hold(folder: PathBuf, name: String) -> Result<u32, Error> {
    let failed = |error: std::io::Error| Error::new(Code::FailedPrecondition, error.to_string());
    let mut journal = OpenOptions::new().create(true).append(true).open(folder.join("journal")).map_err(failed)?;
    // One write, so that lines of several processes do not mix.
    journal.write_all(format!("{name} {}\n", process::id()).as_bytes()).map_err(failed)?;
    while !folder.join("leave").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(process::id())
}

fn panic_on_purpose() {
    panic!("on purpose");
}

fn spin() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Executes a pool's worker. Returns only on failure, with the exit codes of shells.
fn exec_worker(program: Vec<OsString>) -> ! {
    let error = run_worker(program);
    // Not `eprintln`, which panics if stderr is closed: the exit code must not be lost.
    output::note(&format!("callboard: {error}"));
    process::exit(error.exit_code().into())
}
