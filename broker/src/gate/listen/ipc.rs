//! Unix sockets in the file system, and the replacement of those that earlier brokers have left.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::{UnixListener, UnixSocket};

use super::{
    super::{GateError, limits::BACKLOG},
    Address,
};

/// The longest path of a socket (108 bytes with a zero at the end).
const SYSTEM_PATH_BYTES_MAX: usize = 107;
/// The socket is created under a name with this suffix and then renamed.
const NEW: &str = ".new";
/// The lock file, beside the socket.
const LOCK: &str = ".lock";
/// How often to retry when the lock file is removed while we lock it, as it is when another broker exits at that moment.
const LOCK_ATTEMPTS_MAX: usize = 100;
/// Access for the own user only.
const SOCKET_MODE: u32 = 0o600;

/// A path on which this process listens. Dropping it removes the socket, if it is still ours.
#[derive(Debug)]
pub(in crate::gate) struct SocketClaim {
    path: PathBuf,
    /// The device and number of the socket's file.
    identity: (u64, u64),
    /// Held as long as the socket exists. It distinguishes the socket of a running broker from a stale one.
    _lock: Lock,
}

impl Drop for SocketClaim {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// A locked lock file. The system releases the lock however the process ends; a clean exit also removes the file.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while the lock is held, so that the next broker opens a new file. A broker that has already opened
        // this file detects that in `lock`.
        fs::remove_file(&self.path).ok();
    }
}

/// Listens on `path`.
///
/// Brokers on one path exclude each other by a lock file. The broker with the lock creates its socket under another name, sets its
/// mode before any peer can connect, and renames it into place. So a stale file is replaced in one step, and at no time can a peer
/// connect to an unfinished socket, or to one whose mode is too wide.
pub(in crate::gate) fn listen(path: &Path) -> Result<(UnixListener, SocketClaim), GateError> {
    let new = beside(path, NEW);
    let (bytes, max) = (path.as_os_str().len(), SYSTEM_PATH_BYTES_MAX - NEW.len());
    if bytes > max {
        return Err(GateError::PathTooLong { path: path.to_owned(), bytes, max });
    }
    let failed = |source| GateError::Listen { address: Address::Ipc { path: path.to_owned() }, source };
    let lock = lock(&beside(path, LOCK)).map_err(failed)?.ok_or_else(|| GateError::InUse { path: path.to_owned() })?;
    check_replaceable(path)?;
    let listener = listen_as(&new).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    let identity = identity(path).map_err(failed)?;
    Ok((listener, SocketClaim { path: path.to_owned(), identity, _lock: lock }))
}

/// Makes the socket under its first name.
fn listen_as(new: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(new)?;
    fs::set_permissions(new, Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)
}

/// Takes the lock; `None` if another process has it.
fn lock(path: &Path) -> io::Result<Option<Lock>> {
    for _ in 0..LOCK_ATTEMPTS_MAX {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(SOCKET_MODE).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The lock protects only if others will try the same file.
        let locked = file.metadata()?;
        if identity(path).is_ok_and(|now| now == (locked.dev(), locked.ino())) {
            return Ok(Some(Lock { path: path.to_owned(), _file: file }));
        }
    }
    Ok(None)
}

/// Rejects a path where another process listens without our lock, and a file that is not a socket.
fn check_replaceable(path: &Path) -> Result<(), GateError> {
    let path = path.to_owned();
    match fs::symlink_metadata(&path) {
        Err(_) => Ok(()),
        Ok(found) if !found.file_type().is_socket() => Err(GateError::NotASocket { path }),
        Ok(_) if is_dead(&path) => Ok(()),
        Ok(_) => Err(GateError::InUse { path }),
    }
}

/// Returns whether no process listens on this socket. It does not wait: a full backlog also means that there is a
/// listener.
fn is_dead(path: &Path) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let refused = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|socket| connect(&socket, &SocketAddrUnix::new(path)?));
    matches!(refused, Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
