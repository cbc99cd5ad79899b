//! One connection: the state that the gate and the connection's own task share.
//!
//! | file | contents |
//! |---|---|
//! | `task` | the task of a connection, from its greeting to its end |
//! | `inbound` | the reading side, and `read_block`, the buffer that all connections read into |
//! | `outbound` | the bytes that wait to be written |
//! | `socket` | TCP and Unix sockets |
//! | `close_reason` | why a connection ended |

pub(in crate::gate) mod close_reason;
mod inbound;
mod outbound;
pub(in crate::gate) mod read_block;
pub(in crate::gate) mod socket;
pub(in crate::gate) mod task;

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Instant,
};

use bytes::Bytes;
use callboard_core::{
    wire::{Frames, ids::ConnectionId},
    zmtp::{Encoder, FrameKind, Violation, curve::PublicKey},
};
use tokio::{select, sync::Notify};

use self::{close_reason::CloseReason, outbound::Outbound, socket::WriteHalf};
use super::{
    Endpoint, PeerAddress,
    limits::{
        PONG_UNSENT_BYTES_MAX,
        memory::MemoryAccount,
        pace::{Allowance, UNCREDITED_ENVELOPES},
    },
};

/// One connection. The gate writes to it. Its task reads from it, writes what the gate could not write, and closes it.
#[derive(Debug)]
pub(in crate::gate) struct Connection {
    pub(in crate::gate) id: ConnectionId,
    pub(in crate::gate) endpoint: Endpoint,
    pub(in crate::gate) address: PeerAddress,
    writer: WriteHalf,
    /// When it was accepted.
    pub(in crate::gate) accepted: Instant,
    outbound: RefCell<Outbound>,
    /// Encodes what is sent after the handshake, encrypted if the peer uses CURVE.
    encoder: RefCell<Encoder>,
    /// Bytes of a message that is incomplete.
    partial: Cell<usize>,
    /// The bytes that are counted for it in `memory`.
    counted: Cell<usize>,
    memory: Rc<MemoryAccount>,
    /// Bytes written to all connections of the gate.
    bytes_sent: Rc<Cell<u64>>,
    /// The violation that was reported to the driver: the close reason, even if the driver closes the connection.
    violation: Cell<Option<Violation>>,
    /// Why the connection ends. Once this is set, nothing is read from it, and only what was sent before is written to it.
    ending: Cell<Option<CloseReason>>,
    /// Whether the whole greeting was sent, so that the peer can read an ERROR.
    pub(in crate::gate) greeted: Cell<bool>,
    /// Whether it was reported to the driver.
    pub(in crate::gate) opened: Cell<bool>,
    /// The broker's key on this connection, if it is encrypted.
    pub(in crate::gate) server_key: Cell<Option<PublicKey>>,
    /// Whether the driver has authenticated the peer.
    pub(in crate::gate) authenticated: Cell<bool>,
    /// The envelopes without credit that the peer may still send. The driver counts them, since the gate does not read envelopes.
    pub(in crate::gate) uncredited: Cell<Allowance>,
    /// Whether it is on the gate's list of connections to flush.
    pub(in crate::gate) dirty: Cell<bool>,
    /// Wakes the task: something is left to write, or the connection ends.
    wake: Notify,
}

impl Connection {
    pub(in crate::gate) fn new(
        id: ConnectionId,
        endpoint: Endpoint,
        address: PeerAddress,
        writer: WriteHalf,
        memory: Rc<MemoryAccount>,
        bytes_sent: Rc<Cell<u64>>,
    ) -> Connection {
        let accepted = Instant::now();
        Connection {
            id,
            endpoint,
            address,
            writer,
            accepted,
            outbound: RefCell::default(),
            encoder: RefCell::default(),
            partial: Cell::new(0),
            counted: Cell::new(0),
            memory,
            bytes_sent,
            violation: Cell::new(None),
            ending: Cell::new(None),
            greeted: Cell::new(false),
            opened: Cell::new(false),
            server_key: Cell::new(None),
            authenticated: Cell::new(false),
            uncredited: Cell::new(Allowance::new(UNCREDITED_ENVELOPES, accepted)),
            dirty: Cell::new(false),
            wake: Notify::new(),
        }
    }

    /// Returns why the connection ends, if it does.
    pub(in crate::gate) fn ending(&self) -> Option<CloseReason> {
        self.ending.get()
    }

    /// Ends the connection. The first reason counts.
    pub(in crate::gate) fn end(&self, reason: CloseReason) {
        if self.ending.get().is_none() {
            self.ending.set(Some(reason));
        }
        self.wake.notify_one();
    }

    /// Counts envelopes without credit that the driver has read.
    pub(in crate::gate) fn spend_uncredited(&self, count: u32) {
        let mut allowance = self.uncredited.get();
        allowance.spend(count, Instant::now());
        self.uncredited.set(allowance);
    }

