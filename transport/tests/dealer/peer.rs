//! A scripted ROUTER with blocking I/O on a thread of its own, for tests.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use bytes::Bytes;
use callboard_transport::Dealer;
use tokio::sync::oneshot;

use super::both::ScriptedRouter;

/// ZMTP 3.0, mechanism NULL.
const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12] = b'N';
    greeting[13] = b'U';
    greeting[14] = b'L';
    greeting[15] = b'L';
    greeting
};
const READY: &[u8] = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER";

/// One connection of a scripted ROUTER.
pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    /// Listens, and runs `script` with the first connection that completes its handshake. Returns the address, and a receiver of
    /// the script's result. Await the receiver instead of joining a thread: zeromq's tasks must run meanwhile.
    pub(crate) fn start<T: Send + 'static>(
        script: impl FnOnce(Peer) -> T + Send + 'static,
    ) -> (String, oneshot::Receiver<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let (done, end) = oneshot::channel();
        thread::spawn(move || done.send(script(Peer::accept(&listener))).is_ok());
        (address, end)
    }

    /// Accepts connections until one completes its handshake: a slow dealer closes those that timed out.
    fn accept(listener: &TcpListener) -> Peer {
        loop {
            let (stream, _) = listener.accept().unwrap();
            if let Ok(peer) = Peer::greet(stream) {
                return peer;
            }
        }
    }

    fn greet(mut stream: TcpStream) -> io::Result<Peer> {
        stream.write_all(&GREETING)?;
        stream.write_all(READY)?;
        stream.read_exact(&mut [0; 64])?;
        let mut peer = Peer { stream };
        let (flags, _) = peer.read_frame()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!(flags, 4, "the READY command");
        Ok(peer)
    }

    /// Sends one message of one frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(&[2]).unwrap();
        self.stream.write_all(&(frame.len() as u64).to_be_bytes()).unwrap();
        self.stream.write_all(frame).unwrap();
    }

    /// Receives the next frame; `None` when the connection is closed.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        self.read_frame().unwrap().map(|(_, frame)| frame)
    }

    fn read_frame(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let mut flags = [0];
        if self.stream.read(&mut flags)? == 0 {
            return Ok(None);
        }
        let mut length = [0; 8];
        let skipped = if flags[0] & 2 == 0 { 7 } else { 0 };
        self.stream.read_exact(&mut length[skipped..])?;
        let mut frame = vec![0; u64::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(Some((flags[0], frame)))
    }
}

impl ScriptedRouter for Peer {
    fn start<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> (String, oneshot::Receiver<T>) {
        Peer::start(script)
    }

    async fn connect(address: &str) -> Dealer {
        super::connect(address).await
    }

    fn send(&mut self, frame: Vec<u8>) {
        Peer::send(self, &frame);
    }

    fn receive(&mut self) -> Option<Bytes> {
        Peer::receive(self).map(Bytes::from)
    }
}
