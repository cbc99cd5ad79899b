//! The link thread: drives the client machine.

mod ending;
mod log;
#[cfg(test)]
mod tests;
mod turn;

use std::{
    collections::{BTreeMap, VecDeque},
    future,
    sync::Arc,
    time::Duration,
};

use callboard_core::{
    client::{Action, Client as Machine, Ticket},
    peer,
    time::Time,
};
use callboard_transport::{Clock, Connection, ConnectionEvent, Timer, yield_to_tasks};
use tokio::{runtime::Runtime, sync::watch, time::timeout_at};

use self::{
    ending::{Ending, Life},
    log::Log,
};
use crate::{
    call_error::CallError,
    close_error::CloseError,
    outcomes::Outcomes,
    pipe::Pipe,
    responder::Responder,
    shared::{Command, Lines},
    state::{Stage, State},
    teller::Teller,
};

/// Drives one client machine, on a thread and a runtime of its own.
pub(crate) struct Driver {
    machine: Machine<Responder>,
    connection: Connection,
    timer: Timer,
    /// For looking after the teller.
    look: Timer,
    clock: Clock,
    /// Commands that were taken, a turn's worth of which is carried out in each turn.
    taken: VecDeque<Command>,
    /// Empty between turns, as is `actions`; kept so that its memory is.
    spare: Vec<Command>,
    actions: Vec<Action<Responder>>,
    outcomes: Outcomes,
    /// The pipes of calls with streams, until their end.
    pipes: BTreeMap<Ticket, Arc<Pipe>>,
    lines: Arc<Lines>,
    /// Places in the queue that are taken by calls which this side knows.
    places: usize,
    state: watch::Sender<State>,
    log: Log,
    close_timeout: Duration,
    life: Life,
    turns_late: u32,
}

/// What the driver needs beside its channels.
pub(crate) struct Settings {
    pub(crate) peer: peer::Settings,
    pub(crate) address: String,
    pub(crate) close_timeout: Duration,
    pub(crate) clock: Clock,
    /// Who tells awaiting callers their outcomes, if there is somebody on their thread.
    pub(crate) teller: Option<Teller>,
}

impl Driver {
    pub(crate) fn new(settings: Settings, lines: Arc<Lines>, state: watch::Sender<State>) -> Driver {
        Driver {
            log: Log::new(&settings.peer.instance, &settings.address),
            machine: Machine::new(settings.peer),
            connection: Connection::new(settings.address),
            timer: Timer::new(),
            look: Timer::new(),
            clock: settings.clock,
            taken: VecDeque::new(),
            spare: Vec::new(),
            actions: Vec::new(),
            outcomes: Outcomes::new(Arc::clone(&lines), settings.teller),
            pipes: BTreeMap::new(),
            lines,
            places: 0,
            state,
            close_timeout: settings.close_timeout,
            life: Life::Open,
            turns_late: 0,
        }
    }

    /// The thread's whole life.
    pub(crate) fn run(self, runtime: Runtime) {
        let lines = CloseOnDrop(Arc::clone(&self.lines));
        // As a task of its own it is woken by others of its runtime without a system call. An error is a panic, told on stderr.
        let served = runtime.spawn(self.serve());
        let _ = runtime.block_on(served);
        // Not waiting for a name that is still being looked up.
        runtime.shutdown_background();
        drop(lines);
    }

    async fn serve(mut self) {
        loop {
            let happened = self.wait().await;
            self.turn(happened);
            if let Life::Closed(ending) = self.life {
                return self.finish(ending).await;
            }
            // So that zeromq's task writes what this turn sent, and what arrived meanwhile is seen.
            yield_to_tasks().await;
        }
    }

    /// Waits until there is something to do: something of the link's, which is returned, or anything else.
    async fn wait(&mut self) -> Option<ConnectionEvent> {
        let deadline = self.machine.poll_timeout();
        tokio::select! {
            biased;
            // Documented to lose nothing.
            event = self.connection.next_event() => return Some(event),
            // Holds nothing.
            () = future::ready(()), if !self.taken.is_empty() => {}
            // Takes nothing, and keeps news that was not heard.
            () = self.lines.commands.notified() => {}
            // Only waits, as does the next one.
            () = self.look.wait(self.clock, self.outcomes.look_by()) => {}
            () = self.timer.wait(self.clock, deadline) => {}
        }
        None
    }

    /// The client has left the broker: ends what came too late, and lets the callbacks run.
    async fn finish(mut self, ending: Ending) {
        self.lines.queue.close();
        for command in self.taken.drain(..).chain(self.lines.commands.close()) {
            if let Command::Call(call) = command {
                call.token.resolve(Err(CallError::closed()), &mut self.outcomes);
            }
        }
        self.outcomes.end(self.clock);
        self.lines.callbacks.close();
        let result = ending.result(self.machine.counters());
        self.state.send_modify(|state| state.stage = Stage::Left(result));
        let result = result.and(self.callbacks_ended(ending.deadline()).await);
        self.state.send_modify(|state| state.stage = Stage::Ended(result));
    }

    async fn callbacks_ended(&mut self, deadline: Time) -> Result<(), CloseError> {
        let ended = self.lines.callbacks.ended();
        let Some(deadline) = self.clock.instant(deadline) else {
            ended.await;
            return Ok(());
        };
        timeout_at(deadline.into(), ended).await.map_err(|_elapsed| CloseError::CallbacksRunning)
    }
}

/// Ends what the handles wait for, however the thread ends.
struct CloseOnDrop(Arc<Lines>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.queue.close();
        drop(self.0.commands.close());
        self.0.callbacks.close();
    }
}
