//! A client for programs that are not async: its calls block their thread.
//!
//! ```no_run
//! use callboard_clients::{CallError, blocking::Client};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("tcp://127.0.0.1:5559")?;
//! let sum: i64 = client.call("calculator.add", (2, 3)).wait()?;
//! client.call("calculator.add", (sum, 37)).on_complete(|sum: Result<i64, CallError>| println!("{sum:?}"))?;
//! client.call("log.write", ("hello",)).cast()?;
//! client.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! The items of a call are read from an iterator and sent by a blocking sender:
//!
//! ```no_run
//! # fn example(client: callboard_clients::blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
//! for number in client.call::<()>("numbers.count", (3,)).stream::<u64>() {
//!     println!("{}", number?);
//! }
//! let (mut numbers, sum) = client.call::<i64>("numbers.sum", ()).upload::<i64>();
//! numbers.send(&5)?;
//! numbers.end();
//! assert_eq!(sum.wait()?, 5);
//! # Ok(())
//! # }
//! ```
//!
//! The stub of a trait can be created from this client too (`UsersClient::from(&client)`). Its calls end with
//! [`wait`](crate::TypedCall::wait), and [`Items::from`] converts its streams.
//!
//! It wraps the async [`Client`](crate::Client): the same threads, the same guarantees, callbacks on the client's own thread. A clone
//! refers to the same client, and any number of threads may use it. Do not use it in async functions, where it would block the thread
//! that runs other tasks; use the async client there.

mod call;
mod client;
mod items;
pub(crate) mod wait;

pub use self::{
    call::Call,
    client::Client,
    items::{ItemSender, Items, Reply},
};
