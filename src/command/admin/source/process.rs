//! The snapshot of another process of `callboard up`, which it writes to its Unix socket.

use std::{io, path::Path};

use tokio::{io::AsyncReadExt as _, net::UnixStream};

use super::{super::snapshot::Snapshot, answer::answer};

/// Bytes of a snapshot. A broker's is some 2 MB if it has as many methods with counters of their own as there may be.
const SNAPSHOT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads the snapshot of `what`, or returns why it cannot be read.
pub(super) async fn read(what: &str, path: &Path) -> Result<Snapshot, String> {
    answer(what, async { Some(read_all(path).await) })
        .await?
        .map_err(|error| format!("{what} does not run or cannot be read: {error}"))
}

async fn read_all(path: &Path) -> io::Result<Snapshot> {
    let stream = UnixStream::connect(path).await?;
    let mut json = Vec::new();
    stream.take(SNAPSHOT_BYTES_MAX).read_to_end(&mut json).await?;
    Ok(serde_json::from_slice(&json)?)
}