    pub(in crate::gate) fn unsent_bytes(&self) -> usize {
        self.outbound.borrow().bytes()
    }

    /// Returns the bytes that the gate holds for it.
    pub(in crate::gate) fn held_bytes(&self) -> usize {
        self.counted.get()
    }

    /// Sets the bytes that are held of an incomplete message.
    pub(in crate::gate) fn set_partial(&self, partial: usize) {
        self.partial.set(partial);
        self.count();
    }

    /// Updates the total of all connections.
    fn count(&self) {
        let now = self.partial.get() + self.unsent_bytes();
        self.memory.change(self.counted.replace(now), now);
    }

    /// Drops the bytes that wait to be written. The incomplete message is dropped with the task, which is about to end.
    pub(in crate::gate) fn release_buffers(&self) {
        self.outbound.take();
        self.set_partial(0);
    }

    /// Buffers a message. Above `unsent_bytes_max` the peer does not read, and the connection ends.
    pub(in crate::gate) fn send(&self, frames: Frames, unsent_bytes_max: usize) {
        let size = Outbound::size_of(&frames);
        if self.unsent_bytes() + size > unsent_bytes_max {
            // Much may have been buffered since the last flush, and the socket may be ready to take it.
            self.flush();
        }
        let bytes = self.unsent_bytes() + size;
        if bytes > unsent_bytes_max {
            return self.end(CloseReason::Unsent { bytes, max: unsent_bytes_max });
        }
        let pushed = self.outbound.borrow_mut().push_message(frames, &mut self.encoder.borrow_mut());
        self.on_pushed(pushed);
    }

    /// Buffers bytes of the ZMTP handshake. Returns false, and buffers nothing, if the peer does not read.
    pub(in crate::gate) fn answer(&self, bytes: &[u8]) -> bool {
        let reads = self.reads_answers();
        if reads {
            self.outbound.borrow_mut().push_encoded(bytes);
            self.count();
        }
        reads
    }

    /// Buffers a command of ZMTP after the handshake. Returns false, and buffers nothing, if the peer does not read.
    fn send_command(&self, content: &Bytes) -> bool {
        let reads = self.reads_answers();
        if reads {
            let mut outbound = self.outbound.borrow_mut();
            let pushed = outbound.push_frame(FrameKind::Command, content.clone(), &mut self.encoder.borrow_mut());
            drop(outbound);
            self.on_pushed(pushed);
        }
        reads
    }

    fn reads_answers(&self) -> bool {
        self.unsent_bytes() <= PONG_UNSENT_BYTES_MAX
    }

    /// Counts what was buffered, and ends the connection if it could not be encrypted.
    fn on_pushed(&self, pushed: Result<(), Violation>) {
        self.count();
        if let Err(violation) = pushed {
            self.end(violation.into());
        }
    }

    /// Writes what the socket accepts now, and leaves the rest to the task.
    pub(in crate::gate) fn flush(&self) {
        match self.write_now() {
            Ok(true) => {}
            Ok(false) => self.wake.notify_one(),
            Err(error) => self.end(error.into()),
        }
    }

    /// Writes what the socket accepts now. Returns whether that was everything.
    fn write_now(&self) -> io::Result<bool> {
        let before = self.unsent_bytes();
        let written = write(&mut self.outbound.borrow_mut(), &self.writer);
        self.bytes_sent.set(self.bytes_sent.get() + (before - self.unsent_bytes()) as u64);
        self.count();
        written
    }

    /// Writes what the gate could not write, until the connection ends.
    async fn transmit(&self) -> CloseReason {
        loop {
            self.wake.notified().await;
            while self.ending().is_none() && self.unsent_bytes() > 0 {
                select! {
                    // Cancel safe: both only wait.
                    ready = self.writer.writable() => if let Err(error) = ready { return error.into() },
                    () = self.wake.notified() => {}
                }
                if let Err(error) = self.write_now() {
                    return error.into();
                }
            }
            if let Some(reason) = self.ending() {
                return reason;
            }
        }
    }

    /// Writes everything that was sent before the end, then shuts down the writing side.
    async fn write_rest(&self) -> io::Result<()> {
        while !self.write_now()? {
            self.writer.writable().await?;
        }
        self.writer.shut_down()
    }
}

/// Writes what the socket accepts now. Returns whether that was everything.
fn write(outbound: &mut Outbound, writer: &WriteHalf) -> io::Result<bool> {
    while outbound.bytes() > 0 {
        match outbound.offer(|slices| writer.try_write_vectored(slices)) {
            (_, Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            (_, Ok(count)) => outbound.advance(count),
            (_, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            (_, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            (_, Err(error)) => return Err(error),
        }
    }
    Ok(true)
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.memory.change(self.counted.get(), 0);
    }
}
