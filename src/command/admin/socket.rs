//! The snapshot of a process of `callboard up`: on a Unix socket, since all processes of `up` share one endpoint.
//!
//! A process writes its snapshot as JSON to each connection, and closes it.

use std::{fs, io, os::unix::net::UnixListener as StdUnixListener, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};

use super::{source::ANSWER_MAX, state::AdminState};

/// Listens on the socket of this process, if it has one. A socket that an earlier process has left is replaced.
///
/// # Errors
/// If the system rejects it.
pub(crate) fn listen(path: Option<&PathBuf>) -> anyhow::Result<Option<StdUnixListener>> {
    let Some(path) = path else { return Ok(None) };
    let bind = || {
        // The file does not exist at the first start.
        let _ = fs::remove_file(path);
        let listener = StdUnixListener::bind(path)?;
        listener.set_nonblocking(true).map(|()| listener)
    };
    bind().map(Some).with_context(|| format!("cannot listen on {}", path.display()))
}

/// Writes a snapshot to each connection. Never returns.
pub(super) async fn serve(listener: UnixListener, state: Arc<AdminState>) {
    loop {
        match listener.accept().await {
            // `callboard up` is the only client: it connects once at a time, and reads within a bound.
            Ok((stream, _)) => drop(timeout(ANSWER_MAX, write(stream, &state)).await),
            Err(_) => sleep(ANSWER_MAX).await,
        }
    }
}

async fn write(mut stream: UnixStream, state: &AdminState) -> io::Result<()> {
    let json = serde_json::to_vec(&*state.snapshot().await)?;
    stream.write_all(&json).await?;
    stream.shutdown().await
}
