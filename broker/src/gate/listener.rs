//! The two sockets that peers connect to.

use std::{
    io::{self, ErrorKind::ConnectionAborted, ErrorKind::Interrupted},
    net::SocketAddr,
    rc::Rc,
};

use tokio::{
    net::{TcpListener, TcpSocket, UnixListener},
    time::sleep,
};

use super::{
    Address, CloseReason, Endpoint, GateError, PeerAddress,
    address::Host,
    ipc::{self, Claim},
    limits::{ACCEPT_PAUSE, BACKLOG},
    shared::Shared,
    stream::Stream,
};

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener),
}

/// A listening socket, with what it turned out to be.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: Listener,
    /// With the port that the system chose.
    pub(super) address: Address,
    /// What an ipc socket leaves in the file system, and takes away when dropped.
    pub(super) claim: Option<Claim>,
}

impl Listener {
    pub(super) fn bind(address: &Address) -> Result<Bound, GateError> {
        match address {
            Address::Tcp { host, port } => bind_tcp(address, host, *port),
            Address::Ipc { path } => {
                let (listener, claim) = ipc::listen(path)?;
                Ok(Bound { listener: Listener::Ipc(listener), address: address.clone(), claim: Some(claim) })
            }
        }
    }

    /// Accepts one connection; `None` if its peer is gone already.
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

/// Listens on the first of the host's addresses that can be had.
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
    // A broker that starts again must not wait for the last one's connections to be forgotten by the system. Two that
    // listen at a time are refused all the same.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let actual = listener.local_addr()?;
    Ok((listener, actual))
}

/// Accepts connections for ever.
pub(super) async fn accept_all(shared: Rc<Shared>, endpoint: Endpoint, listener: Listener) {
    let own_uid = rustix::process::geteuid().as_raw();
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok(Some((stream, address))) => {
                failing = false;
                let room = match stranger(address, own_uid) {
                    None => shared.place(address.into()).await,
                    Some(reason) => Err(reason),
                };
                match room {
                    Ok(()) => shared.accepted(endpoint, stream, address),
                    Err(reason) => shared.refused(endpoint, stream, address, reason),
                }
            }
            Ok(None) => {}
            Err(error) if matches!(error.kind(), ConnectionAborted | Interrupted) => {}
            Err(error) => {
                shared.counters.borrow_mut().accept_failures += 1;
                if !failing {
                    tracing::warn!(%endpoint, %error, pause = ?ACCEPT_PAUSE, "cannot accept connections; trying again");
                }
                failing = true;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Why this peer is not wanted, if it is not.
fn stranger(address: PeerAddress, own_uid: u32) -> Option<CloseReason> {
    match address {
        PeerAddress::Ipc { uid, .. } if uid != own_uid => Some(CloseReason::OtherUser { uid }),
        PeerAddress::Ipc { .. } | PeerAddress::Tcp(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipc_is_for_the_own_user_only() {
        let peer = |uid| PeerAddress::Ipc { uid, pid: None };
        assert_eq!(stranger(peer(7), 7), None);
        assert_eq!(stranger(peer(8), 7), Some(CloseReason::OtherUser { uid: 8 }));
        assert_eq!(stranger(peer(0), 7), Some(CloseReason::OtherUser { uid: 0 }));
    }
}
