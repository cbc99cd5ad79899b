//! One connection: what the gate and the connection's own task share, and that task.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    io,
    pin::pin,
    rc::Rc,
    time::Instant,
};

use callboard_core::{
    wire::{Frames, ids::ConnectionId},
    zmtp::{Violation, error},
};
use tokio::{
    select,
    sync::Notify,
    time::{timeout, timeout_at},
};

use super::{
    CloseReason, Endpoint, PeerAddress,
    held::Held,
    inbound::Inbound,
    limits::{CLOSE_QUIET, PONG_UNSENT_BYTES_MAX},
    outbound::Outbound,
    shared::Shared,
    stream::{ReadHalf, WriteHalf},
};

/// One connection. The gate writes to it; its task reads it, finishes what the gate could not write, and ends it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) endpoint: Endpoint,
    pub(super) address: PeerAddress,
    writer: WriteHalf,
    /// When it was accepted.
    pub(super) accepted: Instant,
    outbound: RefCell<Outbound>,
    /// Bytes of a message that has not come whole.
    partial: Cell<usize>,
    /// What was counted for it among what all hold.
    counted: Cell<usize>,
    held: Rc<Held>,
    /// What it did that the driver was told of: the reason of its end, whoever closes it.
    violation: Cell<Option<Violation>>,
    /// Why the connection ends. Once this is set nothing more comes from it or goes to it, but what was sent before.
    ending: Cell<Option<CloseReason>>,
    /// The driver knows of it.
    pub(super) opened: Cell<bool>,
    /// The driver has let the peer in.
    pub(super) admitted: Cell<bool>,
    /// It is on the gate's list of connections to flush.
    pub(super) dirty: Cell<bool>,
    /// The task has to look: something is left to write, or the end has come.
    wake: Notify,
}

impl Connection {
    pub(super) fn new(
        id: ConnectionId,
        endpoint: Endpoint,
        address: PeerAddress,
        writer: WriteHalf,
        held: Rc<Held>,
    ) -> Connection {
        Connection {
            id,
            endpoint,
            address,
            writer,
            accepted: Instant::now(),
            outbound: RefCell::default(),
            partial: Cell::new(0),
            counted: Cell::new(0),
            held,
            violation: Cell::new(None),
            ending: Cell::new(None),
            opened: Cell::new(false),
            admitted: Cell::new(false),
            dirty: Cell::new(false),
            wake: Notify::new(),
        }
    }

    /// Why the connection ends, if it does.
    pub(super) fn ending(&self) -> Option<CloseReason> {
        self.ending.get()
    }

    /// Ends the connection. The first reason counts.
    pub(super) fn end(&self, reason: CloseReason) {
        if self.ending.get().is_none() {
            self.ending.set(Some(reason));
        }
        self.wake.notify_one();
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.outbound.borrow().bytes()
    }

    /// The bytes that the gate holds for it.
    pub(super) fn held_bytes(&self) -> usize {
        self.counted.get()
    }

    /// So many bytes came of a message that is not whole.
    pub(super) fn keeps(&self, partial: usize) {
        self.partial.set(partial);
        self.count();
    }

    /// What it holds has changed.
    fn count(&self) {
        let now = self.partial.get() + self.unsent_bytes();
        self.held.change(self.counted.replace(now), now);
    }

    /// Gives up what waits for it. What came of a message goes with its task, which is about to end.
    pub(super) fn let_go(&self) {
        self.outbound.take();
        self.keeps(0);
    }

    /// Buffers a message. If that is too much for a peer, it is one that does not read: the connection ends.
    pub(super) fn send(&self, frames: Frames, unsent_bytes_max: usize) {
        let size = Outbound::size_of(&frames);
        if self.unsent_bytes() + size > unsent_bytes_max {
            // Much may have been buffered since the last flush, and the socket is perhaps ready to take it.
            self.flush();
        }
        let bytes = self.unsent_bytes() + size;
        if bytes > unsent_bytes_max {
            return self.end(CloseReason::Unsent { bytes, max: unsent_bytes_max });
        }
        self.outbound.borrow_mut().push_message(frames);
        self.count();
    }

    /// Buffers an answer of ZMTP's own. `false`: the peer does not read, and gets none.
    pub(super) fn answer(&self, bytes: &[u8]) -> bool {
        let reads = self.unsent_bytes() <= PONG_UNSENT_BYTES_MAX;
        if reads {
            self.outbound.borrow_mut().push_encoded(bytes);
            self.count();
        }
        reads
    }

    /// Writes what the socket takes now and leaves the rest to the task.
    pub(super) fn flush(&self) {
        match self.write_now() {
            Ok(true) => {}
            Ok(false) => self.wake.notify_one(),
            Err(error) => self.end(error.into()),
        }
    }

