//! Reading from one peer.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{BufMut, Bytes};
use callboard_core::{
    wire::limits::HANDSHAKE_ITEMS_MAX,
    zmtp::{Decoder, Event, GREETING_BYTES, Violation},
};
use tokio::sync::SemaphorePermit;

use super::{
    super::{
        GateEvent,
        limits::{
            ACTIVITY_INTERVAL, DISCARD_PAUSE, READ_BYTES_MAX,
            pace::{Allowance, COMMANDS, FullTurns, TURN_BYTES_MAX, TurnLoad},
        },
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
    /// The bytes that were read and are not decoded: an unfinished small frame, or the backlog. They share no allocation with those of
    /// other connections.
    kept: Bytes,
    /// Whether `kept` is a backlog: it may contain complete frames, because the last turn was over before they were decoded.
    has_backlog: bool,
    /// What makes the share of the next turn smaller.
    full_turns: FullTurns,
    /// Messages and commands before the connection was authenticated.
    early_items: usize,
    /// The ZMTP commands that the peer may still send.
    commands: Allowance,
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
#[derive(Debug)]
struct Turn {
    load: TurnLoad,
    /// Whether an event of this turn shows the driver that the peer is alive.
    reported: bool,
    answered: bool,
}

impl Inbound {
    pub(super) fn new(reader: ReadHalf, decoder: Decoder) -> Inbound {
        Inbound {
            reader,
            decoder,
            kept: Bytes::new(),
            has_backlog: false,
            full_turns: FullTurns::default(),
            early_items: 0,
            commands: Allowance::new(COMMANDS, Instant::now()),
            activity_reported_at: None,
        }
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

    /// Waits for bytes and for this connection's turn, and reads what is there, up to its share of a turn: see [`TurnLoad`].
    ///
    /// A connection that sent more than its allowance is not read until it is within it again. Meanwhile the peer's system keeps what
    /// the peer sends, and soon the peer cannot send more.
    ///
    /// # Errors
    /// Why the connection ends.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is read before the last wait.
    pub(super) async fn receive(&mut self, shared: &Shared, connection: &Connection) -> Result<(), CloseReason> {
        if !self.has_backlog {
            self.reader.readable().await?;
        }
        self.pause(shared, connection).await;
        let step = curve_turn(shared, connection).await;
        let permit = shared.queue.turn().await;
        let mut turn = Turn { load: TurnLoad::after(self.full_turns), reported: false, answered: false };
        let ended = poll_fn(|context| Poll::Ready(self.take_turn(context, shared, connection, &mut turn))).await;
        drop((permit, step));
        self.full_turns.count(&turn.load);
        self.report(&turn, shared, connection);
        ended?;
        if turn.load.is_over() {
            // The driver and all other connections run before this one reads again.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Waits until the peer is within its allowances.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    async fn pause(&self, shared: &Shared, connection: &Connection) {
        while let Some(until) = self.resumes_at(connection, Instant::now()) {
            shared.counters.borrow_mut().pauses += 1;
            shared.log_pause(connection);
            tokio::time::sleep_until(until.into()).await;
        }
    }

    fn resumes_at(&self, connection: &Connection, now: Instant) -> Option<Instant> {
        self.commands.resumes_at(now).max(connection.uncredited.get().resumes_at(now))
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
        if std::mem::take(&mut self.has_backlog) {
            let backlog = std::mem::take(&mut self.kept);
            self.decode(backlog, shared, connection, turn)?;
        }
        while !turn.load.is_over() && shared.queue.has_room() {
            let Poll::Ready(read) = self.read(context, shared)? else {
                turn.load.drained = true;
                break;
            };
            turn.load.bytes += read.count;
            self.decode(read.input, shared, connection, turn)?;
            if !read.filled {
                turn.load.drained = !self.has_backlog;
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

    /// Decodes the bytes, up to the share of a turn: queues complete messages, and keeps the rest.
    fn decode(
        &mut self,
        mut input: Bytes,
        shared: &Shared,
        connection: &Connection,
        turn: &mut Turn,
    ) -> Result<(), CloseReason> {
        while !turn.load.has_decoded_enough() {
            match self.decoder.next(&mut input) {
                Ok(Some(event)) => self.handle(event, shared, connection, turn)?,
                Ok(None) => break,
                Err(violation) => {
                    if let (Violation::Curve(_), false) = (violation, connection.opened.get()) {
                        shared.spend_curve_step();
                    }
                    if let Some(refusal) = self.decoder.error_command(violation) {
                        self.answer(&refusal, shared, connection, turn);
                    }
                    return Err(violation.into());
                }
            }
        }
        self.has_backlog = turn.load.has_decoded_enough() && !input.is_empty();
        // The rest is copied out of the block: many peers that stop in the middle must not keep many blocks alive.
        self.decoder.detach_from_input();
        self.kept = Bytes::copy_from_slice(&input);
        connection.set_partial(self.kept.len() + self.decoder.buffered_bytes());
        Ok(())
    }

    fn handle(
        &mut self,
        event: Event,
        shared: &Shared,
        connection: &Connection,
        turn: &mut Turn,
    ) -> Result<(), CloseReason> {
        if !connection.authenticated.get() {
            self.count_early_item()?;
        }
        match event {
            Event::Message(message) => {
                turn.load.add_message(&message);
                turn.reported = true;
                shared.queue.push(GateEvent::Frames { connection: connection.id, message });
            }
            Event::HandshakeDone { curve } => {
                turn.reported = true;
                connection.encoder.replace(self.decoder.take_encoder());
                shared.on_opened(connection, curve);
            }
            Event::Transmit(bytes) => {
                // The first bytes end the greeting. A WELCOME or READY follows a step of CURVE.
                if connection.greeted.replace(true) {
                    shared.spend_curve_step();
                }
                self.answer(&bytes, shared, connection, turn);
            }
            Event::Command(content) => {
                turn.load.commands += 1;
                turn.answered = true;
                if !connection.send_command(&content) {
                    shared.counters.borrow_mut().pongs_dropped += 1;
                }
            }
            Event::Ignored => turn.load.commands += 1,
        }
        Ok(())
    }

    /// Counts a message or command of a peer that is not authenticated.
    fn count_early_item(&mut self) -> Result<(), Violation> {
        self.early_items += 1;
        let max = HANDSHAKE_ITEMS_MAX;
        if self.early_items > max { Err(Violation::TooManyBeforeWelcome { max }) } else { Ok(()) }
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
        let load = &turn.load;
        if load.commands > 0 {
            self.commands.spend(load.commands, Instant::now());
        }
        shared.enforce_memory_limit();
        let mut counters = shared.counters.borrow_mut();
        counters.bytes_received += load.bytes as u64;
        counters.messages_received += load.messages;
        counters.commands_received += u64::from(load.commands);
        if load.bytes > 0 && !turn.reported && connection.opened.get() {
            let now = Instant::now();
            if self.activity_reported_at.is_none_or(|at| now - at >= ACTIVITY_INTERVAL) {
                self.activity_reported_at = Some(now);
                shared.queue.push(GateEvent::Activity { connection: connection.id });
            }
        }
    }

    /// Waits for bytes and discards them, at a limited rate. Returns whether more may come.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn discard(&mut self, shared: &Shared) -> io::Result<bool> {
        // A peer that keeps sending must not keep the thread: without this wait, the loop of the caller would never end.
        tokio::time::sleep(DISCARD_PAUSE).await;
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

/// Waits for the turn to make a step of the handshake of CURVE, unless the gate has no key or the handshake is complete.
///
/// # Cancel safety
/// Cancel safe: a cancelled caller loses only its place in the order.
async fn curve_turn<'a>(shared: &'a Shared, connection: &Connection) -> Option<SemaphorePermit<'a>> {
    match &shared.curve_pace {
        Some(pace) if !connection.opened.get() => Some(pace.turn().await),
        _ => None,
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
