//! A socket whose peer must read.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A socket that fails with [`io::ErrorKind::TimedOut`] if its peer reads nothing for a while although something is to be written.
///
/// hyper limits the time in which a request must arrive, but not the time that a client takes to read the response.
pub(super) struct WriteTimeout<S> {
    socket: S,
    limit: Duration,
    /// When the peer must have read something. It is running only while a write waits.
    deadline: Pin<Box<Sleep>>,
    waits: bool,
}

impl<S> WriteTimeout<S> {
    pub(super) fn new(socket: S, limit: Duration) -> WriteTimeout<S> {
        WriteTimeout { socket, limit, deadline: Box::pin(sleep(limit)), waits: false }
    }

    /// Returns the result of a write, or an error if writes have waited for too long.
    fn limited<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = false;
            return written;
        }
        if !std::mem::replace(&mut self.waits, true) {
            self.deadline.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(context, bytes);
        this.limited(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.socket).poll_flush(context);
        this.limited(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut_down = Pin::new(&mut this.socket).poll_shutdown(context);
        this.limited(context, shut_down)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_does_not_read_fails_the_write() {
        let (ours, _theirs) = duplex(4);
        let mut socket = WriteTimeout::new(ours, Duration::from_millis(20));
        let error = socket.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_reads_gets_everything() {
        let (ours, mut theirs) = duplex(1);
        let mut socket = WriteTimeout::new(ours, Duration::from_secs(60));
        let reading = tokio::spawn(async move {
            let mut read = [0; 5];
            theirs.read_exact(&mut read).await.map(|_| read)
        });
        socket.write_all(b"12345").await.unwrap();
        assert_eq!(&reading.await.unwrap().unwrap(), b"12345");
    }
}
