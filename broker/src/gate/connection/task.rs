//! The task of one connection, from its greeting to its end.

use std::{convert::Infallible, io, pin::pin, rc::Rc};

use callboard_core::zmtp::{error, greeting};
use tokio::{
    select,
    task::spawn_local,
    time::{timeout, timeout_at},
};

use super::{
    super::{Endpoint, PeerAddress, limits::CLOSE_QUIET, shared::Shared},
    CloseReason, Connection,
    inbound::Inbound,
    socket::{ReadHalf, Stream},
};

/// Starts the task of a connection that was admitted.
pub(in crate::gate) fn spawn(shared: &Rc<Shared>, endpoint: Endpoint, stream: Stream, address: PeerAddress) {
    let (connection, reader) = shared.new_connection(endpoint, stream, address);
    shared.admission.register(connection.id, address.into(), connection.accepted);
    start(shared, connection, reader);
}

/// Rejects a connection. Its task sends the reason to the peer, unless too many connections are being rejected.
pub(in crate::gate) fn reject(
    shared: &Rc<Shared>,
    endpoint: Endpoint,
    stream: Stream,
    address: PeerAddress,
    reason: CloseReason,
) {
    if !shared.start_rejection() {
        return shared.count_rejected(reason);
    }
    let (connection, reader) = shared.new_connection(endpoint, stream, address);
    connection.end(reason);
    start(shared, connection, reader);
}

fn start(shared: &Rc<Shared>, connection: Rc<Connection>, reader: ReadHalf) {
    let task = spawn_local(run(Rc::clone(shared), Rc::clone(&connection), reader)).abort_handle();
    shared.register(connection, task);
}

/// Reports the end of a connection when it is dropped: once, however the task ends.
struct ReportOnDrop {
    shared: Rc<Shared>,
    connection: Rc<Connection>,
}

impl Drop for ReportOnDrop {
    fn drop(&mut self) {
        let reason = self.connection.violation.get().map(CloseReason::Violation).or(self.connection.ending());
        self.shared.on_closed(&self.connection, reason.unwrap_or(CloseReason::Internal));
    }
}

/// Runs the task of one connection, from its greeting to its end.
async fn run(shared: Rc<Shared>, connection: Rc<Connection>, reader: ReadHalf) {
    let guard = ReportOnDrop { shared, connection };
    let (shared, connection) = (&*guard.shared, &*guard.connection);
    let mut inbound = Inbound::new(reader, shared.decoder(connection.address));
    match connection.ending() {
        None => serve(&mut inbound, shared, connection).await,
        Some(refusal) => {
            connection.answer(&greeting());
            connection.answer(&error(&refusal.to_string()));
        }
    }
    let is_graceful = match connection.ending() {
        Some(CloseReason::Requested) => connection.opened.get(),
        Some(CloseReason::Violation(_)) => !connection.opened.get(),
        Some(CloseReason::HandshakeTimeout { .. }) => true,
        Some(reason) => reason.is_refusal(),
        None => false,
    };
    if is_graceful {
        close_gracefully(&mut inbound, shared, connection).await;
    }
}

/// Reads and writes until there is a reason to end. Sends the peer a ZMTP ERROR with the reason if the driver cannot send a goodbye.
async fn serve(inbound: &mut Inbound, shared: &Shared, connection: &Connection) {
    let reason = select! {
        // Neither is cancelled before the connection ends. Reading comes first: what a peer sent before it left counts.
        biased;
        Err(reason) = receive(inbound, shared, connection) => reason,
        reason = connection.transmit() => reason,
    };
    match reason {
        CloseReason::Violation(violation) if connection.opened.get() && connection.ending().is_none() => {
            connection.violation.set(Some(violation));
            shared.on_violation(connection, violation);
            // The driver sends the last message and closes the connection.
            let closed = timeout(shared.limits.close_max, connection.transmit()).await;
            connection.end(closed.unwrap_or(reason));
        }
        CloseReason::HandshakeTimeout { .. } => {
            inbound.refuse(&reason.to_string(), connection);
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
    // `timeout` polls the handshake before the clock: what has arrived is read first.
    timeout_at(due, handshake).await.unwrap_or(Err(CloseReason::HandshakeTimeout { max }))?;
    loop {
        inbound.receive(shared, connection).await?;
    }
}

/// Waits for a limited time until the peer has read what was sent to it. Bytes from the peer are read meanwhile and
/// discarded: closing a socket with unread bytes resets the connection, and the peer might lose the message with the
/// reason.
async fn close_gracefully(inbound: &mut Inbound, shared: &Shared, connection: &Connection) {
    let graceful = async {
        let mut written = pin!(connection.write_rest());
        let mut open = true;
        loop {
            select! {
                // Cancel safe: the writer is not cancelled, and discarding may be.
                result = &mut written => break result?,
                more = inbound.discard(shared), if open => open = more?,
            }
        }
        while open && let Ok(more) = timeout(CLOSE_QUIET, inbound.discard(shared)).await {
            open = more?;
        }
        io::Result::Ok(())
    };
    // If the peer is too slow, or the connection breaks, the rest is lost.
    timeout(shared.limits.close_max, graceful).await.ok();
}