    /// Writes what the socket takes now. `true`: that was everything.
    fn write_now(&self) -> io::Result<bool> {
        let written = write(&mut self.outbound.borrow_mut(), &self.writer);
        self.count();
        written
    }

    /// Writes what was left over, time and again, until the end has come.
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

    /// Writes everything that was sent before the end, then says that nothing more comes.
    async fn write_rest(&self) -> io::Result<()> {
        while !self.write_now()? {
            self.writer.writable().await?;
        }
        self.writer.shut_down()
    }
}

/// Writes what the socket takes now. `true`: that was everything.
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
        self.held.change(self.counted.get(), 0);
    }
}

/// Sees to it that a connection's end is reported, once, whatever becomes of its task.
struct Reported {
    shared: Rc<Shared>,
    connection: Rc<Connection>,
}

impl Drop for Reported {
    fn drop(&mut self) {
        let reason = self.connection.violation.get().map(CloseReason::Violation).or(self.connection.ending());
        self.shared.closed(&self.connection, reason.unwrap_or(CloseReason::Internal));
    }
}

/// The task of one connection, from its greeting to its end.
pub(super) async fn run(shared: Rc<Shared>, connection: Rc<Connection>, reader: ReadHalf) {
    let reported = Reported { shared, connection };
    let (shared, connection) = (&*reported.shared, &*reported.connection);
    let mut inbound = Inbound::new(reader, shared.limits.handshake_bytes_max);
    match connection.ending() {
        None => live(&mut inbound, shared, connection).await,
        Some(refusal) => {
            inbound.greet(connection);
            connection.answer(&error(&refusal.to_string()));
        }
    }
    let is_told = match connection.ending() {
        Some(CloseReason::Requested) => connection.opened.get(),
        Some(CloseReason::Violation(_)) => !connection.opened.get(),
        Some(CloseReason::HandshakeTimeout { .. }) => true,
        Some(reason) => reason.is_refusal(),
        None => false,
    };
    if is_told {
        finish(&mut inbound, shared, connection).await;
    }
}

/// Reads and writes until there is a reason to end, and tells the peer of it in ZMTP's words if the driver has none for it.
async fn live(inbound: &mut Inbound, shared: &Shared, connection: &Connection) {
    let reason = select! {
        // Neither is cancelled before the connection ends. Reading comes first: what a peer said before it left counts.
        biased;
        Err(reason) = receive(inbound, shared, connection) => reason,
        reason = connection.transmit() => reason,
    };
    match reason {
        CloseReason::Violation(violation) if connection.opened.get() && connection.ending().is_none() => {
            connection.violation.set(Some(violation));
            shared.broken(connection, violation);
            // The driver has the last word, and closes the connection.
            let told = timeout(shared.limits.close_max, connection.transmit()).await;
            connection.end(told.unwrap_or(reason));
        }
        CloseReason::HandshakeTimeout { .. } => {
            connection.answer(&error(&reason.to_string()));
            connection.end(reason);
        }
        _ => connection.end(reason),
    }
}

/// Reads until there is a reason to end.
async fn receive(inbound: &mut Inbound, shared: &Shared, connection: &Connection) -> Result<Infallible, CloseReason> {
    inbound.greet(connection);
    let max = shared.limits.handshake_max;
    let due = (connection.accepted + max).into();
    let handshake = async {
        while !connection.opened.get() {
            inbound.receive(shared, connection).await?;
        }
        Ok(())
    };
    // `timeout` looks at the handshake before it looks at the clock: what has come is read first.
    timeout_at(due, handshake).await.unwrap_or(Err(CloseReason::HandshakeTimeout { max }))?;
    loop {
        inbound.receive(shared, connection).await?;
    }
}

/// Gives the peer the time to take what was sent to it. Its own bytes are read meanwhile and thrown away: closing a socket
/// with unread bytes in it resets the connection, and the peer might lose the very words that tell it why.
async fn finish(inbound: &mut Inbound, shared: &Shared, connection: &Connection) {
    let polite = async {
        let mut written = pin!(connection.write_rest());
        let mut speaks = true;
        loop {
            select! {
                // Cancel safe: the one is not cancelled, the other may be.
                result = &mut written => break result?,
                more = inbound.discard(shared), if speaks => speaks = more?,
            }
        }
        while speaks && let Ok(more) = timeout(CLOSE_QUIET, inbound.discard(shared)).await {
            speaks = more?;
        }
        io::Result::Ok(())
    };
    // Too slow, or broken: there is nobody left to be polite to.
    timeout(shared.limits.close_max, polite).await.ok();
}
