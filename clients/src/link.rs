//! What the drivers of clients and workers have in common: a clock, a timer, and the connection to the broker.
//!
//! For authors of drivers; whoever makes calls has no need of it. A driver owns one machine of `callboard_core`, one [`Link`],
//! a [`Timer`] or two and a [`Clock`], on a thread of its own with a `current_thread` runtime. One turn of its loop:
//!
//! 1. Await one of: [`Link::event`], the driver's own commands, [`Timer::wait`] for the machine's next deadline.
//! 2. Take the time once, and give the machine what is ready, [`Link::try_message`] included, within the [`Budget`] of a turn;
//!    then, if its deadline has come and nothing is left to be read, tell it to wake.
//! 3. Carry out its actions in order: `Connect` is [`Link::connect`], `Disconnect` is [`Link::disconnect`], `Send` is
//!    [`Link::send`].
//! 4. [`Link::flush`], and [`pause`], so that ZeroMQ's own task writes the turn in one go.
//!
//! Nothing here decides anything: when to connect, ping or give up is the machine's affair.

mod address;
mod budget;
mod carried;
mod clock;
mod mailbox;
mod timer;

use std::{future, pin::Pin, task::Poll};

use bytes::Bytes;
use callboard_core::wire::{bundle::Bundler, envelope::Envelope};

pub use self::{
    address::check_address,
    budget::Budget,
    carried::Carried,
    clock::Clock,
    mailbox::{HOLD_MAX, Mailbox},
    timer::Timer,
};
use crate::dealer::{Dealer, DealerError};

/// The connection of a client or worker to its broker, as its driver sees it.
///
/// At most one socket at a time. What the machine sends is collected into bundles, which go out with [`Link::flush`].
pub struct Link {
    address: String,
    socket: Socket,
    bundler: Bundler,
    trouble: Option<Trouble>,
}

/// What happened to a [`Link`].
#[derive(Debug)]
pub enum Event {
    /// The socket that was asked for is connected.
    Connected,
    /// A message arrived: its frames.
    Message(Vec<Bytes>),
    /// The socket is gone, or could not be connected; [`Link::trouble`] says why. Comes once for each [`Link::connect`].
    Disconnected,
}

/// Why there is no connection, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened, and what to do about it.
    pub text: String,
    /// Whether the same address may work later.
    pub may_pass: bool,
}

/// A connection in the making.
type Connecting = Pin<Box<dyn Future<Output = Result<Dealer, DealerError>> + Send>>;

/// Where the socket is.
enum Socket {
    /// Nobody asked for one.
    None,
    /// Kept here, so that [`Link::event`] may be dropped and called again.
    Connecting(Connecting),
    Connected(Box<Dealer>),
    /// The driver dropped it, and was not told so yet.
    Dropped,
}

impl Link {
    /// A link to the broker at `address`, without a socket.
    pub fn new(address: impl Into<String>) -> Link {
        Link { address: address.into(), socket: Socket::None, bundler: Bundler::new(), trouble: None }
    }

    /// Where the broker is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Why the last socket is gone, or could not be connected; none once another is connected.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Begins to connect; [`Event::Connected`] or [`Event::Disconnected`] follows.
    ///
    /// # Panics
    /// If there is a socket: a machine asks for one at a time.
    pub fn connect(&mut self) {
        assert!(
            matches!(self.socket, Socket::None),
            "a machine asks for another socket only when the last one is gone"
        );
        let address = self.address.clone();
        self.socket = Socket::Connecting(Box::pin(async move { Dealer::connect(&address).await }));
    }

    /// Sends what is unsent, as far as the socket takes it now, and drops the socket; [`Event::Disconnected`] follows.
    ///
    /// What ZeroMQ holds by then is still written, as long as the runtime lives and the broker reads.
    pub fn disconnect(&mut self) {
        self.flush();
        if !matches!(self.socket, Socket::None) {
            self.socket = Socket::Dropped;
        }
    }

    /// Puts an envelope into the turn's bundles.
    pub fn send(&mut self, envelope: &Envelope) {
        self.bundler.push(envelope);
    }

