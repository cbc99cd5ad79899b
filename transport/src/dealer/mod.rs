//! A ZeroMQ DEALER socket with one connection to the broker.
//!
//! | file | contents |
//! |---|---|
//! | `plain` | a DEALER without encryption. The only file that uses a socket of the `zeromq` crate |
//! | `encrypted` | a DEALER with CURVE, on the codec of `callboard_core::zmtp`: `zeromq` 0.7.0 has no encryption |
//! | `stream` | the socket of the system below the encrypted one |
//! | `endpoint`, `socket_owner` | the address, and who may listen there |
//! | `send_window` | the limit of what `zeromq` holds |
//! | `limits` | the limits of both |
//! | `error` | the errors of both |
//!
//! A [`Dealer`] never reconnects: the driver of a client or worker drops a lost one and connects another.

mod encrypted;
mod endpoint;
mod error;
mod limits;
mod plain;
mod send_window;
mod socket_owner;
mod stream;

use bytes::Bytes;
use callboard_core::{wire::bundle::Frames, zmtp::curve::CurvePeer};

pub use self::error::{ConnectionLost, DealerError, DealerErrorKind};
use self::{encrypted::EncryptedDealer, plain::PlainDealer};
use crate::curve::CurveKeys;

/// A DEALER socket that is connected to one ROUTER.
///
/// One task drives it, on a tokio runtime with I/O and time. Every turn of its loop must end in [`Dealer::flush`] and an await.
///
/// Dropping the dealer loses the [`unsent`](Dealer::unsent) messages and, if it is encrypted, what the system's socket has not
/// taken. For an orderly end, send goodbye and wait for the answer.
pub struct Dealer(Kind);

/// Which of the two it is.
enum Kind {
    Plain(PlainDealer),
    Encrypted(Box<EncryptedDealer>),
}

impl Dealer {
    /// Connects to `address`: `tcp://HOST:PORT` (a host name, an IPv4 address or an IPv6 address in brackets) or `ipc://PATH`, whose
    /// socket must belong to the user of this process or to root. With `keys` the connection is encrypted, or fails.
    ///
    /// Makes one attempt, for one second at most. The caller decides about further attempts.
    ///
    /// # Errors
    /// [`DealerError`] with its kind and a message for people.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(address: &str, keys: Option<&CurveKeys>) -> Result<Dealer, DealerError> {
        let endpoint = endpoint::parse(address)?;
        Ok(Dealer(match keys {
            None => Kind::Plain(PlainDealer::connect(address, &endpoint).await?),
            Some(keys) => Kind::Encrypted(Box::new(EncryptedDealer::connect(address, &endpoint, keys).await?)),
        }))
    }

    /// Returns the identity that the broker has proved, if the connection is encrypted.
    pub fn curve_peer(&self) -> Option<CurvePeer> {
        match &self.0 {
            Kind::Plain(_) => None,
            Kind::Encrypted(dealer) => Some(dealer.peer()),
        }
    }

    /// Waits for the next message, and meanwhile sends the [`unsent`](Dealer::unsent) messages.
    ///
    /// Returns the message's frames, at least one.
    ///
    /// # Errors
    /// [`ConnectionLost`] when the connection is lost, and at every call from then on. Messages that arrived before are returned
    /// first, as a rule. A silent peer is not detected here; heartbeats do that.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost or sent twice when the future is dropped.
    pub async fn receive(&mut self) -> Result<Vec<Bytes>, ConnectionLost> {
        match &mut self.0 {
            Kind::Plain(dealer) => dealer.receive().await,
            Kind::Encrypted(dealer) => dealer.receive().await,
        }
    }

    /// Returns the next message if it has already arrived. Returns `None` also if the connection is lost, which
    /// [`receive`](Dealer::receive) reports.
    ///
    /// For the rest of a turn, after `receive` has returned the turn's first message.
    pub fn try_receive(&mut self) -> Option<Vec<Bytes>> {
        match &mut self.0 {
            Kind::Plain(dealer) => dealer.try_receive(),
            Kind::Encrypted(dealer) => dealer.try_receive(),
        }
    }

    /// Adds a message to those that [`Dealer::flush`] sends, in order.
    ///
    /// More than 131,072 unsent messages end the connection. A message that is sent on a lost connection is dropped.
    pub fn send(&mut self, frames: Frames) {
        match &mut self.0 {
            Kind::Plain(dealer) => dealer.send(frames),
            Kind::Encrypted(dealer) => dealer.send(frames),
        }
    }

    /// Sends messages without waiting, until the peer or the network takes no more; an awaited [`receive`](Dealer::receive) sends the
    /// rest.
    ///
    /// "Sent" means that the socket holds the message: zeromq, or the buffer of encrypted bytes and the system. It is given another
    /// message, of any size, while it holds less than about 1 MiB.
    pub fn flush(&mut self) {
        match &mut self.0 {
            Kind::Plain(dealer) => dealer.flush(),
            Kind::Encrypted(dealer) => dealer.flush(),
        }
    }

    /// Returns the number of messages that the socket has not taken yet.
    ///
    /// Above zero after a flush, the peer reads more slowly than this side sends. The driver should accept no new work until it is
    /// zero again. An awaited [`receive`](Dealer::receive) lowers it.
    pub fn unsent(&self) -> usize {
        match &self.0 {
            Kind::Plain(dealer) => dealer.unsent(),
            Kind::Encrypted(dealer) => dealer.unsent(),
        }
    }
}
