//! The shim: the program that a pool starts, and that then executes the worker.
//!
//! Some of a worker's setup must run in its own process between fork and exec, where Rust allows only unsafe code. Therefore the pool
//! starts a program of ours, which performs the setup as an ordinary program and then calls exec for the worker's program. The process
//! and its id stay a direct child of the pool. The shim is the command itself (`callboard internal run-worker`).
//!
//! The pool passes the lifeline as standard input, so that every descriptor of the pool can be close-on-exec.

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

/// The lowest descriptor for the lifeline. Shell scripts use the descriptors 0 to 9 themselves.
const DESCRIPTOR_MIN: i32 = 10;

/// Why the shim could not start the worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShimError {
    /// The arguments are not those of a pool.
    #[error("run-worker expects the process id of a pool, a program and its arguments: only a pool starts it")]
    Usage,
    /// The pool exited before the worker started.
    #[error("the pool that started this worker has exited")]
    PoolGone,
    /// The system could not set up the process.
    #[error("cannot set up the worker process: {0}")]
    Prepare(#[from] io::Error),
    /// The system could not execute the worker's program.
    #[error("cannot execute {program:?}: {source}{hint}")]
    Exec {
        /// The worker's program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
        /// A likely cause, in parentheses, or nothing.
        hint: &'static str,
    },
}

impl ShimError {
    /// Returns the exit code of the shim, as shells define it: 127 if the program was not found, 126 if it cannot be executed, and 125
    /// for all earlier errors.
    pub fn exit_code(&self) -> u8 {
        match self {
            ShimError::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            ShimError::Exec { .. } => 126,
            _ => 125,
        }
    }
}

/// Returns the arguments that the pool adds after the shim's leading ones.
pub(super) fn arguments<'a>(program: &'a Path, rest: &'a [OsString]) -> impl Iterator<Item = OsString> + use<'a> {
    let pool = OsString::from(process::id().to_string());
    [pool, program.into()].into_iter().chain(rest.iter().cloned())
}

/// Turns this process into a worker (or into the pool's guard, see `guard.rs`). `arguments` are those after the shim's leading ones.
///
/// Call it on the main thread, before anything else. It returns only on failure. The caller then writes the error to standard error,
/// which the pool reads, and exits with [`ShimError::exit_code`].
pub fn run_worker(arguments: impl IntoIterator<Item = OsString>) -> ShimError {
    let mut arguments = arguments.into_iter();
    let first = arguments.next().unwrap_or_default();
    if guard::is_guard_argument(&first) {
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

/// Binds the life of this process to its pool. Returns the lifeline as a descriptor that survives exec.
fn prepare(pool: i32) -> Result<OwnedFd, ShimError> {
    kill_with_parent()?;
    // Checked after that call: if the pool exited before it, there was no signal, but this process has another parent now.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != pool) {
        return Err(ShimError::PoolGone);
    }
    Ok(take_lifeline()?)
}

/// Moves the lifeline away from standard input, which the worker uses, and makes it inheritable.
fn take_lifeline() -> io::Result<OwnedFd> {
    let lifeline = fcntl_dupfd_cloexec(io::stdin(), DESCRIPTOR_MIN)?;
    fcntl_setfd(&lifeline, FdFlags::empty())?;
    Ok(lifeline)
}

/// Makes the kernel send SIGKILL to this process when the pool's thread ends. SIGTERM could be ignored, and after the pool's end
/// nothing would follow it. The setting survives exec (unless the program is setuid) but is not inherited by child processes; the
/// lifeline reaches those.
#[cfg(target_os = "linux")]
fn kill_with_parent() -> io::Result<()> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Does nothing: other systems have no such signal, and there the worker depends on the lifeline.
#[cfg(not(target_os = "linux"))]
fn kill_with_parent() -> io::Result<()> {
    Ok(())
}

fn exec(program: &OsStr, arguments: impl Iterator<Item = OsString>, lifeline: &OwnedFd) -> ShimError {
    let value = match lifeline_value(lifeline) {
        Ok(value) => value,
        Err(error) => return error.into(),
    };
    // `exec` also restores the default action of SIGPIPE, which Rust changes.
    let source = Command::new(program).args(arguments).env(LIFELINE, value).stdin(Stdio::null()).exec();
    let interpreter = source.kind() == io::ErrorKind::NotFound && Path::new(program).exists();
    let hint = if interpreter { " (the interpreter in its first line does not exist)" } else { "" };
    ShimError::Exec { program: program.into(), source, hint }
}

/// Returns the value of [`LIFELINE`]: descriptor and inode.
fn lifeline_value(lifeline: &OwnedFd) -> io::Result<String> {
    let inode = File::from(lifeline.try_clone()?).metadata()?.ino();
    Ok(format!("{}:{inode}", lifeline.as_raw_fd()))
}