    /// Gives the turn's bundles to the socket. Without one they are dropped: the machine learns of that by
    /// [`Event::Disconnected`].
    pub fn flush(&mut self) {
        if self.bundler.is_empty() {
            return;
        }
        let bundles = self.bundler.take();
        if let Socket::Connected(dealer) = &mut self.socket {
            bundles.for_each(|frames| dealer.send(frames));
        }
    }

    /// Messages that wait because the broker reads more slowly than we send. What a machine sends is bounded by its credit or
    /// its slots, and so is this; a driver that makes work of its own beyond them holds it back while this is above zero.
    pub fn unsent(&self) -> usize {
        match &self.socket {
            Socket::Connected(dealer) => dealer.unsent(),
            _ => 0,
        }
    }

    /// Waits for what happens next. Pending for ever where no socket was asked for.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped, at any point.
    pub async fn event(&mut self) -> Event {
        match &mut self.socket {
            Socket::None => future::pending().await,
            Socket::Connecting(connecting) => match connecting.await {
                Ok(dealer) => self.connected(dealer),
                Err(error) => self.disconnected(Some(Trouble { text: error.to_string(), may_pass: error.may_pass() })),
            },
            Socket::Connected(dealer) => match dealer.receive().await {
                Ok(frames) => Event::Message(frames),
                Err(lost) => self.disconnected(Some(Trouble { text: lost.to_string(), may_pass: true })),
            },
            Socket::Dropped => self.disconnected(None),
        }
    }

    /// A message that is here already: for the rest of a turn. None also where there is no connection.
    pub fn try_message(&mut self) -> Option<Vec<Bytes>> {
        match &mut self.socket {
            Socket::Connected(dealer) => dealer.try_receive(),
            _ => None,
        }
    }

    fn connected(&mut self, dealer: Dealer) -> Event {
        self.socket = Socket::Connected(Box::new(dealer));
        self.trouble = None;
        Event::Connected
    }

    fn disconnected(&mut self, trouble: Option<Trouble>) -> Event {
        self.socket = Socket::None;
        self.trouble = trouble.or(self.trouble.take());
        Event::Disconnected
    }
}

/// Lets the runtime's other tasks run, zeromq's writer among them, before the driver goes on.
///
/// Unlike `tokio::task::yield_now` it does not make the runtime look for I/O first, which is a system call a turn.
///
/// # Cancel safety
/// Dropping it does no harm.
pub async fn pause() {
    let mut paused = false;
    future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A random number for a machine's `Disconnected` event.
pub fn chance() -> u32 {
    rand::random()
}

/// Chance for a machine's `Connected` event: from the thread's generator, which is fit for keys.
pub fn new_nonce() -> callboard_core::auth::Nonce {
    callboard_core::auth::Nonce(rand::random())
}

/// A session of its own for a new client or worker.
pub fn new_session() -> callboard_core::wire::ids::SessionId {
    callboard_core::wire::ids::SessionId(uuid::Uuid::new_v4().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_link_that_nobody_connects_says_nothing() {
        let mut link = Link::new("tcp://127.0.0.1:1");
        assert!(link.event().now_or_never().is_none());
        link.disconnect();
        assert!(link.event().now_or_never().is_none(), "there was no socket to be gone");
    }

    #[tokio::test]
    async fn a_failed_attempt_ends_in_one_disconnect_that_says_why() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let mut link = Link::new(format!("tcp://{free}"));
        link.connect();
        assert!(matches!(link.event().await, Event::Disconnected));
        let trouble = link.trouble().expect("a reason");
        assert!(trouble.may_pass && trouble.text.contains(&free.to_string()), "{trouble:?}");
        assert!(link.event().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_disconnect_that_was_asked_for_is_told_once() {
        let mut link = Link::new("tcp://127.0.0.1:1");
        link.connect();
        link.disconnect();
        assert!(matches!(link.event().await, Event::Disconnected));
        assert!(link.event().now_or_never().is_none());
        link.connect();
    }
}
