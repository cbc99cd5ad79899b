//! Peers that do not read.

use bytes::Bytes;
use callboard::core::{
    body,
    wire::{
        Envelope,
        envelope::{Priority, Request, RequestFlags},
        ids::CallNumber,
        method::MethodName,
        streams::Streams,
    },
};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::{
    attack::{Held, Target},
    wire::{Wire, encoded},
};

/// Bytes of each answer: one message within the limit in the broker's flags.
const ANSWER_BYTES: usize = 100_000;

/// The argument and the result of `bench.echo`.
#[derive(Serialize)]
struct Message {
    id: u64,
    name: String,
    payload: ByteBuf,
}

/// One reader at a time that requests more than the system's buffers and the broker's limit hold.
pub(crate) fn one(target: &Target) -> Held {
    for _ in 0..target.many(1, 20) {
        let mut reader = unread_client(target);
        // As much as the credit permits.
        send_requests(&mut reader, 600);
        while !reader.is_closed() {
            std::thread::yield_now();
        }
    }
    Box::new(())
}

/// Readers that are each within their own limit, and together exceed the limit for all connections.
pub(crate) fn many(target: &Target) -> Held {
    let mut readers: Vec<_> = (0..target.many(10, 30)).map(|_| unread_client(target)).collect();
    for _ in 0..12 {
        for reader in &mut readers {
            send_requests(reader, 10);
        }
    }
    while !readers.iter_mut().any(Wire::is_closed) {
        std::thread::yield_now();
    }
    Box::new(readers)
}

/// An authenticated client that does not read and has a very small receive buffer.
fn unread_client(target: &Target) -> Wire {
    let reader = target.client();
    set_socket_recv_buffer_size(&reader.stream, 4_096).unwrap();
    reader
}

/// Sends `count` requests, or until the broker has closed the connection.
fn send_requests(reader: &mut Wire, count: u64) {
    let message = Message { id: 1, name: String::new(), payload: ByteBuf::from(vec![7; ANSWER_BYTES]) };
    let arguments = body::encode(&[message]).unwrap();
    for _ in 0..count {
        let request = Envelope::Request(request(next_number(), arguments.clone()));
        if reader.send(&encoded(&request)).is_err() {
            return;
        }
    }
}

/// Returns a call number. One counter serves all sessions, so numbers increase in each of them.
fn next_number() -> u64 {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
}

fn request(number: u64, body: Bytes) -> Request {
    Request {
        number: CallNumber(number),
        method: MethodName::parse("bench.echo").unwrap(),
        timeout: None,
        effect: None,
        priority: Priority::Normal,
        flags: RequestFlags::default(),
        done_below: CallNumber(0),
        key: None,
        streams: Streams::NONE,
        extensions: Default::default(),
        body,
    }
}
