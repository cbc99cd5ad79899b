//! State notifications to systemd: datagrams to the socket that NOTIFY_SOCKET names, as sd_notify(3) sends them.

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

use crate::command::logging;

/// The variable that names the socket. Absent: no notifications.
const SOCKET: &str = "NOTIFY_SOCKET";
/// The variable with the watchdog's timeout in microseconds, within which WATCHDOG=1 must be sent again.
const WATCHDOG: &str = "WATCHDOG_USEC";
/// The variable with the process id for which the watchdog is meant.
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// The variables that are removed from the environment of children: they would send notifications in our name.
pub(crate) const VARIABLES: [&str; 3] = [SOCKET, WATCHDOG, WATCHDOG_PID];

/// The socket of the service manager that started this process, if it accepts notifications.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notify {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Reads the environment.
    pub(crate) fn from_environment() -> Notify {
        let socket = env::var_os(SOCKET).filter(|socket| !socket.is_empty());
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let ours = number(WATCHDOG_PID).is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number(WATCHDOG).filter(|&micros| ours && micros > 0).map(Duration::from_micros);
        Notify { socket, watchdog }
    }

    /// Returns the timeout of the watchdog, if it is enabled.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends a notification. A failure is logged and otherwise ignored.
    pub(crate) fn send(&self, what: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = send_to(socket, what)
        {
            tracing::warn!(target: logging::UP, %error, socket = %socket.display(), "cannot notify systemd");
        }
    }
}

fn send_to(socket: &OsString, what: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        // An abstract name, which is not in the file system.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let from = UnixDatagram::unbound()?;
    // A full socket must not block this process.
    from.set_nonblocking(true)?;
    from.send_to_addr(what.as_bytes(), &address).map(drop)
}
