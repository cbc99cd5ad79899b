//! The macros of Callboard; the package `callboard` re-exports them, with their documentation.
//!
//! | file | what it holds |
//! |---|---|
//! | `service` | a trait read: what is accepted, and what is said of what is not |
//! | `method` | one method of it |
//! | `streams` | the items that it takes and returns |
//! | `options` | the words in `#[service(..)]` and `#[rpc(..)]` |
//! | `expand` | the trait as it goes on, and what comes beside it |
//! | `stub` | the caller's side |
//! | `adapter` | the worker's side |
//! | `contract` | the service as data |
//! | `shape`, `serde` | types as data: `#[derive(Shape)]` |

mod adapter;
mod contract;
mod expand;
mod method;
mod options;
mod serde;
mod service;
mod shape;
mod streams;
mod stub;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a trait the contract between callers and workers.
///
/// ```
/// #[callboard::service]
/// pub trait Greeter {
///     /// A greeting for this person.
///     #[rpc(read)]
///     async fn greet(&self, name: &str) -> String;
/// }
/// ```
///
/// Beside the trait this makes a stub for callers, `GreeterClient`, with the same methods; and `into_service` in the trait itself,
/// which makes of any type that implements it a service for a worker:
///
/// ```no_run
/// # #[callboard::service]
/// # pub trait Greeter {
/// #     #[rpc(read)]
/// #     async fn greet(&self, name: &str) -> String;
/// # }
/// struct Polite;
///
/// impl Greeter for Polite {
///     async fn greet(&self, name: &str) -> String {
///         format!("How do you do, {name}?")
///     }
/// }
///
/// # async fn worker() -> Result<(), callboard::WorkerError> {
/// callboard::Worker::new().serve(Polite.into_service()).run().await
/// # }
/// # async fn caller(client: callboard::Client) -> Result<(), callboard::CallError> {
/// let greeting = GreeterClient::new(&client).greet("Ann").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Methods
///
/// A method takes `&self` and up to eight arguments, each a name and a type that serde reads and writes. `&str`, `&[T]` and `&T`
/// are lent to the implementation and to the stub. A [`Context`](../callboard/struct.Context.html) as the first argument is the
/// call's; it does not travel, and the stub's method does not have it.
///
/// An `async fn` is implemented by an `async fn`, whose future must be `Send`; a `fn` runs on a thread for blocking work. State is
/// behind `&self`, and shared between calls: the implementation must be `Send + Sync + 'static`.
///
/// A method returns any serde type, or `Result<T, E>` with an error of your own that is `Serialize + DeserializeOwned + Display`. The
/// stub's caller gets it back as `Failed::Application(E)`, others by its name, text and content. What `E` is called on the wire is how the
/// trait calls it; which status code it has is UNKNOWN unless it implements
/// [`ErrorCode`](../callboard/trait.ErrorCode.html).
///
/// # Streams
///
/// An `async fn` may take an [`Incoming<T>`](../callboard/struct.Incoming.html) last, the items that its callers send, and return an
/// [`Outgoing<impl Stream<Item = T>>`](../callboard/struct.Outgoing.html), the items that they get; an item may be a `Result<T, E>`,
/// and so may the whole. The stream may borrow from `&self`. The stub's method has no argument for items: its call ends with
/// `.stream()`, `.upload()` or `.duplex()`.
///
/// ```
/// use callboard::{Incoming, Outgoing, Stream};
///
/// #[callboard::service]
/// pub trait Numbers {
///     /// The numbers from 1 to `to`.
///     #[rpc(read)]
///     async fn count(&self, to: u64) -> Outgoing<impl Stream<Item = u64>>;
///
///     /// The sum of what the caller sends.
///     #[rpc(read)]
///     async fn sum(&self, numbers: Incoming<i64>) -> i64;
/// }
///
/// # async fn caller(client: callboard::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let numbers = NumbersClient::new(&client);
/// let mut count = numbers.count(3).stream();
/// while let Some(number) = count.next().await {
///     println!("{}", number?);
/// }
/// let (mut items, sum) = numbers.sum().upload();
/// items.send(&5).await?;
/// items.end();
/// assert_eq!(sum.await?, 5);
/// # Ok(())
/// # }
/// ```
///
/// # Options
///
/// | | |
/// |---|---|
/// | `#[rpc(read)]` | changes nothing: the call may be run again if its worker is lost |
/// | `#[rpc(idempotent)]` | may be run again, because the world is the same afterwards |
/// | `#[rpc(once)]` | is never run twice; what is meant where nothing is said |
/// | `#[rpc(name = "get")]` | what the method is called on the wire, in the place of its own name |
/// | `#[service(name = "users")]` | what the service is called, in the place of the trait's name in snake_case |
/// | `#[service(crate = "path")]` | where the package `callboard` is, if not at `::callboard` |
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as options::ServiceOptions);
    let item = parse_macro_input!(item as syn::ItemTrait);
    match service::Service::read(options, &item) {
        Ok(service) => expand::expand(&service, item).into(),
        // The trait goes on as it is, so that what uses it is not in error as well.
        Err(error) => expand::despite(&error, item).into(),
    }
}

/// Says what a type looks like on the wire, for `callboard describe` and for comparing contracts: an implementation of
/// [`Shape`](../callboard/trait.Shape.html).
///
/// ```
/// use callboard::Shape;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Shape)]
/// #[serde(rename_all = "camelCase")]
/// struct User {
///     id: u32,
///     mail_address: Option<String>,
/// }
/// ```
///
/// It goes by the type's serde attributes: `rename`, `rename_all`, `rename_all_fields`, `tag`, `content`, `untagged`, `transparent`,
/// `default`, `skip`, `skip_serializing_if`, `deny_unknown_fields`, and `with = "serde_bytes"`. What it cannot know (`flatten`, `with`,
/// `from`, `into`) is described as anything. A field's type that is no `Shape` is described by its name.
///
/// `#[shape(crate = "path")]` says where the package `callboard` is, if not at `::callboard`.
#[proc_macro_derive(Shape, attributes(serde, shape))]
pub fn shape(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::DeriveInput);
    shape::derive(&item).unwrap_or_else(|error| error.to_compile_error()).into()
}
