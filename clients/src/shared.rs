//! What the handles of one client share, and how calls get from them to the link thread.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use callboard_core::{
    client::{NewCall, Ticket, Timeout},
    time::Time,
};
use callboard_transport::{BatchQueue, Clock};
use tokio::{
    runtime::Handle,
    sync::{SemaphorePermit, watch},
};

use crate::{
    alarm::Alarm,
    call_error::CallError,
    callbacks::Callbacks,
    pipe::StreamPost,
    request::Request,
    responder::Responder,
    room::{NoRoom, Room},
    state::State,
    statistics::Statistics,
};

/// What the link thread is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Make this call.
    Call(NewCall<Responder>),
    /// Its caller gave this one up.
    Cancel(Ticket),
    /// A call with streams goes on.
    Stream(StreamPost),
    /// End.
    Close,
}

/// What the handles of one client share. When the last of them is gone, the link thread closes the client.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) lines: Arc<Lines>,
    pub(crate) state: watch::Receiver<State>,
    /// Where the link thread's own timers are.
    pub(crate) link_thread: Handle,
    pub(crate) clock: Clock,
    pub(crate) address: String,
    /// For calls that name none.
    pub(crate) timeout: Option<Duration>,
    pub(crate) tickets: AtomicU64,
    pub(crate) closing: AtomicBool,
}

/// What the handles and the link thread share.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Bounds the calls that wait in the client: from here to the broker, or their end.
    pub(crate) queue: Room,
    /// The way to the link thread. Calls have a place in `queue`; a call is given up once, before its caller has its outcome; a stream says no
    /// more than its credit allows; and a client is closed twice at most. So all of it is bounded.
    pub(crate) commands: BatchQueue<Command>,
    pub(crate) callbacks: Arc<Callbacks>,
    /// As of the link thread's last turn.
    pub(crate) statistics: Mutex<Statistics>,
    /// The teller's thread, once it is known.
    pub(crate) home: OnceLock<ThreadId>,
}

impl Lines {
    /// Lines for so many calls that wait and so many callbacks, whose thread is started.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub(crate) fn new(queue_calls_max: usize, callbacks_max: usize) -> io::Result<Arc<Lines>> {
        Ok(Arc::new(Lines {
            queue: Room::new(queue_calls_max),
            commands: BatchQueue::default(),
            callbacks: Callbacks::start(callbacks_max)?,
            statistics: Mutex::new(Statistics::default()),
            home: OnceLock::new(),
        }))
    }

    /// Whether this is the teller's thread.
    pub(crate) fn is_home(&self) -> bool {
        self.home.get().is_some_and(|&home| home == thread::current().id())
    }
}

impl Shared {
    /// Takes a place in the queue, if there is one now. A [`Shared::send`] must follow in the same poll; the link thread gives the
    /// place back.
    pub(crate) fn try_queue(&self) -> Result<(), NoRoom> {
        self.lines.queue.try_take().map(SemaphorePermit::forget)
    }

    /// As [`Shared::try_queue`], but waits for it until `deadline`.
    pub(crate) async fn queue(&self, deadline: Option<Time>) -> Result<(), NoRoom> {
        self.place(&self.lines.queue, deadline).await.map(SemaphorePermit::forget)
    }

    /// A place among the pending callbacks, waited for until `deadline`.
    pub(crate) async fn callback(&self, deadline: Option<Time>) -> Result<SemaphorePermit<'_>, NoRoom> {
        self.place(&self.lines.callbacks.room, deadline).await
    }

    async fn place<'a>(&self, room: &'a Room, deadline: Option<Time>) -> Result<SemaphorePermit<'a>, NoRoom> {
        match room.try_take() {
            Err(NoRoom::Full) => tokio::select! {
                biased;
                // Both may be dropped: a place that was not waited for to the end goes to the next in the line.
                place = room.take() => place,
                () = Alarm::at(deadline, self.clock, &self.link_thread) => Err(NoRoom::TimedOut),
            },
            place => place,
        }
    }

    /// A number for a call.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    /// Gives a call, which has taken a place in the queue, to the link thread.
    ///
    /// # Errors
    /// The call's responder, if the link thread is gone, and with it all places.
    pub(crate) fn send(&self, request: Request, made: Time, responder: Responder) -> Result<Ticket, Responder> {
        let ticket = self.ticket();
        self.send_as(ticket, request, made, responder).map(|()| ticket)
    }

    /// As [`Shared::send`], of a call that has its number already.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn send_as(
        &self,
        ticket: Ticket,
        request: Request,
        made: Time,
        responder: Responder,
    ) -> Result<(), Responder> {
        let call = request.new_call(ticket, made, responder);
        match self.lines.commands.push(Command::Call(call)) {
            Ok(()) => Ok(()),
            Err(Command::Call(call)) => Err(call.token),
            Err(_) => unreachable!("what was told was a call"),
        }
    }

    /// There was no place in the queue.
    pub(crate) fn no_queue(&self, reason: NoRoom, timeout: Option<Timeout>) -> CallError {
        no_room(reason, &self.lines.queue, "calls", "queue_calls_max", timeout)
    }

    /// There was no place among the pending callbacks.
    pub(crate) fn no_callback(&self, reason: NoRoom, timeout: Option<Timeout>) -> CallError {
        no_room(reason, &self.lines.callbacks.room, "callbacks", "callbacks_max", timeout)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // An error is a link thread that has ended already.
        let _ = self.lines.commands.push(Command::Close);
    }
}

fn no_room(reason: NoRoom, room: &Room, what: &str, setting: &str, timeout: Option<Timeout>) -> CallError {
    match reason {
        NoRoom::Full => CallError::full(what, room.max(), setting),
        NoRoom::TimedOut => CallError::no_room_in_time(what, room.max(), timeout),
        NoRoom::Closed => CallError::closed(),
    }
}
