//! Reading from one peer.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{BufMut, Bytes};
use callboard_core::zmtp::{Decoder, Event, GREETING_BYTES};

use super::{
    super::{
        GateEvent,
        limits::{ACTIVITY_INTERVAL, READ_BYTES_MAX, TURN_BYTES_MAX},
        shared::Shared,
    },
    CloseReason, Connection,
    socket::ReadHalf,
};

/// The reading side of one connection. While it waits, it holds no buffer except for an unfinished frame.
#[derive(Debug)]
pub(super) struct Inbound {
    reader: ReadHalf,
    decoder: Decoder,
    /// The bytes of an unfinished small frame, in an allocation of their own.
    kept: Bytes,
    /// When activity without a message was last reported to the driver.
    activity_reported_at: Option<Instant>,
}

/// The result of one read.
struct Read {
    /// The bytes, including those that were kept before; empty if they were read into a large frame.
    input: Bytes,
    count: usize,
    /// Whether the space was filled, so that there may be more to read.
    filled: bool,
}

/// The result of one turn.
#[derive(Debug, Default)]
struct Turn {
    bytes: usize,
    messages: u64,
    /// Whether an event of this turn shows the driver that the peer is alive.
    reported: bool,
    answered: bool,
}

impl Inbound {
    pub(super) fn new(reader: ReadHalf, decoder: Decoder) -> Inbound {
        Inbound { reader, decoder, kept: Bytes::new(), activity_reported_at: None }
    }

    /// Sends the ZMTP greeting, without waiting for the peer's. With a CURVE key this is the part before the mechanism.
    pub(super) fn greet(&self, connection: &Connection) {
        let greeting = self.decoder.first_bytes();
        connection.greeted.set(greeting.len() == GREETING_BYTES);
        connection.answer(&greeting);
        connection.flush();
    }

    /// Sends the reason why the connection ends, if the peer can read it: during the handshake.
    pub(super) fn refuse(&self, reason: &str, connection: &Connection) {
        if let Some(refusal) = self.decoder.refusal(reason) {
            connection.answer(&refusal);
        }
    }

    /// Waits for bytes and for this connection's turn, and reads what is there: at most [`TURN_BYTES_MAX`].
    ///
    /// # Errors
    /// Why the connection ends.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is read before the last wait.
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
        if connection.authenticated.get() {
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

    /// Reads once: the bytes of a large frame into that frame, all others into the common block.
    fn read(&mut self, context: &mut Context<'_>, shared: &Shared) -> Result<Poll<Read>, CloseReason> {
        if let Some(mut place) = self.decoder.large_frame_buffer() {
            let room = place.remaining_mut().min(TURN_BYTES_MAX);
            place.set_limit(room);
            return arrived(self.reader.poll_read(context, &mut place), room, Bytes::new);
        }
        let mut block = shared.block.borrow_mut();
        let read = self.reader.poll_read(context, &mut block.space(&self.kept));
        let arrived = arrived(read, READ_BYTES_MAX, || block.filled());
        // If the read returned nothing, the kept bytes are still in the block.
        block.clear();
        arrived
    }

    /// Decodes the bytes: queues complete messages, and keeps the rest.
    fn decode(
        &mut self,
        mut input: Bytes,
        shared: &Shared,
        connection: &Connection,
        turn: &mut Turn,
    ) -> Result<(), CloseReason> {
        loop {
            match self.decoder.next(&mut input) {
                Ok(Some(Event::Message(message))) => {
                    turn.messages += 1;
                    turn.reported = true;
                    shared.queue.push(GateEvent::Frames { connection: connection.id, message });
                }
                Ok(Some(Event::HandshakeDone { curve })) => {
                    turn.reported = true;
                    connection.encoder.replace(self.decoder.take_encoder());
                    shared.on_opened(connection, curve);
                }
                Ok(Some(Event::Transmit(bytes))) => {
                    connection.greeted.set(true);
                    self.answer(&bytes, shared, connection, turn);
                }
                Ok(Some(Event::Command(content))) => {
                    turn.answered = true;
                    if !connection.send_command(&content) {
                        shared.counters.borrow_mut().pongs_dropped += 1;
                    }
                }
                Ok(None) => break,
                Err(violation) => {
                    if let Some(refusal) = self.decoder.error_command(violation) {
                        self.answer(&refusal, shared, connection, turn);
                    }
                    return Err(violation.into());
                }
            }
        }
        // The rest is copied out of the block: many peers that stop in the middle must not keep many blocks alive.
        self.decoder.detach_from_input();
        self.kept = Bytes::copy_from_slice(&input);
        connection.set_partial(self.kept.len() + self.decoder.buffered_bytes());
        Ok(())
    }

    fn answer(&self, bytes: &[u8], shared: &Shared, connection: &Connection, turn: &mut Turn) {
        turn.answered = true;
        if !connection.answer(bytes) {
            shared.counters.borrow_mut().pongs_dropped += 1;
        }
    }

    /// Finishes a turn: writes the answers, updates the counters, and reports activity to the driver if there was no
    /// message.
    fn report(&mut self, turn: &Turn, shared: &Shared, connection: &Connection) {
        if turn.answered {
            connection.flush();
        }
        shared.enforce_memory_limit();
        let mut counters = shared.counters.borrow_mut();
        counters.bytes_received += turn.bytes as u64;
        counters.messages_received += turn.messages;
        if turn.bytes > 0 && !turn.reported && connection.opened.get() {
            let now = Instant::now();
            if self.activity_reported_at.is_none_or(|at| now - at >= ACTIVITY_INTERVAL) {
                self.activity_reported_at = Some(now);
                shared.queue.push(GateEvent::Activity { connection: connection.id });
            }
        }
    }

    /// Waits for bytes and discards them. Returns whether more may come.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn discard(&mut self, shared: &Shared) -> io::Result<bool> {
        self.reader.readable().await?;
        let read = poll_fn(|context| {
            let mut block = shared.block.borrow_mut();
            let read = self.reader.poll_read(context, &mut block.space(&[]));
            block.clear();
            Poll::Ready(read)
        });
        match read.await {
            Poll::Ready(count) => Ok(count? > 0),
            Poll::Pending => Ok(true),
        }
    }
}

/// Converts the result of one read into `room` bytes. The end of the stream ends the connection.
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
