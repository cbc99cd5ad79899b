//! Telling systemd how we are: datagrams to the socket that NOTIFY_SOCKET names, as sd_notify(3) sends them.

use std::{
    env,
    ffi::OsString,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// The socket to tell. Absent: nobody wants to know.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Within how many microseconds WATCHDOG=1 must come again.
const WATCHDOG: &str = "WATCHDOG_USEC";
/// Whom that is meant for.
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// What our own children are not to see: they would speak in our name.
pub(crate) const VARIABLES: [&str; 3] = [SOCKET, WATCHDOG, WATCHDOG_PID];

/// Whoever started us and wants to know how we are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notify {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As our environment says.
    pub(crate) fn from_environment() -> Notify {
        let socket = env::var_os(SOCKET).filter(|socket| !socket.is_empty());
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let ours = number(WATCHDOG_PID).is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number(WATCHDOG).filter(|&micros| ours && micros > 0).map(Duration::from_micros);
        Notify { socket, watchdog }
    }

    /// Within which time somebody wants to hear that we are well.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells it. Who does not listen is no reason to stop.
    pub(crate) fn tell(&self, what: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = send(socket, what)
        {
            tracing::warn!(%error, ?socket, "who started us cannot be told how we are");
        }
    }
}

fn send(socket: &OsString, what: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        // Such a name is in no folder.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let from = UnixDatagram::unbound()?;
    // Whoever does not read must not make us wait.
    from.set_nonblocking(true)?;
    from.send_to_addr(what.as_bytes(), &address).map(drop)
}
