//! The bytes that come from one peer.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{BufMut, Bytes, BytesMut, buf::Limit};
use callboard_core::zmtp::{Decoder, Item, greeting};

use super::{
    CloseReason, GateEvent,
    connection::Connection,
    limits::{HEARD_INTERVAL, READ_BLOCK_BYTES, READ_BYTES_MAX, TURN_BYTES_MAX},
    shared::Shared,
    stream::ReadHalf,
};

/// The reading endpoint of one connection. While it waits it holds no buffer but what an unfinished frame needs.
#[derive(Debug)]
pub(super) struct Inbound {
    reader: ReadHalf,
    decoder: Decoder,
    /// The bytes of an unfinished small frame, in an allocation of their own.
    kept: Bytes,
    /// When the driver was last told that this peer lives without a message.
    heard_at: Option<Instant>,
}

/// The buffer that all connections read into, one after another. Messages are slices of it; its memory is used again
/// when the last of them is gone.
#[derive(Debug, Default)]
pub(super) struct ReadBlock(BytesMut);

impl ReadBlock {
    /// Room for a read, behind the bytes that were kept from the last one.
    fn room(&mut self, kept: &[u8]) -> Limit<&mut BytesMut> {
        let needed = kept.len() + READ_BYTES_MAX;
        if !self.0.try_reclaim(needed) {
            self.0 = BytesMut::with_capacity(READ_BLOCK_BYTES);
        }
        self.0.put_slice(kept);
        (&mut self.0).limit(READ_BYTES_MAX)
    }

