//! The admin endpoint of `callboard up`, which covers the broker and all pools.

use std::{ffi::OsString, net::TcpListener, path::PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::sync::watch;

use super::plan::{ADMIN_FLAG, Plan};
use crate::command::admin::{
    AdminServer, listener,
    snapshot::Phase,
    source::{Source, UpMonitor},
};

/// The flag with the socket of a process: see `command::admin::socket`.
const SOCKET_FLAG: &str = "--snapshot-socket";

/// The endpoint, and the folder with the sockets of the processes that it reads.
pub(super) struct UpAdmin {
    sockets: Option<TempDir>,
    phase: watch::Sender<Phase>,
    _server: Option<AdminServer>,
}

impl UpAdmin {
    /// Starts the endpoint, if the plan has one.
    ///
    /// # Errors
    /// If its address cannot be listened on.
    pub(super) fn start(plan: &Plan) -> anyhow::Result<UpAdmin> {
        let (phase, phases) = watch::channel(Phase::Starting);
        match listener::listen(&plan.admin)? {
            None => Ok(UpAdmin { sockets: None, phase, _server: None }),
            Some(http) => UpAdmin::serve(plan, http, phase, phases),
        }
    }

    fn serve(
        plan: &Plan,
        http: TcpListener,
        phase: watch::Sender<Phase>,
        phases: watch::Receiver<Phase>,
    ) -> anyhow::Result<UpAdmin> {
        // Only its owner can open what is in it.
        let sockets = TempDir::with_prefix("callboard-up-").context("cannot create a folder for sockets")?;
        let pools = plan.pools.iter().enumerate();
        let monitor = UpMonitor {
            broker: socket(&sockets, 0),
            pools: pools.map(|(at, pool)| (pool.name.clone(), socket(&sockets, at + 1))).collect(),
            phase: phases,
        };
        let server = AdminServer::start(Some(http), None, Source::Up(monitor))?;
        Ok(UpAdmin { sockets: Some(sockets), phase, _server: server })
    }

    /// Returns the arguments of a component, by its index: no endpoint of its own, and its socket.
    pub(super) fn arguments(&self, component: usize) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = [ADMIN_FLAG, "none"].map(Into::into).into();
        if let Some(sockets) = &self.sockets {
            arguments.extend([SOCKET_FLAG.into(), socket(sockets, component).into()]);
        }
        arguments
    }

    /// Sets the phase of all processes together.
    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }
}

/// Returns the socket of a component. Its path is short, because the system limits paths of sockets to some 100 bytes.
fn socket(sockets: &TempDir, component: usize) -> PathBuf {
    sockets.path().join(component.to_string())
}
