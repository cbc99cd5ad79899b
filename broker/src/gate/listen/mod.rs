//! The two listening sockets of a gate.
//!
//! | file | contents |
//! |---|---|
//! | `address` | where a gate listens |
//! | `ipc` | Unix sockets and their lock files |
//! | `file_limit` | the limit on open files |

pub(in crate::gate) mod address;
pub(in crate::gate) mod file_limit;
pub(in crate::gate) mod ipc;

use std::{
    io::{self, ErrorKind::ConnectionAborted, ErrorKind::Interrupted},
    net::SocketAddr,
    rc::Rc,
};

use tokio::{
    net::{TcpListener, TcpSocket, UnixListener},
    time::sleep,
};

use self::{
    address::{Address, Host},
    ipc::SocketClaim,
};
use super::{
    Endpoint, GateError, PeerAddress,
    connection::{close_reason::CloseReason, socket::Stream, task},
    limits::{ACCEPT_PAUSE, BACKLOG},
    shared::Shared,
};

/// A listening socket.
#[derive(Debug)]
pub(in crate::gate) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener),
}

/// A listening socket with its actual address.
#[derive(Debug)]
pub(in crate::gate) struct Bound {
    pub(in crate::gate) listener: Listener,
    /// The address with the port that the system chose.
    pub(in crate::gate) address: Address,
    /// The files of an ipc socket, which are removed when this is dropped.
    pub(in crate::gate) claim: Option<SocketClaim>,
}

impl Listener {
    pub(in crate::gate) fn bind(address: &Address) -> Result<Bound, GateError> {
        match address {
            Address::Tcp { host, port } => bind_tcp(address, host, *port),
            Address::Ipc { path } => {
                let (listener, claim) = ipc::listen(path)?;
                Ok(Bound { listener: Listener::Ipc(listener), address: address.clone(), claim: Some(claim) })
            }
        }
    }

    /// Accepts one connection. `None` if its peer has closed it already.
    async fn accept(&self) -> io::Result<Option<(Stream, PeerAddress)>> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let ready = stream.set_nodelay(true);
                Ok(ready.ok().map(|()| (Stream::Tcp(stream), PeerAddress::Tcp(address))))
            }
            Listener::Ipc(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred();
                Ok(peer.ok().map(|peer| (Stream::Ipc(stream), PeerAddress::Ipc { uid: peer.uid(), pid: peer.pid() })))
            }
        }
    }
}

/// Listens on the first available address of the host.
fn bind_tcp(address: &Address, host: &Host, port: u16) -> Result<Bound, GateError> {
    let candidates = host.resolve(port).map_err(|source| GateError::Resolve { address: address.clone(), source })?;
    let mut failure = None;
    for candidate in candidates {
        match listen_tcp(candidate) {
            Ok((listener, actual)) => {
                return Ok(Bound { listener: Listener::Tcp(listener), address: actual.into(), claim: None });
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let source = failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    Err(GateError::Listen { address: address.clone(), source })
}

fn listen_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted broker must not wait until the system has released the connections of the last one. The system still
    // refuses two listeners at a time.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let actual = listener.local_addr()?;
    Ok((listener, actual))
}

/// Accepts connections until it is aborted.
pub(in crate::gate) async fn accept_all(shared: Rc<Shared>, endpoint: Endpoint, listener: Listener) {
    let own_uid = rustix::process::geteuid().as_raw();
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok(Some((stream, address))) => {
                failing = false;
                let admitted = match other_user(address, own_uid) {
                    None => shared.admit(address.into()).await,
                    Some(reason) => Err(reason),
                };
                match admitted {
                    Ok(()) => task::spawn(&shared, endpoint, stream, address),
                    Err(reason) => task::reject(&shared, endpoint, stream, address, reason),
                }
            }
            Ok(None) => {}
            Err(error) if matches!(error.kind(), ConnectionAborted | Interrupted) => {}
            Err(error) => {
                shared.counters.borrow_mut().accept_failures += 1;
                if !failing {
                    tracing::warn!(target: crate::log::TARGET, %endpoint, %error, pause = ?ACCEPT_PAUSE, "cannot accept connections; trying again");
                }
                failing = true;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns a reason to reject the peer if it runs as another user.
fn other_user(address: PeerAddress, own_uid: u32) -> Option<CloseReason> {
    match address {
        PeerAddress::Ipc { uid, .. } if uid != own_uid => Some(CloseReason::OtherUser { uid }),
        PeerAddress::Ipc { .. } | PeerAddress::Tcp(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipc_rejects_other_users() {
        let peer = |uid| PeerAddress::Ipc { uid, pid: None };
        assert_eq!(other_user(peer(7), 7), None);
        assert_eq!(other_user(peer(8), 7), Some(CloseReason::OtherUser { uid: 8 }));
        assert_eq!(other_user(peer(0), 7), Some(CloseReason::OtherUser { uid: 0 }));
    }
}
