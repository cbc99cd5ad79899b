//! The socket of the system: TCP or Unix, in a half to read and a half to write.

use std::io;

use bytes::BufMut;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, UnixStream, tcp, unix},
};
use zeromq::Endpoint;

/// Connects to an endpoint.
///
/// # Errors
/// The error of the last address that was tried.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<(ReadHalf, WriteHalf)> {
    match endpoint {
        Endpoint::Tcp(host, port) => {
            let stream = TcpStream::connect((host.to_string(), *port)).await?;
            // A message must not wait until the one before it is acknowledged.
            stream.set_nodelay(true)?;
            let (read, write) = stream.into_split();
            Ok((ReadHalf::Tcp(read), WriteHalf::Tcp(write)))
        }
        Endpoint::Ipc(Some(path)) => {
            let (read, write) = UnixStream::connect(path).await?.into_split();
            Ok((ReadHalf::Unix(read), WriteHalf::Unix(write)))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the address is neither TCP nor a path")),
    }
}

/// The half to read.
pub(super) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

impl ReadHalf {
    /// Reads into `space` once; 0 bytes are the end of the stream.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing was read if the future is dropped.
    pub(super) async fn read(&mut self, space: &mut impl BufMut) -> io::Result<usize> {
        match self {
            ReadHalf::Tcp(half) => half.read_buf(space).await,
            ReadHalf::Unix(half) => half.read_buf(space).await,
        }
    }
}

/// The half to write.
pub(super) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

impl WriteHalf {
    /// Waits until the socket may take more bytes.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            WriteHalf::Tcp(half) => half.writable().await,
            WriteHalf::Unix(half) => half.writable().await,
        }
    }

    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            WriteHalf::Tcp(half) => half.try_write(bytes),
            WriteHalf::Unix(half) => half.try_write(bytes),
        }
    }
}
