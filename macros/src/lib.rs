//! The macros of Callboard; the package `callboard` re-exports them, with their documentation.
//!
//! | file | contents |
//! |---|---|
//! | `service` | parses and checks a trait |
//! | `method` | parses and checks one method |
//! | `streams` | the items that a method takes and returns |
//! | `syntax` | helpers for the syntax tree |
//! | `options` | the options in `#[service(..)]` and `#[rpc(..)]` |
//! | `expand` | generates the rewritten trait |
//! | `stub` | generates the caller's stub |
//! | `adapter` | generates `into_service`, the worker's side |
//! | `contract` | generates the description of the service |
//! | `schema`, `serde` | `#[derive(Schema)]`: the description of a type |

mod adapter;
mod contract;
mod expand;
mod method;
mod options;
mod schema;
mod serde;
mod service;
mod streams;
mod stub;
mod syntax;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Turns a trait into the contract between callers and workers.
///
/// ```
/// #[callboard::service]
/// pub trait Greeter {
///     /// Returns a greeting for this person.
///     #[rpc(read)]
///     async fn greet(&self, name: &str) -> String;
/// }
/// ```
///
/// The macro generates a stub for callers, `GreeterClient`, with the same methods. It also adds the method `into_service` to the trait,
/// which converts any implementation to a service for a worker:
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
/// A method takes `&self` and up to eight arguments, each with a name and a type that implements `Serialize` and `Deserialize`. The
/// types `&str`, `&[T]` and `&T` are borrowed by the implementation and by the stub. If the first argument is a
/// [`Context`](../callboard/struct.Context.html), it is the context of the call: it is not sent, and the stub's method does not have it.
///
/// An `async fn` is implemented by an `async fn`, whose future must be `Send`. A `fn` runs on a thread for blocking work. Concurrent
/// calls share the implementation through `&self`, so it must be `Send + Sync + 'static`.
///
/// A method returns any serde type, or `Result<T, E>` with an application error that is `Serialize + DeserializeOwned + Display`. The
/// stub's caller gets it back as `Failed::Application(E)`, others by its name, text and content. The error's
/// name on the wire is the name of `E` in the trait. Its status code is UNKNOWN, unless `E` implements
/// [`ErrorCode`](../callboard/trait.ErrorCode.html).
///
/// # Streams
///
/// An `async fn` can take an [`Incoming<T>`](../callboard/struct.Incoming.html) as its last argument: the items that a caller sends. It
/// can return an [`Outgoing<impl Stream<Item = T>>`](../callboard/struct.Outgoing.html): the items that the caller receives. An item
/// can be a `Result<T, E>`, and so can the whole return value. The stream can borrow from `&self`. The stub's method has no argument
/// for items: its call ends with `.stream()`, `.upload()` or `.duplex()`.
///
/// ```
/// use callboard::{Incoming, Outgoing, Stream};
///
/// #[callboard::service]
/// pub trait Numbers {
///     /// Sends the numbers from 1 to `to`.
///     #[rpc(read)]
///     async fn count(&self, to: u64) -> Outgoing<impl Stream<Item = u64>>;
///
///     /// Returns the sum of the items.
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
/// | option | meaning |
/// |---|---|
/// | `#[rpc(read)]` | the method changes nothing: the broker can run a call again if its worker is lost |
/// | `#[rpc(idempotent)]` | the method is idempotent: the broker can run a call again if its worker is lost |
/// | `#[rpc(once)]` | a call never runs twice (default) |
/// | `#[rpc(name = "get")]` | the method's name on the wire, instead of its own name |
/// | `#[service(name = "users")]` | the service's name, instead of the trait's name in snake_case |
/// | `#[service(crate = "path")]` | the path of the package `callboard`, if it is not `::callboard` |
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as options::ServiceOptions);
    let item = parse_macro_input!(item as syn::ItemTrait);
    match service::Service::parse(options, &item) {
        Ok(service) => expand::expand(&service, item).into(),
        // The trait itself is kept, so that its users do not cause further errors.
        Err(error) => expand::with_error(&error, item).into(),
    }
}

/// Derives the schema of a type on the wire, for `callboard describe` and for comparing contracts: an implementation of
/// [`Schema`](../callboard/trait.Schema.html).
///
/// ```
/// use callboard::Schema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Schema)]
/// #[serde(rename_all = "camelCase")]
/// struct User {
///     id: u32,
///     mail_address: Option<String>,
/// }
/// ```
///
/// The macro follows the type's serde attributes: `rename`, `rename_all`, `rename_all_fields`, `tag`, `content`, `untagged`, `transparent`,
/// `default`, `skip`, `skip_serializing_if`, `deny_unknown_fields`, and `with = "serde_bytes"`. Forms that
/// it cannot see (`flatten`, `with`, `from`, `into`) are described as any value. A field type that does not implement `Schema` is
/// described by its name.
///
/// `#[schema(crate = "path")]` sets the path of the package `callboard`, if it is not `::callboard`.
#[proc_macro_derive(Schema, attributes(serde, schema))]
pub fn schema(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::DeriveInput);
    schema::derive(&item).unwrap_or_else(|error| error.to_compile_error()).into()
}
