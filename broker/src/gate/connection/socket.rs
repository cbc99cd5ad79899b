//! A connection's socket: TCP or Unix, in a half to read and a half to write.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::pin,
    task::{Context, Poll},
};

use bytes::BufMut;
use rustix::net::{Shutdown, shutdown};
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, UnixStream, tcp, unix},
};

/// A new connection.
#[derive(Debug)]
pub(in crate::gate) enum Stream {
    Tcp(TcpStream),
    Ipc(UnixStream),
}

impl Stream {
    pub(in crate::gate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Stream::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Stream::Ipc(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Ipc(read), WriteHalf::Ipc(write))
            }
        }
    }
}

/// The half of a socket that the connection's task reads from.
#[derive(Debug)]
pub(in crate::gate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Ipc(unix::OwnedReadHalf),
}

impl ReadHalf {
    /// Waits until there may be something to read. No buffer is held meanwhile.
    ///
    /// # Cancel safety
    /// Safe.
    pub(in crate::gate) async fn readable(&self) -> io::Result<()> {
        match self {
            ReadHalf::Tcp(half) => half.readable().await,
            ReadHalf::Ipc(half) => half.readable().await,
        }
    }

    /// Reads into `room` once; 0 bytes are the end of the stream.
    ///
    /// Unlike `try_read`, it clears the readiness after a read that did not fill `room`. That saves the next system
    /// call, which would read nothing.
    pub(in crate::gate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            ReadHalf::Tcp(half) => pin!(half.read_buf(room)).poll(context),
            ReadHalf::Ipc(half) => pin!(half.read_buf(room)).poll(context),
        }
    }
}

/// The half of a socket that the gate writes to.
#[derive(Debug)]
pub(in crate::gate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Ipc(unix::OwnedWriteHalf),
}

impl WriteHalf {
    /// Waits until the socket may take more bytes.
    ///
    /// # Cancel safety
    /// Safe.
    pub(in crate::gate) async fn writable(&self) -> io::Result<()> {
        match self {
            WriteHalf::Tcp(half) => half.writable().await,
            WriteHalf::Ipc(half) => half.writable().await,
        }
    }

    /// Writes what the socket takes now.
    pub(in crate::gate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            WriteHalf::Tcp(half) => half.try_write_vectored(slices),
            WriteHalf::Ipc(half) => half.try_write_vectored(slices),
        }
    }

    /// Shuts down the writing side, so that the peer reads the end of the stream.
    pub(in crate::gate) fn shut_down(&self) -> io::Result<()> {
        match self {
            WriteHalf::Tcp(half) => shutdown(half.as_ref(), Shutdown::Write)?,
            WriteHalf::Ipc(half) => shutdown(half.as_ref(), Shutdown::Write)?,
        }
        Ok(())
    }
}