    /// The kept bytes and those of the read together.
    fn filled(&mut self) -> Bytes {
        self.0.split().freeze()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// What one read brought.
struct Read {
    /// The bytes, those that were kept before them included; none if they went to a large frame's place.
    input: Bytes,
    count: usize,
    /// The room was filled, so there may be more to read.
    filled: bool,
}

/// What one turn brought.
#[derive(Debug, Default)]
struct Turn {
    bytes: usize,
    messages: u64,
    /// The driver hears of the peer anyhow.
    told: bool,
    answered: bool,
}

impl Inbound {
    pub(super) fn new(reader: ReadHalf, handshake_bytes_max: usize) -> Inbound {
        Inbound { reader, decoder: Decoder::new(handshake_bytes_max), kept: Bytes::new(), heard_at: None }
    }

    /// Says the first word of ZMTP, which neither endpoint has to wait for.
    pub(super) fn greet(&self, connection: &Connection) {
        connection.answer(&greeting());
        connection.flush();
    }

    /// Waits for bytes and for this connection's turn, and reads what is there: at most [`TURN_BYTES_MAX`].
    ///
    /// # Errors
    /// The connection ends, or is to be ended.
    ///
    /// # Cancel safety
    /// Safe: nothing is read before the last wait.
    pub(super) async fn receive(&mut self, shared: &Shared, connection: &Connection) -> Result<(), CloseReason> {
        self.reader.readable().await?;
        let permit = shared.queue.turn().await;
        let mut turn = Turn::default();
        let ended = poll_fn(|context| Poll::Ready(self.take_turn(context, shared, connection, &mut turn))).await;
        drop(permit);
        self.report(&turn, shared, connection);
        ended?;
        if turn.bytes >= TURN_BYTES_MAX {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn take_turn(
        &mut self,
        context: &mut Context<'_>,
        shared: &Shared,
        connection: &Connection,
        turn: &mut Turn,
    ) -> Result<(), CloseReason> {
        if let Some(reason) = connection.ending() {
            return Err(reason);
        }
        if connection.admitted.get() {
            self.decoder.set_message_bytes_max(shared.limits.message_bytes_max);
        }
        while turn.bytes < TURN_BYTES_MAX && shared.queue.has_room() {
            let Poll::Ready(read) = self.read(context, shared)? else { break };
            turn.bytes += read.count;
            self.decode(read.input, shared, connection, turn)?;
            if !read.filled {
                break;
            }
        }
        Ok(())
    }

    /// Reads once: a large frame's bytes to their place, all else into the common block.
    fn read(&mut self, context: &mut Context<'_>, shared: &Shared) -> Result<Poll<Read>, CloseReason> {
        if let Some(mut place) = self.decoder.direct() {
            let room = place.remaining_mut().min(TURN_BYTES_MAX);
            place.set_limit(room);
            return arrived(self.reader.poll_read(context, &mut place), room, Bytes::new);
        }
        let mut block = shared.block.borrow_mut();
        let read = self.reader.poll_read(context, &mut block.room(&self.kept));
        let arrived = arrived(read, READ_BYTES_MAX, || block.filled());
        // Of a read that brought nothing the kept bytes are still in there.
        block.clear();
        arrived
    }

    /// Passes on whatever is whole, and keeps the rest.
    fn decode(
        &mut self,
        mut input: Bytes,
        shared: &Shared,
        connection: &Connection,
        turn: &mut Turn,
    ) -> Result<(), CloseReason> {
        loop {
            match self.decoder.next(&mut input) {
                Ok(Some(Item::Message(message))) => {
                    turn.messages += 1;
                    turn.told = true;
                    shared.queue.push(GateEvent::Frames { connection: connection.id, message });
                }
                Ok(Some(Item::Opened)) => {
                    turn.told = true;
                    shared.opened(connection);
                }
                Ok(Some(Item::Answer(bytes))) => self.answer(&bytes, shared, connection, turn),
                Ok(None) => break,
                Err(violation) => {
                    if let Some(refusal) = self.decoder.refusal(violation) {
                        self.answer(&refusal, shared, connection, turn);
                    }
                    return Err(violation.into());
                }
            }
        }
        // Whatever stays is copied out of the block: many peers that stop in the middle must not keep many blocks.
        self.decoder.detach();
        self.kept = Bytes::copy_from_slice(&input);
        connection.keeps(self.kept.len() + self.decoder.held_bytes());
        Ok(())
    }

    fn answer(&self, bytes: &[u8], shared: &Shared, connection: &Connection, turn: &mut Turn) {
        turn.answered = true;
        if !connection.answer(bytes) {
            shared.counters.borrow_mut().pongs_dropped += 1;
        }
    }

    /// After a turn: writes the answers, counts, and lets the driver know of life without a message.
    fn report(&mut self, turn: &Turn, shared: &Shared, connection: &Connection) {
        if turn.answered {
            connection.flush();
        }
        shared.relieve();
        let mut counters = shared.counters.borrow_mut();
        counters.bytes_received += turn.bytes as u64;
        counters.messages_received += turn.messages;
        if turn.bytes > 0 && !turn.told && connection.opened.get() {
            let now = Instant::now();
            if self.heard_at.is_none_or(|at| now - at >= HEARD_INTERVAL) {
                self.heard_at = Some(now);
                shared.queue.push(GateEvent::Activity { connection: connection.id });
            }
        }
    }

    /// Waits for bytes and throws them away. `false`: no more will come.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn discard(&mut self, shared: &Shared) -> io::Result<bool> {
        self.reader.readable().await?;
        let read = poll_fn(|context| {
            let mut block = shared.block.borrow_mut();
            let read = self.reader.poll_read(context, &mut block.room(&[]));
            block.clear();
            Poll::Ready(read)
        });
        match read.await {
            Poll::Ready(count) => Ok(count? > 0),
            Poll::Pending => Ok(true),
        }
    }
}

/// The outcome of one read into `room` bytes. The end of the stream ends the connection.
fn arrived(
    read: Poll<io::Result<usize>>,
    room: usize,
    input: impl FnOnce() -> Bytes,
) -> Result<Poll<Read>, CloseReason> {
    match read {
        Poll::Pending => Ok(Poll::Pending),
        Poll::Ready(Ok(0)) => Err(CloseReason::PeerLeft),
        Poll::Ready(Ok(count)) => Ok(Poll::Ready(Read { input: input(), count, filled: count == room })),
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(Poll::Pending),
        Poll::Ready(Err(error)) => Err(error.into()),
    }
}
