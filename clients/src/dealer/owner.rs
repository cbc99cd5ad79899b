//! Whose socket an `ipc://` address names.
//!
//! The broker lets in its own user only. That is half of it: in a folder where others may write, such as `/tmp`, another user can
//! listen where the broker would, and be told calls and keys' proofs, and answer.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, net::SocketAddr},
    path::Path,
};

/// Can be anybody on this machine anyway.
const ROOT: u32 = 0;

/// The user to whom the socket at `path` belongs if that is a stranger: neither the one that we are nor root.
///
/// # Errors
/// There is nothing at `path`, or it cannot be looked at.
pub(super) fn stranger(path: &Path) -> io::Result<Option<u32>> {
    // What can be no socket's path is told as that, and not as one that is missing.
    SocketAddr::from_pathname(path)?;
    // A link, and what it leads to: whoever has either says where we connect.
    let owners = [fs::symlink_metadata(path)?.uid(), fs::metadata(path)?.uid()];
    let us = rustix::process::geteuid().as_raw();
    Ok(owners.into_iter().find(|owner| !is_trusted(*owner, us)))
}

fn is_trusted(owner: u32, us: u32) -> bool {
    owner == us || owner == ROOT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_sockets_and_roots_are_trusted() {
        assert!(is_trusted(1_000, 1_000) && is_trusted(ROOT, 1_000) && is_trusted(ROOT, ROOT));
        assert!(!is_trusted(1_001, 1_000) && !is_trusted(1_000, ROOT));
    }

    #[test]
    fn what_is_our_own_is_no_strangers() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(stranger(folder.path()).expect("it is there"), None);
        let missing = stranger(&folder.path().join("nothing")).expect_err("nothing is there");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
