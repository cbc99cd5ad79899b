//! The part of ZMTP 3.1 (ZeroMQ RFC 37) that a DEALER without security needs, over one TCP connection.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::harness::DEADLINE;

/// The flags in a frame's first byte.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// A connection after ZMTP's handshake.
pub(super) struct Zmtp(TcpStream);

impl Zmtp {
    pub(super) fn connect(address: &str) -> Zmtp {
        let mut stream = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // Signature, version 3.1, mechanism, no server, filler.
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10], greeting[11]) = (0xff, 0x7f, 3, 1);
        greeting[12..16].copy_from_slice(b"NULL");
        stream.write_all(&greeting).unwrap();
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!((greeting[10], &greeting[12..17]), (3, &b"NULL\0"[..]));
        let mut zmtp = Zmtp(stream);
        zmtp.write_frame(COMMAND, b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0");
        let (flags, ready) = zmtp.read_frame();
        assert_eq!(flags, COMMAND);
        assert!(ready.starts_with(b"\x05READY\x0bSocket-Type\0\0\0\x06ROUTER"), "{ready:?}");
        zmtp
    }

    pub(super) fn send(&mut self, frames: &[Vec<u8>]) {
        let (last, others) = frames.split_last().unwrap();
        others.iter().for_each(|frame| self.write_frame(MORE, frame));
        self.write_frame(0, last);
    }

    /// Returns the frames of the next message. Ignores commands between messages.
    pub(super) fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let (flags, content) = self.read_frame();
            if flags & COMMAND != 0 {
                continue;
            }
            frames.push(content);
            if flags & MORE == 0 {
                return frames;
            }
        }
    }

    /// Sends a PING as libzmq does with ZMQ_HEARTBEAT_IVL: a time to live in tenths of a second, and a context. Waits
    /// for the PONG; messages before it are dropped.
    pub(super) fn ping(&mut self, context: &[u8]) {
        self.write_frame(COMMAND, &[b"\x04PING\0\x0a", context].concat());
        loop {
            match self.read_frame() {
                (COMMAND, content) => return assert_eq!(content, [b"\x04PONG", context].concat()),
                _ => continue,
            }
        }
    }

    fn write_frame(&mut self, flags: u8, content: &[u8]) {
        let head = match u8::try_from(content.len()) {
            Ok(short) => vec![flags, short],
            Err(_) => [&[flags | LONG][..], &(content.len() as u64).to_be_bytes()].concat(),
        };
        self.0.write_all(&[&head, content].concat()).unwrap();
    }

    fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let [flags] = self.read();
        let length = if flags & LONG == 0 { u64::from(self.read::<1>()[0]) } else { u64::from_be_bytes(self.read()) };
        let mut content = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut content).unwrap();
        (flags & !LONG, content)
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
