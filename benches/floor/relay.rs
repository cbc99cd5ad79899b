//! The relay process: the broker's gate without a broker machine.

use anyhow::{Context, bail};
use callboard_broker::gate::{Address, Endpoint, Gate, GateEvent, GateLimits};
use callboard_core::{
    wire::{Frames, ids::ConnectionId, limits::TURN_ENVELOPES_MAX},
    zmtp::Message,
};

use crate::header;

/// Forwards calls to the workers in turn, and answers to the connection that their header names.
struct Relay {
    gate: Gate,
    workers: Vec<ConnectionId>,
    next_worker: usize,
}

/// Prints `ready FRONTEND BACKEND`, then `worker` for each worker that connects, and runs until it is killed.
pub(crate) async fn run() -> anyhow::Result<()> {
    let any: Address = "tcp://127.0.0.1:0".parse()?;
    let gate = Gate::bind(&any, &any, GateLimits::default())?;
    println!("ready {} {}", gate.frontend(), gate.backend());
    let mut relay = Relay { gate, workers: Vec::new(), next_worker: 0 };
    loop {
        relay.turn().await?;
        tokio::task::yield_now().await;
    }
}

impl Relay {
    /// Runs one turn, as the broker does: handles what has arrived, up to a limit, then flushes once.
    async fn turn(&mut self) -> anyhow::Result<()> {
        let mut next = Some(self.gate.next().await);
        let mut taken = 0;
        while let Some(event) = next {
            self.take(event)?;
            taken += 1;
            next = if taken < TURN_ENVELOPES_MAX { self.gate.try_next() } else { None };
        }
        self.gate.flush();
        Ok(())
    }

    fn take(&mut self, event: GateEvent) -> anyhow::Result<()> {
        match event {
            GateEvent::Opened { connection, endpoint, .. } => {
                self.gate.set_authenticated(connection);
                if endpoint == Endpoint::Backend {
                    self.workers.push(connection);
                    println!("worker");
                }
            }
            GateEvent::Frames { connection, message } => self.forward(connection, &message)?,
            GateEvent::Activity { .. } => {}
            GateEvent::ProtocolViolation { connection, .. } => self.gate.close(connection),
            GateEvent::Closed { connection, .. } => self.workers.retain(|&worker| worker != connection),
        }
        Ok(())
    }

    fn forward(&mut self, from: ConnectionId, message: &Message) -> anyhow::Result<()> {
        let [header, body] = message.frames() else { bail!("a call has two frames") };
        let (to, header) = if self.workers.contains(&from) {
            (ConnectionId(header::connection(header).context("invalid header")?), header.clone())
        } else {
            (self.next_worker()?, header::with_connection(header, from.0).context("invalid header")?)
        };
        self.gate.send(to, Frames { first: header, large: Some(body.clone()) });
        Ok(())
    }

    /// Returns the next worker in turn.
    fn next_worker(&mut self) -> anyhow::Result<ConnectionId> {
        self.next_worker = (self.next_worker + 1) % self.workers.len().max(1);
        self.workers.get(self.next_worker).copied().context("a call arrived before a worker connected")
    }
}
