//! The owner of the socket that an `ipc://` address names.
//!
//! The broker accepts only peers of its own user. The client must check the other direction: in a folder that others may write, such
//! as `/tmp`, another user can listen in the broker's place, receive calls and authkey proofs, and answer them.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, net::SocketAddr},
    path::Path,
};

/// Root is trusted because it can act as any user of the machine.
const ROOT: u32 = 0;

/// Returns the owner of the socket at `path` if it is neither the user of this process nor root.
///
/// # Errors
/// If there is no file at `path`, or its metadata cannot be read.
pub(super) fn untrusted_owner(path: &Path) -> io::Result<Option<u32>> {
    // A path that no socket can have is reported as such, not as missing.
    SocketAddr::from_pathname(path)?;
    // Both a symbolic link and its target: the owner of either decides where the connection leads.
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
    fn only_sockets_of_this_user_or_root_are_trusted() {
        assert!(is_trusted(1_000, 1_000) && is_trusted(ROOT, 1_000) && is_trusted(ROOT, ROOT));
        assert!(!is_trusted(1_001, 1_000) && !is_trusted(1_000, ROOT));
    }

    #[test]
    fn a_socket_of_this_user_has_no_untrusted_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(untrusted_owner(folder.path()).expect("the folder exists"), None);
        let missing = untrusted_owner(&folder.path().join("nothing")).expect_err("the file is missing");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
