//! The driver of the client machine, on the I/O thread or on the program's runtime.

mod log;
mod placement;
mod shutdown;
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
use callboard_transport::{Clock, Connection, ConnectionEvent, CurveKeys, Timer, yield_to_tasks};
use tokio::{
    runtime::{Handle, Runtime},
    sync::watch,
    task::JoinHandle,
    time::timeout_at,
};

pub(crate) use self::placement::Placement;
use self::{
    log::Log,
    shutdown::{Lifecycle, Shutdown},
};
use crate::{
    completion::{batch::CompletionBatch, notifier::CompletionNotifier, reply_sink::ReplySink},
    error::{call_error::CallError, close_error::CloseError},
    shared::{
        channels::ThreadChannels,
        command::Command,
        state::{ClientState, ClientStatus},
    },
    stream::buffer::StreamBuffer,
};

/// The driver of one client machine.
pub(crate) struct Driver {
    machine: Machine<ReplySink>,
    connection: Connection,
    timer: Timer,
    /// The timer of `completions`.
    completion_timer: Timer,
    clock: Clock,
    /// Commands that were received. Each turn carries out a limited number of them.
    received: VecDeque<Command>,
    /// Empty between turns, as is `actions`; kept to reuse its memory.
    spare: Vec<Command>,
    actions: Vec<Action<ReplySink>>,
    completions: CompletionBatch,
    /// The buffers of calls with streams, until the calls end.
    streams: BTreeMap<Ticket, Arc<StreamBuffer>>,
    channels: Arc<ThreadChannels>,
    /// The permits of the queue that the received calls hold.
    permits: usize,
    status: watch::Sender<ClientStatus>,
    log: Log,
    close_timeout: Duration,
    lifecycle: Lifecycle,
    /// The number of turns in a row in which the machine's timeout was deferred.
    timeout_deferrals: u32,
    placement: Placement,
}

/// The settings of a driver.
pub(crate) struct Settings {
    pub(crate) peer: peer::Settings,
    pub(crate) address: String,
    pub(crate) curve: Option<CurveKeys>,
    pub(crate) close_timeout: Duration,
    pub(crate) clock: Clock,
    pub(crate) placement: Placement,
    /// Delivers replies on the program's thread, if its runtime has only one and the driver has another.
    pub(crate) notifier: Option<CompletionNotifier>,
}

impl Driver {
    /// Creates a driver of a client that is not connected.
    pub(crate) fn new(
        settings: Settings,
        channels: Arc<ThreadChannels>,
        status: watch::Sender<ClientStatus>,
    ) -> Driver {
        Driver {
            log: Log::new(&settings.peer.instance, &settings.address),
            machine: Machine::new(settings.peer),
            connection: Connection::new(settings.address, settings.curve),
            timer: Timer::new(),
            completion_timer: Timer::new(),
            clock: settings.clock,
            received: VecDeque::new(),
            spare: Vec::new(),
            actions: Vec::new(),
            completions: CompletionBatch::new(Arc::clone(&channels), settings.notifier),
            streams: BTreeMap::new(),
            channels,
            permits: 0,
            status,
            close_timeout: settings.close_timeout,
            lifecycle: Lifecycle::Open,
            timeout_deferrals: 0,
            placement: settings.placement,
        }
    }

    /// Runs the driver on this thread until the client is closed.
    pub(crate) fn run(self, runtime: Runtime) {
        // An error is a panic, which is on stderr.
        let _ = runtime.block_on(self.spawn(runtime.handle()));
        // Without waiting for a host name that is still being resolved.
        runtime.shutdown_background();
    }

    /// Runs the driver as a task of `runtime` until the client is closed. Other tasks of a runtime wake a task without a system call.
    pub(crate) fn spawn(self, runtime: &Handle) -> JoinHandle<()> {
        // Created here, so that it is dropped if the runtime drops the task before the first poll.
        let channels = CloseOnDrop(Arc::clone(&self.channels));
        runtime.spawn(async move {
            let _channels = channels;
            self.run_turns().await;
        })
    }

    async fn run_turns(mut self) {
        loop {
            let event = self.wait().await;
            self.turn(event);
            if let Lifecycle::Closed(shutdown) = self.lifecycle {
                return self.finish(shutdown).await;
            }
            // So that zeromq's task writes what this turn sent, and what arrived meanwhile is received.
            yield_to_tasks().await;
        }
    }

    /// Waits until there is work. Returns an event of the connection, if that is the work.
    async fn wait(&mut self) -> Option<ConnectionEvent> {
        let deadline = self.machine.poll_timeout();
        tokio::select! {
            biased;
            // Cancel safe, as documented.
            event = self.connection.next_event() => return Some(event),
            // Cancel safe: holds nothing.
            () = future::ready(()), if !self.received.is_empty() => {}
            // Cancel safe: takes nothing and keeps a wake-up, as documented.
            () = self.channels.commands.notified() => {}
            // Cancel safe, as is the next one: only waits.
            () = self.completion_timer.wait(self.clock, self.completions.poll_timeout()) => {}
            () = self.timer.wait(self.clock, deadline) => {}
        }
        None
    }

    /// Ends the commands that arrived after the client disconnected, and waits for the callbacks.
    async fn finish(mut self, shutdown: Shutdown) {
        self.channels.queue.close();
        for command in self.received.drain(..).chain(self.channels.commands.close()) {
            if let Command::Call(call) = command {
                self.completions.complete(call.token, Err(CallError::client_closed()));
            }
        }
        self.completions.shut_down(self.clock);
        self.channels.callbacks.close();
        let result = shutdown.result(self.machine.counters());
        self.status.send_modify(|status| status.state = ClientState::Disconnected(result));
        let result = result.and(self.callbacks_ended(shutdown.deadline()).await);
        self.status.send_modify(|status| status.state = ClientState::Closed(result));
    }

    async fn callbacks_ended(&mut self, deadline: Time) -> Result<(), CloseError> {
        let ended = self.channels.callbacks.ended();
        let Some(deadline) = self.clock.instant(deadline) else {
            ended.await;
            return Ok(());
        };
        timeout_at(deadline.into(), ended).await.map_err(|_elapsed| CloseError::CallbacksRunning)
    }
}

/// Closes the channels when the driver ends, also by a panic or with its runtime, so that no handle waits for ever.
struct CloseOnDrop(Arc<ThreadChannels>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.queue.close();
        drop(self.0.commands.close());
        self.0.callbacks.close();
    }
}
