//! The server of an admin endpoint: a thread of its own, and limits on its connections.

use std::{
    io, net::TcpListener as StdListener, os::unix::net::UnixListener as StdUnixListener, thread, time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::sync::Arc;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::{Semaphore, oneshot},
    time::sleep,
};

use super::{routes, socket, source::Source, state::AdminState, write_timeout::WriteTimeout};
use crate::command::logging;

/// Connections at a time. Further ones wait until one of these ends.
const CONNECTIONS_MAX: usize = 64;
/// The time in which a client must send its request.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The time in which a client must read some of a response.
const READING_TIME: Duration = Duration::from_secs(10);
/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// Bytes of the header of a request, and the buffer of a connection.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The pause after a failure to accept a connection, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The priority of the thread, as nice(1) counts it. A flood of requests takes only the CPU time that calls leave.
const NICENESS: i32 = 10;

/// A running admin endpoint. Dropping it closes the endpoint.
pub(crate) struct AdminServer {
    _stop: oneshot::Sender<()>,
}

impl AdminServer {
    /// Starts the thread of the endpoint, which serves HTTP on `http`, and snapshots for `callboard up` on `snapshots`. Without either there
    /// is no endpoint.
    ///
    /// # Errors
    /// If the system cannot create the thread.
    pub(crate) fn start(
        http: Option<StdListener>,
        snapshots: Option<StdUnixListener>,
        source: Source,
    ) -> anyhow::Result<Option<AdminServer>> {
        if http.is_none() && snapshots.is_none() {
            return Ok(None);
        }
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(AdminState::new(source));
        let serve = move || {
            // A thread without the lower priority serves as well.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            if let Err(error) = run(http, snapshots, state, stopped) {
                tracing::error!(target: logging::ADMIN, %error, "the admin endpoint cannot run");
            }
        };
        thread::Builder::new().name("callboard-admin".into()).spawn(serve).context("cannot start a thread")?;
        Ok(Some(AdminServer { _stop: stop }))
    }
}

fn run(
    http: Option<StdListener>,
    snapshots: Option<StdUnixListener>,
    state: Arc<AdminState>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(listener) = http {
            tokio::spawn(accept(TcpListener::from_std(listener)?, routes::router(Arc::clone(&state))));
        }
        if let Some(listener) = snapshots {
            tokio::spawn(socket::serve(UnixListener::from_std(listener)?, state));
        }
        // An error means that the handle was dropped.
        let _ = stopped.await;
        Ok(())
    })
}

async fn accept(listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve(stream, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(target: logging::ADMIN, %error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one request, then closes the connection: idle clients must not take the places of others.
async fn serve(stream: TcpStream, router: Router) {
    let socket = TokioIo::new(WriteTimeout::new(stream, READING_TIME));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(socket, TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(target: logging::ADMIN, %error, "a connection of the admin endpoint failed");
    }
}
