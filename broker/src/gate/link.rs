//! One connection: what the gate and the connection's own task share, and that task.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    io,
    pin::pin,
    rc::Rc,
};

use callboard_core::wire::{Frames, ids::LinkId};
use tokio::{select, sync::Notify, time::timeout};

use super::{
    CloseReason, PeerAddress, Side,
    inbound::Inbound,
    limits::{CLOSE_QUIET, PONG_UNSENT_BYTES_MAX},
    outbound::Outbound,
    shared::Shared,
    stream::{ReadHalf, WriteHalf},
};

/// One connection. The gate writes to it; its task reads it, finishes what the gate could not write, and ends it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) side: Side,
    pub(super) address: PeerAddress,
    writer: WriteHalf,
    outbound: RefCell<Outbound>,
    /// Why the connection ends. Once this is set nothing more comes from it or goes to it, but what was sent before.
    ending: Cell<Option<CloseReason>>,
    /// The driver knows of it.
    pub(super) opened: Cell<bool>,
    /// The driver has let the peer in.
    pub(super) admitted: Cell<bool>,
    /// It is on the gate's list of links to flush.
    pub(super) dirty: Cell<bool>,
    /// The task has to look: something is left to write, or the end has come.
    wake: Notify,
}

impl Link {
    pub(super) fn new(id: LinkId, side: Side, address: PeerAddress, writer: WriteHalf) -> Link {
        Link {
            id,
            side,
            address,
            writer,
            outbound: RefCell::default(),
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
    }

    /// Buffers an answer of ZMTP's own. `false`: the peer does not read, and gets none.
    pub(super) fn answer(&self, bytes: &[u8]) -> bool {
        let reads = self.unsent_bytes() <= PONG_UNSENT_BYTES_MAX;
        if reads {
            self.outbound.borrow_mut().push_encoded(bytes);
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
        let mut outbound = self.outbound.borrow_mut();
        while outbound.bytes() > 0 {
            match outbound.offer(|slices| self.writer.try_write_vectored(slices)) {
                (_, Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                (_, Ok(count)) => outbound.advance(count),
                (_, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                (_, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                (_, Err(error)) => return Err(error),
            }
        }
        Ok(true)
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

/// Sees to it that a connection's end is reported, once, whatever becomes of its task.
struct Reported {
    shared: Rc<Shared>,
    link: Rc<Link>,
}

impl Drop for Reported {
    fn drop(&mut self) {
        self.shared.closed(&self.link, self.link.ending().unwrap_or(CloseReason::Internal));
    }
}

/// The task of one connection, from its greeting to its end.
pub(super) async fn run(shared: Rc<Shared>, link: Rc<Link>, reader: ReadHalf) {
    let reported = Reported { shared, link };
    let (shared, link) = (&*reported.shared, &*reported.link);
    let mut inbound = Inbound::new(reader, shared.limits.handshake_bytes_max);
    let reason = select! {
        // Neither is cancelled before the connection ends. Reading comes first: what a peer said before it left counts.
        biased;
        Err(reason) = receive(&mut inbound, shared, link) => reason,
        reason = link.transmit() => reason,
    };
    link.end(reason);
    let is_told = match link.ending() {
        Some(CloseReason::Requested) => link.opened.get(),
        Some(CloseReason::Violation(_)) => !link.opened.get(),
        _ => false,
    };
    if is_told {
        finish(&mut inbound, shared, link).await;
    }
}

/// Reads until there is a reason to end.
async fn receive(inbound: &mut Inbound, shared: &Shared, link: &Link) -> Result<Infallible, CloseReason> {
    inbound.greet(link);
    let max = shared.limits.handshake_max;
    let handshake = async {
        while !link.opened.get() {
            inbound.receive(shared, link).await?;
        }
        Ok(())
    };
    // `timeout` looks at the handshake before it looks at the clock: what has come is read first.
    timeout(max, handshake).await.unwrap_or(Err(CloseReason::HandshakeTimeout { max }))?;
    loop {
        inbound.receive(shared, link).await?;
    }
}

/// Gives the peer the time to take what was sent to it. Its own bytes are read meanwhile and thrown away: closing a socket
/// with unread bytes in it resets the connection, and the peer might lose the very words that tell it why.
async fn finish(inbound: &mut Inbound, shared: &Shared, link: &Link) {
    let polite = async {
        let mut written = pin!(link.write_rest());
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
