//! The lifeline: a pipe through which a worker notices the end of its pool, even if the pool was killed.
//!
//! The pool holds the only writing end and never writes. The worker inherits the reading end, and so does every process that it
//! starts, unless the descriptor is closed on the way. When the pool exits for any reason, or drops this worker, a read of the pipe
//! returns end-of-file. Therefore a worker behind a shell script or in its own process group, which no signal of the pool reaches,
//! exits too.
//!
//! `CALLBOARD_LIFELINE` is `FD:INODE`, for example `10:48213`: the file descriptor and the inode of the pipe. If this descriptor is
//! closed or is another file, the variable was inherited and the pipe was not (Python's `subprocess` closes such descriptors). Then
//! there is no lifeline.

use std::{
    env,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    process, thread,
};

use super::environment::LIFELINE;

/// The exit status of a process whose pool is gone: 128 plus SIGHUP, as a shell reports it.
pub const LIFELINE_EXIT: i32 = 129;

/// Starts a thread that exits this process with [`LIFELINE_EXIT`] when its pool is gone.
///
/// The thread blocks in a read of the pipe. The worker library calls this function when a worker starts; a worker in another language
/// implements the module description above. Outside of a pool the function does nothing. Returns whether there is a lifeline.
pub fn watch() -> bool {
    let Some(lifeline) = env::var(LIFELINE).ok().and_then(|lifeline| open(&lifeline)) else {
        return false;
    };
    let watcher = thread::Builder::new().name("callboard-lifeline".into()).spawn(move || wait(lifeline));
    if let Err(error) = &watcher {
        tracing::warn!(target: crate::log::WORKER, %error, "cannot start a thread to watch the lifeline: this worker may outlive its pool");
    }
    watcher.is_ok()
}

/// Opens the pipe that the variable names, if this process has it. The function opens the pipe a second time instead of using the
/// inherited descriptor: if the descriptor belongs to another file, that file is not touched.
fn open(lifeline: &str) -> Option<File> {
    let (descriptor, inode) = lifeline.split_once(':')?;
    let descriptor: u32 = descriptor.parse().ok()?;
    let inode: u64 = inode.parse().ok()?;
    let path = format!("/dev/fd/{descriptor}");
    if std::fs::metadata(&path).ok()?.ino() != inode {
        return None;
    }
    File::open(&path)
        .inspect_err(|error| tracing::warn!(target: crate::log::WORKER, %error, %path, "cannot open the lifeline"))
        .ok()
}

/// Waits for end-of-file, then exits the process. It does not return.
fn wait(mut lifeline: File) {
    let mut buffer = [0; 64];
    loop {
        match lifeline.read(&mut buffer) {
            Ok(0) => process::exit(LIFELINE_EXIT),
            Ok(_) => {} // bytes have no meaning
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
    fn a_descriptor_that_is_closed_or_another_file_is_not_a_lifeline() {
        let (reader, _writer) = io::pipe().expect("a pipe");
        let inode = File::from(std::os::fd::OwnedFd::from(reader.try_clone().expect("a clone")))
            .metadata()
            .expect("a pipe")
            .ino();
        let descriptor = reader.as_raw_fd();
        assert!(open(&format!("{descriptor}:{inode}")).is_some());
        assert!(open(&format!("{descriptor}:{}", inode + 1)).is_none(), "another file has this descriptor");
        assert!(open(&format!("99999:{inode}")).is_none(), "closed");
        for invalid in ["", "10", ":", "x:1", "1:x", "-1:1", "../passwd:1"] {
            assert!(open(invalid).is_none(), "{invalid}");
        }
    }
}
