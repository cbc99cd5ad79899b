//! The lifeline: how a worker learns that its pool is gone, however it went.
//!
//! It is a pipe into which nobody ever writes. Only the pool holds the writing end; the worker inherits the reading end, and
//! so does every process that it starts, unless that is closed on the way. When the pool ends, whatever ends it, or when it
//! lets go of this worker, a read of the pipe returns end-of-file. So a worker behind a shell script, or in a process group of
//! its own, is reached by no signal and still ends.
//!
//! `CALLBOARD_LIFELINE` is `FD:INODE`, for example `10:48213`: the file descriptor, and the inode of the pipe. Where the
//! descriptor of this number is closed, or another file, the variable was passed on and the pipe was not (Python's
//! `subprocess` closes such descriptors): there is no lifeline then.

use std::{
    env,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    process, thread,
};

use super::environment::LIFELINE;

/// How a process exits that loses its lifeline: as a shell would show one that the hang-up signal ended.
pub const LIFELINE_EXIT: i32 = 129;

/// Ends this process with [`LIFELINE_EXIT`] as soon as the pool that it belongs to is gone.
///
/// A thread blocks in a read for that. The worker library calls this at its start; a worker in another language does the same
/// by the description at the top. Outside a pool it does nothing. Returns whether there is a lifeline.
pub fn watch() -> bool {
    let Some(lifeline) = env::var(LIFELINE).ok().and_then(|lifeline| open(&lifeline)) else {
        return false;
    };
    let watcher = thread::Builder::new().name("callboard-lifeline".into()).spawn(move || wait(lifeline));
    if let Err(error) = &watcher {
        tracing::warn!(%error, "no thread to watch the lifeline: this worker may outlive its pool");
    }
    watcher.is_ok()
}

/// Opens the pipe that the variable names, if this process has it. Opening it anew, instead of taking the number for ours, is
/// what makes this safe: should the number be another file, that one is let alone.
fn open(lifeline: &str) -> Option<File> {
    let (descriptor, inode) = lifeline.split_once(':')?;
    let descriptor: u32 = descriptor.parse().ok()?;
    let inode: u64 = inode.parse().ok()?;
    let path = format!("/dev/fd/{descriptor}");
    if std::fs::metadata(&path).ok()?.ino() != inode {
        return None;
    }
    File::open(&path).inspect_err(|error| tracing::warn!(%error, %path, "the lifeline cannot be watched")).ok()
}

/// Returns never: it waits for end-of-file, and ends the process.
fn wait(mut lifeline: File) {
    let mut nothing = [0; 64];
    loop {
        match lifeline.read(&mut nothing) {
            Ok(0) => process::exit(LIFELINE_EXIT),
            Ok(_) => {} // nobody writes into it; if somebody does, it means nothing
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => process::exit(LIFELINE_EXIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_lifeline_that_was_not_passed_on_is_none() {
        let (reader, _writer) = io::pipe().expect("a pipe");
        let inode = File::from(std::os::fd::OwnedFd::from(reader.try_clone().expect("a clone")))
            .metadata()
            .expect("a pipe")
            .ino();
        let descriptor = reader.as_raw_fd();
        assert!(open(&format!("{descriptor}:{inode}")).is_some());
        assert!(open(&format!("{descriptor}:{}", inode + 1)).is_none(), "another file under this number");
        assert!(open(&format!("99999:{inode}")).is_none(), "closed");
        for nonsense in ["", "10", ":", "x:1", "1:x", "-1:1", "../passwd:1"] {
            assert!(open(nonsense).is_none(), "{nonsense}");
        }
    }
}
