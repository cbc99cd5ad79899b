//! A scripted peer: it sends exactly the bytes that the test passes.

use callboard_broker::gate::{Address, Host};
use callboard_core::zmtp::{FrameHeader, greeting};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

pub(crate) const LAST: u8 = 0;
pub(crate) const MORE: u8 = 1;
pub(crate) const LONG: u8 = 2;
pub(crate) const COMMAND: u8 = 4;

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket for S {}

pub(crate) struct Peer {
    pub(crate) socket: Box<dyn Socket>,
}

impl Peer {
    pub(crate) async fn connect(address: &Address) -> Peer {
        let socket: Box<dyn Socket> = match address {
            Address::Tcp { host: Host::Ip(ip), port } => tcp(TcpStream::connect((*ip, *port)).await.unwrap()),
            Address::Tcp { host: Host::Name(name), port } => {
                tcp(TcpStream::connect((name.as_str(), *port)).await.unwrap())
            }
            Address::Ipc { path } => Box::new(UnixStream::connect(path).await.unwrap()),
        };
        Peer { socket }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Exchanges greeting and READY.
    pub(crate) async fn complete_handshake(&mut self, socket_type: &str) {
        self.send(&greeting()).await;
        self.send(&ready(socket_type, b"")).await;
        self.read_greeting().await;
        let (flags, content) = self.read_frame().await;
        assert_eq!(flags, COMMAND);
        assert!(content.starts_with(b"\x05READY\x0bSocket-Type\0\0\0\x06ROUTER"), "{content:?}");
    }

    pub(crate) async fn read_greeting(&mut self) {
        let mut received = [0; 64];
        self.socket.read_exact(&mut received).await.unwrap();
        assert_eq!(received, greeting());
    }

    /// Reads a frame: its flags (without LONG) and its content.
    pub(crate) async fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let mut header = vec![0; 2];
        self.socket.read_exact(&mut header).await.unwrap();
        if header[0] & LONG != 0 {
            header.resize(9, 0);
            self.socket.read_exact(&mut header[2..]).await.unwrap();
        }
        let size = FrameHeader::read(&header).unwrap().unwrap().size;
        let mut content = vec![0; usize::try_from(size).unwrap()];
        self.socket.read_exact(&mut content).await.unwrap();
        (header[0] & !LONG, content)
    }

    /// Reads until the gate closes or resets the connection. Returns the bytes before that.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        // A reset counts as the end, too.
        self.socket.read_to_end(&mut received).await.ok();
        received
    }
}

/// A TCP socket that sends at once, as those of ZeroMQ do.
fn tcp(stream: TcpStream) -> Box<dyn Socket> {
    stream.set_nodelay(true).unwrap();
    Box::new(stream)
}

pub(crate) fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
    match u8::try_from(content.len()) {
        Ok(size) => [&[flags, size], content].concat(),
        Err(_) => [&announced(flags, content.len() as u64), content].concat(),
    }
}

/// The header of a frame whose content may never be sent.
pub(crate) fn announced(flags: u8, size: u64) -> Vec<u8> {
    [&[flags | LONG][..], &size.to_be_bytes()].concat()
}

pub(crate) fn ready(socket_type: &str, identity: &[u8]) -> Vec<u8> {
    let properties = [property("Socket-Type", socket_type.as_bytes()), property("Identity", identity)].concat();
    command("READY", &properties)
}

pub(crate) fn command(name: &str, body: &[u8]) -> Vec<u8> {
    frame(COMMAND, &[&[u8::try_from(name.len()).unwrap()], name.as_bytes(), body].concat())
}

fn property(name: &str, value: &[u8]) -> Vec<u8> {
    let (name_bytes, value_bytes) = (u8::try_from(name.len()).unwrap(), u32::try_from(value.len()).unwrap());
    [&[name_bytes], name.as_bytes(), &value_bytes.to_be_bytes(), value].concat()
}
