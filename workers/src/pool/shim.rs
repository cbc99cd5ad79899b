//! The shim: what a pool starts, and what then becomes the worker.
//!
//! Some of what a worker needs can only be set up by its own process, between fork and exec, where Rust allows unsafe code
//! only. So the pool starts a program of ours, which does it as an ordinary program and then execs the worker's: the process,
//! and its id, stay the pool's direct child. It is the command itself (`callboard internal run-worker`).
//!
//! The pool hands over the lifeline as standard input, so that no descriptor of the pool ever lacks close-on-exec.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::MetadataExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use rustix::{
    io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
    process::getppid,
};

use super::{environment::LIFELINE, guard};

/// The lowest number for the lifeline's descriptor: shell scripts name 0 to 9 as they please.
const DESCRIPTOR_MIN: i32 = 10;

/// Why a worker did not come to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShimError {
    /// It was not started by a pool.
    #[error("run-worker is started by a pool, with the pool's process id, a program and its arguments")]
    Usage,
    /// The pool ended before its worker began.
    #[error("the pool is gone")]
    PoolGone,
    /// The process could not be prepared.
    #[error("cannot prepare the worker's process: {0}")]
    Prepare(#[from] io::Error),
    /// The program could not be run.
    #[error("cannot run {program:?}: {source}{hint}")]
    Exec {
        /// The worker's program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What it may mean.
        hint: &'static str,
    },
}

impl ShimError {
    /// The exit code for it, as shells have it: 127 not found, 126 not to be run, 125 for what came before.
    pub fn exit_code(&self) -> u8 {
        match self {
            ShimError::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            ShimError::Exec { .. } => 126,
            _ => 125,
        }
    }
}

/// The shim's arguments behind its leading ones.
pub(super) fn arguments<'a>(program: &'a Path, rest: &'a [OsString]) -> impl Iterator<Item = OsString> + use<'a> {
    let pool = OsString::from(process::id().to_string());
    [pool, program.into()].into_iter().chain(rest.iter().cloned())
}

/// Turns this process into a worker (or into the pool's guard, see `guard.rs`); `arguments` are those behind the shim's leading
/// ones. Returns only if it fails: the caller writes the error to standard error, from where the pool has it, and exits with
/// [`ShimError::exit_code`].
///
/// Call it first thing, on the main thread.
///
/// # Errors
/// It returns nothing else.
pub fn run_worker(arguments: impl IntoIterator<Item = OsString>) -> ShimError {
    let mut arguments = arguments.into_iter();
    let first = arguments.next().unwrap_or_default();
    if guard::is_meant(&first) {
        guard::run();
    }
    let pool = first.to_str().and_then(|pool| pool.parse().ok());
    let (Some(pool), Some(program)) = (pool, arguments.next()) else {
        return ShimError::Usage;
    };
    match prepare(pool) {
        Ok(lifeline) => exec(&program, arguments, &lifeline),
        Err(error) => error,
    }
}

/// Binds this process to its pool. Returns the lifeline, under a number that survives exec.
fn prepare(pool: i32) -> Result<OwnedFd, ShimError> {
    die_with_parent()?;
    // Asked after that: a pool that ended before it sent no signal, but this process has another parent since.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != pool) {
        return Err(ShimError::PoolGone);
    }
    Ok(take_lifeline()?)
}

/// Moves the lifeline from standard input, which is the worker's, and has it inherited.
fn take_lifeline() -> io::Result<OwnedFd> {
    let lifeline = fcntl_dupfd_cloexec(io::stdin(), DESCRIPTOR_MIN)?;
    fcntl_setfd(&lifeline, FdFlags::empty())?;
    Ok(lifeline)
}

/// SIGKILL when the pool's thread ends that started this process: SIGTERM could be ignored, and nobody is left to insist. It
/// survives exec (unless the program is setuid), but is not inherited: for the rest there is the lifeline.
#[cfg(target_os = "linux")]
fn die_with_parent() -> io::Result<()> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Other systems have no such signal; there the lifeline must do.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> io::Result<()> {
    Ok(())
}

fn exec(program: &OsStr, arguments: impl Iterator<Item = OsString>, lifeline: &OwnedFd) -> ShimError {
    let name = match name(lifeline) {
        Ok(name) => name,
        Err(error) => return error.into(),
    };
    // This also gives signals back their default effects, which Rust changes for SIGPIPE.
    let source = Command::new(program).args(arguments).env(LIFELINE, name).stdin(Stdio::null()).exec();
    let interpreter = source.kind() == io::ErrorKind::NotFound && Path::new(program).exists();
    let hint = if interpreter { " (its first line names an interpreter that is not there)" } else { "" };
    ShimError::Exec { program: program.into(), source, hint }
}

/// What [`LIFELINE`] says: number and inode.
fn name(lifeline: &OwnedFd) -> io::Result<String> {
    let inode = File::from(lifeline.try_clone()?).metadata()?.ino();
    Ok(format!("{}:{inode}", lifeline.as_raw_fd()))
}
