//! What the clients and workers of Callboard share: the connection to the broker and the tools of the thread that drives it.
//!
//! For authors of drivers. Programs that make calls use `callboard-clients`; programs that serve calls use `callboard-workers`.
//!
//! | module | contents |
//! |---|---|
//! | `connection` | [`Connection`]: at most one socket to the broker, bundles on the way out, events on the way in |
//! | `dealer` | [`Dealer`]: a ZeroMQ DEALER socket. The only module of the workspace that uses the `zeromq` crate |
//! | `curve` | [`CurveKeys`]: the keys of an encrypted connection |
//! | `io_thread` | the tools of an I/O thread: [`Clock`], [`Timer`], [`TurnBudget`], [`BatchQueue`], [`RuntimeHandoff`] |
//! | `authkey` | reads authkeys from a file or from the environment |
//! | `secret_file` | reads a file to which only its owner has access |
//! | `call_scope` | [`CallScope`]: the call that a handler serves, for the calls that the handler makes |
//!
//! # How a driver works
//!
//! A driver owns one state machine of `callboard_core`, one [`Connection`], a [`Clock`] and one or two [`Timer`]s. It runs on a
//! thread of its own, the *I/O thread*, with a `current_thread` runtime. One turn of its loop:
//!
//! 1. Await one of: [`Connection::next_event`], the driver's own commands, [`Timer::wait`] for the machine's next deadline.
//! 2. Read the clock once. Give the machine what is ready, including [`Connection::try_next_message`], within the [`TurnBudget`].
//!    Then, if the machine's deadline has passed and no input is left, give it the timeout event.
//! 3. Carry out its actions in order: `Connect` is [`Connection::connect`], `Disconnect` is [`Connection::disconnect`], `Send` is
//!    [`Connection::send`].
//! 4. Call [`Connection::flush`] and [`yield_to_tasks`], so that ZeroMQ's own task writes the turn's messages together.
//!
//! This crate makes no decisions: the machine decides when to connect, to ping and to give up.

mod authkey;
mod call_scope;
mod connection;
mod curve;
mod dealer;
mod io_thread;
mod secret_file;

pub use self::{
    authkey::{AUTHKEY_VARIABLE, AuthKeySourceError, authkeys_from_environment, read_authkeys},
    call_scope::{CallScope, ServedCall},
    connection::{Connection, ConnectionEvent, ConnectionFailure, check_address},
    curve::{
        CURVE_SECRET_VARIABLE, CurveKeys, CurveKeysError, SERVER_KEY_VARIABLE, curve_keys, curve_keys_from_environment,
        curve_secret_from_environment, parse_server_key, read_broker_curve_secrets, read_curve_secret,
    },
    dealer::{ConnectionLost, Dealer, DealerError, DealerErrorKind},
    io_thread::{
        BatchQueue, Clock, RuntimeHandoff, Timer, TurnBudget, WAKEUP_DELAY_MAX, new_nonce, new_session_id, random_u32,
        yield_to_tasks,
    },
    secret_file::{SecretFileError, read_secret_file},
};
