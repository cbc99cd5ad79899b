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
    attack::{Spoils, Target},
    wire::{Wire, encoded},
};

/// Bytes of each answer: one message within the limit that the broker is given.
const BROADCAST_REPLY_OVERHEAD_BYTES: usize = 100_000;

/// What `bench.echo` gives back.
#[derive(Serialize)]
struct Message {
    id: u64,
    name: String,
    payload: ByteBuf,
}

/// More than the system's buffers and the broker's limit take.
pub(crate) fn one(target: &Target) -> Spoils {
    for _ in 0..target.many(1, 20) {
        let mut reader = deaf(target);
        // As much as there is credit for.
        ask(&mut reader, 600);
        while !reader.is_closed() {
            std::thread::yield_now();
        }
    }
    Box::new(())
}

/// Each within its own limit, together beyond that of all.
pub(crate) fn many(target: &Target) -> Spoils {
    let mut readers: Vec<_> = (0..target.many(10, 30)).map(|_| deaf(target)).collect();
    for _ in 0..12 {
        for reader in &mut readers {
            ask(reader, 10);
        }
    }
    while !readers.iter_mut().any(Wire::is_closed) {
        std::thread::yield_now();
    }
    Box::new(readers)
}

/// One that was let in, and has next to no buffer.
fn deaf(target: &Target) -> Wire {
    let reader = target.client();
    set_socket_recv_buffer_size(&reader.stream, 4_096).unwrap();
    reader
}

/// Asks for so many answers, or until the broker has closed the connection.
fn ask(reader: &mut Wire, count: u64) {
    let message =
        Message { id: 1, name: String::new(), payload: ByteBuf::from(vec![7; BROADCAST_REPLY_OVERHEAD_BYTES]) };
    let arguments = body::encode(&[message]).unwrap();
    for _ in 0..count {
        let request = Envelope::Request(request(next_number(), arguments.clone()));
        if reader.say(&encoded(&request)).is_err() {
            return;
        }
    }
}

/// Numbers rise in each session, whoever has the next.
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
        done_below: None,
        key: None,
        streams: Streams::NONE,
        extensions: Bytes::new(),
        body,
    }
}
